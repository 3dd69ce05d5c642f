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
package enum KeyType: Hashable, Sendable {
    case ipv4Address, ipv6Address, inetService, inetProtocol, deviceName
    /// Numbers of our own, of 1 to 16 bytes, in network order.
    case integer(width: Int)
    /// Several values one behind the other, each in a register of its own or several: `ifname . ipv4_addr`.
    indirect case concatenation([KeyType])

    /// Those that a concatenation is made of.
    package static let simple: [KeyType] = [.ipv4Address, .ipv6Address, .inetService, .inetProtocol, .deviceName]

    /// Bytes. In a concatenation each value takes whole registers of 4 bytes.
    package var width: Int {
        switch self {
        case .inetProtocol: 1
        case .inetService: 2
        case .ipv4Address: 4
        case .ipv6Address, .deviceName: 16
        case .integer(let width): width
        case .concatenation(let types): types.reduce(0) { $0 + ($1.width + 3) / 4 * 4 }
        }
    }
}

package enum SetKey: Hashable, Sendable {
    /// One value or, in an interval set, a closed range of values; host order.
    case values(ClosedRange<UInt128>)
    case device(String)
    /// One key for each part of a concatenation; single values alone.
    indirect case concatenation([SetKey])
    /// All that no other element of a map holds. Not of intervals.
    case catchAll
}

/// A named set, or a map from keys to verdicts or numbers. Elements are ascending (`SetKey.<`), those of an interval
/// set disjoint; we merge them ourselves and never ask the kernel to (`auto-merge`).
package struct NamedSet: Hashable, Sendable {
    package let name: SetName
    package var keyType: KeyType
    package var isInterval: Bool
    package var values: Values
    /// Elements come and go by themselves (`NFT_SET_TIMEOUT`): they are no part of the ruleset, neither compared nor
    /// read back, and `elements` is empty.
    package var expires: Bool
    /// Large, and changes a little now and then: the kernel holds it twice, so that a change of its elements sends only
    /// the difference and yet no packet meets half of it (`PairedSets`). Only in a wanted ruleset, of a set whose name
    /// does not depend on its content; what is read back never is. Not for sets that expire.
    package var isPaired: Bool
    package var elements: [SetElement]
    /// For how many elements the kernel makes room, and how many it takes at most; nil: it takes any number, and makes
    /// room as they come. Of hash tables alone, and only of what the kernel holds or is to make (`PairedSets`).
    package var capacity: Int?

    package init(
        _ name: SetName, keyType: KeyType, isInterval: Bool, values: Values = .none, expires: Bool = false,
        isPaired: Bool = false, elements: [SetElement]
    ) {
        precondition(!isPaired || !expires, "what expires by itself is not paired")
        self.name = name
        self.keyType = keyType
        self.isInterval = isInterval
        self.values = values
        self.expires = expires
        self.isPaired = isPaired
        self.elements = elements
    }

    /// What keys lead to.
    package enum Values: Hashable, Sendable {
        /// Nothing: a plain set.
        case none
        case verdicts
        /// Of 4 bytes, for a further look-up.
        case numbers
    }

    package var isVerdictMap: Bool { values == .verdicts }
    package var isMap: Bool { values != .none }

    /// Whether an element leads to what the set's elements lead to.
    package func admits(_ value: SetElement.Value) -> Bool {
        switch value {
        case .none, .timeout: values == .none
        case .verdict: values == .verdicts
        case .number: values == .numbers
        }
    }
}

/// Time-outs of connections, as an object that rules give to them (`ct timeout`). TCP: of established connections; UDP:
/// answered or not. Others stay the kernel's own.
package struct TimeoutObject: Hashable, Sendable {
    package let name: TimeoutName
    package var transport: Transport
    package var seconds: UInt32

    package enum Transport: UInt8, Hashable, Sendable, CaseIterable {
        case tcp = 6
        case udp = 17
    }

    package init(_ name: TimeoutName, transport: Transport, seconds: UInt32) {
        self.name = name
        self.transport = transport
        self.seconds = seconds
    }
}

/// A table of family `inet` with all it holds.
package struct Ruleset: Hashable, Sendable {
    package var table: String
    package var chains: [ChainName: Chain]
    package var sets: [SetName: NamedSet]
    package var counters: Set<CounterName>
    package var timeouts: [TimeoutName: TimeoutObject]
    /// Switched off by somebody (`flags dormant`): its chains see no packet.
    package var isDormant = false

    package init(
        table: String, chains: [Chain] = [], sets: [NamedSet] = [], counters: Set<CounterName> = [],
        timeouts: [TimeoutObject] = []
    ) {
        self.table = table
        self.chains = Dictionary(chains.map { ($0.name, $0) }) { first, _ in first }
        self.sets = Dictionary(sets.map { ($0.name, $0) }) { first, _ in first }
        self.counters = counters
        self.timeouts = Dictionary(timeouts.map { ($0.name, $0) }) { first, _ in first }
    }
}

extension Ruleset {
    /// Whether a table holds the same chains, sets, counters and time-outs, whatever rules and elements are in them.
    /// - Parameter outline: without rules and elements (`RulesetStore.outline`).
    package func hasOutline(_ outline: Ruleset) -> Bool {
        isDormant == outline.isDormant && counters == outline.counters && timeouts == outline.timeouts
            && chains.count == outline.chains.count && sets.count == outline.sets.count
            && outline.chains.values.allSatisfy { chain in
                chains[chain.name].map { $0.attachpoint == chain.attachpoint } ?? false
            }
            && outline.sets.values.allSatisfy { set in
                set.elements.isEmpty && sets[set.name].map { $0.isOfKind(set) } ?? false
            }
    }
}
