package import FlowLog
package import JSONText
import NSGCompiler
import NSGModel
import NetworkTypes

/// Which decisions somebody wants to see; what is nil admits all.
package struct DecisionFilter: Hashable, Sendable {
    /// Name or id, in lower case.
    private var networkInterface: String?
    private var rule: RuleName?
    private var access: Access?
    private var `protocol`: IPProtocol?

    /// In lower case, as names are compared in Azure.
    private enum RuleName: Hashable, Sendable {
        case name(String)
        /// Of a security group, a collection of admin rules or their manager.
        case nameInGroup(String, group: String)
        /// `securityRules/web`, `defaultSecurityRules/DenyAllInBound`
        case qualified(String)
        case id(String)

        var text: String {
            switch self {
            case .name(let text), .qualified(let text), .id(let text): text
            case .nameInGroup(let name, let group): "\(group)/\(name)"
            }
        }
    }

    /// Why it is none; one sentence.
    package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
        package init(description: String) { self.description = description }
    }

    /// From a `CaptureFilter` of the control interface.
    package init(_ document: JSONValue) throws(Problem) {
        networkInterface = document["nic"]?.string?.lowercased()
        if let text = document["rule"]?.string { rule = try Self.rule(text) }
        if let text = document["access"]?.string {
            guard let access = Access.ofSecurityRules.first(where: { $0.rawValue.lowercased() == text.lowercased() })
            else { throw Problem(description: "the verdict '\(text)' is neither Allow nor Deny") }
            self.access = access
        }
        if let text = document["protocol"]?.string {
            guard let number = IPProtocol(text) else {
                throw Problem(description: "protocol '\(text)' is neither a name such as TCP, UDP, ICMP nor a number")
            }
            `protocol` = number
        }
    }

    private static func rule(_ text: String) throws(Problem) -> RuleName {
        let folded = text.lowercased()
        if folded.hasPrefix("/") { return .id(folded) }
        let parts = folded.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        switch parts.count {
        case 1 where !folded.isEmpty: return .name(folded)
        case 2 where ["securityrules", "defaultsecurityrules"].contains(parts[0]): return .qualified(folded)
        case 2: return .nameInGroup(parts[1], group: parts[0])
        default: throw Problem(description: "the rule '\(text)' is neither NAME nor GROUP/NAME nor an id")
        }
    }

    // MARK: Matching

    /// Whether one decision has all that is asked for: its interface, and among the rules that allowed it, or as the
    /// one that refused it, the rule.
    package func admits(_ record: FlowRecord) -> Bool { admitsQuickly(record) && admits(record.side) }

    /// As far as that is told by numbers alone.
    package func admitsQuickly(_ record: FlowRecord) -> Bool {
        (access.map { $0 == record.access } ?? true) && (`protocol`.map { $0 == record.flow.protocol } ?? true)
    }

    /// As far as what all records of a side have in common tells. Compares texts.
    package func admits(_ side: LoggedSide) -> Bool {
        let facts = side.facts
        if let networkInterface {
            guard let id = facts.interface.networkInterface, Self.names(networkInterface, id) else { return false }
        }
        guard let rule else { return true }
        let end = facts.stages.firstIndex { $0.access == .deny }.map { $0 + 1 } ?? facts.stages.count
        return facts.stages[..<end].contains { Self.names(rule, $0.rule) }
    }

    private static func names(_ text: String, _ interface: ResourceID) -> Bool {
        interface.name.lowercased() == text || interface.description.lowercased() == text
    }

    private static func names(_ text: RuleName, _ rule: RuleReference) -> Bool {
        switch text {
        case .name(let name): rule.name.lowercased() == name
        case .nameInGroup(let name, let group):
            rule.name.lowercased() == name
                && (rule.owner.name.lowercased() == group || rule.group.name.lowercased() == group)
        case .qualified(let name): rule.qualifiedName.lowercased() == name
        case .id(let id):
            "\(rule.owner.description)/\(rule.kind == .admin ? "rules/" : "")\(rule.qualifiedName)".lowercased() == id
        }
    }

    // MARK: What there is

    /// Why nothing can come of it under a policy, so that a misspelt name is told at once. Nil where something can.
    /// O(rules).
    package func problem(in policy: Policy) -> Problem? {
        if let networkInterface {
            guard policy.estate.bindings.contains(where: { Self.names(networkInterface, $0.networkInterface) }) else {
                return Problem(description: "no network interface '\(networkInterface)' is bound on this host")
            }
        }
        guard let rule else { return nil }
        let isKnown = policy.book.boundLists.contains { list in
            list.rules.contains {
                Self.names(rule, RuleReference(owner: $0.rule.owner, name: $0.rule.name, kind: $0.rule.kind))
            }
        }
        return isKnown
            ? nil : Problem(description: "no security group of a bound interface has the rule '\(rule.text)'")
    }
}
