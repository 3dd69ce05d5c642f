package import NSGCompiler
package import NSGConfig
package import NSGEvaluation
package import NSGModel
package import NetworkTypes
package import Nftables

/// One version of everything: the documents, and what follows from them.
package struct Policy: Sendable {
    package let configuration: Configuration
    package let book: PolicyBook
    package let evaluator: Evaluator
    package let names: ChainNames
    package let numbering: RuleNumbering
    package let wanted: ComposedRuleset
    package let statistics: CompilerStatistics
    private let lists: CompiledLists
    private let bindings: [String: Binding]

    /// Nil if there are more versions of rules alive than numbers (a million).
    ///
    /// - Parameters:
    ///   - deviceAddresses: addresses of this machine's devices by name: those of a `host` interface whose document has
    ///     none (C3).
    ///   - numbering: what is given already; the policy's own `numbering` continues it.
    ///   - earlier: a policy whose parts are taken over where they are the same.
    package init?(
        _ configuration: Configuration, deviceAddresses: [String: [IPAddress]] = [:], numbering: RuleNumbering,
        salt: String = "", after earlier: Policy? = nil
    ) {
        self.configuration = configuration
        let estate = configuration.estate.completed(by: deviceAddresses)
        book = PolicyBook(estate, after: earlier?.book)
        evaluator = Evaluator(book)
        names = ChainNames(book)
        var numbering = numbering
        guard numbering.assign(to: book) else { return nil }
        self.numbering = numbering
        let flowLogs = configuration.settings.flowLogs
        let options = CompilerOptions(packetLogGroup: flowLogs.isEnabled ? flowLogs.nflogGroup : nil, salt: salt)
        let compiled = PolicyCompiler(book, numbering: numbering, options: options).compiled(after: earlier?.lists)
        (wanted, statistics, lists) = (compiled.wanted, compiled.statistics, compiled.lists)
        bindings = Dictionary(estate.bindings.map { ($0.device, $0) }) { first, _ in first }
    }

    package var estate: Estate { book.estate }
    /// All of it at once. O(objects).
    package var ruleset: Ruleset { wanted.ruleset }
    package func binding(ofDevice name: String) -> Binding? { bindings[name] }
}

extension Estate {
    /// `host` interfaces without an address in their document take those of the device; each becomes an IP
    /// configuration beside the first, in the same subnet and application security groups.
    func completed(by deviceAddresses: [String: [IPAddress]]) -> Estate {
        var estate = self
        for binding in bindings where binding.attachment == .host {
            guard var interface = networkInterfaces[binding.networkInterface], interface.addresses.isEmpty,
                let first = interface.ipConfigurations.first, let addresses = deviceAddresses[binding.device],
                !addresses.isEmpty
            else { continue }
            interface.ipConfigurations = addresses.enumerated().map { index, address in
                IPConfiguration(
                    name: index == 0 ? first.name : "\(first.name)-\(index)", address: address, subnet: first.subnet,
                    applicationSecurityGroups: first.applicationSecurityGroups)
            }
            estate.networkInterfaces[interface.id] = interface
        }
        return estate
    }
}
