package enum Hook: UInt32, Hashable, Sendable, CaseIterable {
    case prerouting = 0
    case input = 1
    case forward = 2
    case output = 3
    case postrouting = 4
}

/// Where the kernel enters a base chain (type `filter`, policy accept).
package struct Attachpoint: Hashable, Sendable {
    package var hook: Hook
    package var priority: Int32

    package init(hook: Hook, priority: Int32) {
        self.hook = hook
        self.priority = priority
    }
}

package struct Chain: Hashable, Sendable {
    package let name: ChainName
    /// Nil for a chain that is only jumped to.
    package var attachpoint: Attachpoint?
    package var rules: [Rule]

    package init(_ name: ChainName, at attachpoint: Attachpoint? = nil, rules: [Rule]) {
        self.name = name
        self.attachpoint = attachpoint
        self.rules = rules
    }
}

/// What the keys of a set are.
package enum KeyType: Hashable, Sendable, CaseIterable {
    case ipv4Address, ipv6Address, inetService, inetProtocol, deviceName

    package var width: Int {
        switch self {
        case .inetProtocol: 1
        case .inetService: 2
        case .ipv4Address: 4
        case .ipv6Address, .deviceName: 16
        }
    }
}

package enum SetKey: Hashable, Sendable {
    /// One value or, in an interval set, a closed range of values; host order.
    case values(ClosedRange<UInt128>)
    case device(String)
}

package struct SetElement: Hashable, Sendable {
    package var key: SetKey
    /// What a map does; nil in a plain set.
    package var verdict: Verdict?

    package init(_ key: SetKey, verdict: Verdict? = nil) {
        self.key = key
        self.verdict = verdict
    }
}

/// A named set, or a map from keys to verdicts. The elements of an interval set are disjoint and ascending; we merge
/// them ourselves and never ask the kernel to (`auto-merge`).
package struct NamedSet: Hashable, Sendable {
    package let name: SetName
    package var keyType: KeyType
    package var isInterval: Bool
    package var isVerdictMap: Bool
    package var elements: [SetElement]

    package init(
        _ name: SetName, keyType: KeyType, isInterval: Bool, isVerdictMap: Bool = false, elements: [SetElement]
    ) {
        self.name = name
        self.keyType = keyType
        self.isInterval = isInterval
        self.isVerdictMap = isVerdictMap
        self.elements = elements
    }
}

/// A table of family `inet` with all it holds.
package struct Ruleset: Hashable, Sendable {
    package var table: String
    package var chains: [ChainName: Chain]
    package var sets: [SetName: NamedSet]
    package var counters: Set<CounterName>
    /// Switched off by somebody (`flags dormant`): its chains see no packet.
    package var isDormant = false

    package init(table: String, chains: [Chain] = [], sets: [NamedSet] = [], counters: Set<CounterName> = []) {
        self.table = table
        self.chains = Dictionary(chains.map { ($0.name, $0) }) { first, _ in first }
        self.sets = Dictionary(sets.map { ($0.name, $0) }) { first, _ in first }
        self.counters = counters
    }
}
