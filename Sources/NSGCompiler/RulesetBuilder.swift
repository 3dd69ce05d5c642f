import NetworkTypes
import Nftables

/// Collects chains and sets under names that hold a hash of their content, so that equal content is one object, and a
/// name that is in the kernel already need not be sent (E3).
struct RulesetBuilder: Sendable {
    private(set) var ruleset: Ruleset
    var statistics = CompilerStatistics()
    /// Part of every hash: another salt gives every object a new name, which is how a damaged ruleset is replaced.
    private let salt: String

    init(table: String, salt: String) {
        ruleset = Ruleset(table: table)
        self.salt = salt
    }

    /// Before what becomes of so many rules of a list is added.
    mutating func reserve(rules: Int) {
        ruleset.chains.reserveCapacity(rules + rules / 2)
        ruleset.counters.reserveCapacity(rules)
    }

    mutating func add(_ chain: Chain) { ruleset.chains[chain.name] = chain }
    mutating func add(_ timeout: TimeoutObject) { ruleset.timeouts[timeout.name] = timeout }
    mutating func add(_ counter: CounterName) { ruleset.counters.insert(counter) }
    mutating func add(_ set: NamedSet) { ruleset.sets[set.name] = set }

    /// A chain that is never edited.
    mutating func content(_ base: String, _ rules: [Rule]) -> ChainName {
        let chain = contentChain(base, rules)
        add(chain)
        return chain.name
    }

    /// The same, not added.
    func contentChain(_ base: String, _ rules: [Rule]) -> Chain {
        Chain(ChainName("\(base).\(digits { $0.add(rules) })"), rules: rules)
    }

    /// A chain of a few rules that keeps its name when it changes: a swap edits its rules.
    mutating func fixed(_ name: String, _ rules: [Rule]) -> ChainName {
        let name = fixedName(name)
        add(Chain(name, rules: rules))
        return name
    }

    /// Under which such a chain is, or will be.
    func fixedName(_ name: String) -> ChainName { ChainName(salt.isEmpty ? name : "\(name).\(digits { _ in })") }

    /// A chain whose one rule a swap replaces: the fixed name of what changes.
    mutating func trampoline(_ base: String, to target: ChainName?) -> ChainName {
        let name = ChainName(ChainName.trampolinePrefix + base)
        add(Chain(name, rules: [Rule(.verdict(target.map { .goto($0) } ?? .accept))]))
        return name
    }

    /// A smaller set is sent whole when it changes: less than the two copies of a paired set would cost all the time.
    static let mostOfSmallSet = 128
    /// Of a map.
    private static let mostOfSmallMap = 512

    /// The sets of (device, address) pairs of both families, named `base.v4` and `base.v6`; nil for one without pairs.
    mutating func deviceAddresses(
        _ base: String, _ pairs: [(device: String, address: IPAddress)]
    ) -> (four: SetName?, six: SetName?) {
        let of = { (family: IPFamily) in
            pairs.filter { $0.address.family == family }.map { (device: $0.device, address: $0.address.number) }
        }
        let (four, six) = (of(.ipv4), of(.ipv6))
        return (
            four.isEmpty ? nil : deviceAddresses("\(base).v4", .ipv4Address, four),
            six.isEmpty ? nil : deviceAddresses("\(base).v6", .ipv6Address, six)
        )
    }

    /// The set of (device, address) pairs, for `iifname . ip saddr` and the like.
    /// - Parameter base: the set's name where it is large (`pairedSet`).
    private mutating func deviceAddresses(
        _ base: String, _ address: KeyType, _ pairs: [(device: String, address: UInt128)]
    )
        -> SetName
    {
        let elements = pairs.sorted { ($0.device, $0.address) < ($1.device, $1.address) }.map {
            SetElement(.concatenation([.device($0.device), .values($0.address...$0.address)]))
        }
        let keyType = KeyType.concatenation([.deviceName, address])
        return elements.count > Self.mostOfSmallSet
            ? pairedSet(base, keyType: keyType, isInterval: false, elements)
            : set(base, keyType: keyType, isInterval: false, elements)
    }

    /// A set that keeps its name when its content changes, so that only the difference is sent (`NamedSet.isPaired`).
    /// - Parameter name: of what the set stands for; nothing else may have it.
    mutating func pairedSet(
        _ name: String, keyType: KeyType, isInterval: Bool, _ elements: [SetElement]
    ) -> SetName {
        let name = SetName(salt.isEmpty ? name : "\(name).\(digits { _ in })")
        add(NamedSet(name, keyType: keyType, isInterval: isInterval, isPaired: true, elements: elements))
        return name
    }

    /// A map.
    /// - Parameters:
    ///   - base: the map's name where it is large and keeps it, so that differences alone are sent (`isPaired`).
    ///   - keepsName: whether nothing else has that name.
    mutating func map(
        _ base: String, keyType: KeyType, isInterval: Bool = true, values: NamedSet.Values = .verdicts,
        keepsName: Bool, _ elements: [SetElement]
    ) -> SetName {
        guard keepsName, elements.count > Self.mostOfSmallMap else {
            return set(base, keyType: keyType, isInterval: isInterval, values: values, elements)
        }
        let name = SetName(salt.isEmpty ? base : "\(base).\(digits { _ in })")
        add(
            NamedSet(
                name, keyType: keyType, isInterval: isInterval, values: values, isPaired: true, elements: elements))
        return name
    }

    mutating func set(
        _ base: String, keyType: KeyType, isInterval: Bool, values: NamedSet.Values = .none, _ elements: [SetElement],
        suffix: String = ""
    ) -> SetName {
        let name = SetName("\(base).\(digits { $0.add(elements, of: keyType) })\(suffix)")
        add(
            NamedSet(
                name, keyType: keyType, isInterval: isInterval, values: values, elements: elements))
        return name
    }

    private func digits(_ add: (inout ContentDigest) -> Void) -> String {
        var digest = ContentDigest()
        digest.add(salt)
        add(&digest)
        return digest.digits
    }
}
