import NSGModel

/// Adds up decisions by the rules that took part in them. A decision costs one look-up, and none where it is like the
/// one before: what the sides come to in rules is worked out when the sum is asked for.
package struct DecisionTally: Sendable {
    private struct Key: Hashable {
        var side: ObjectIdentifier
        var isDenied: Bool
    }

    private struct Count: Sendable {
        /// Held, so that its identity stays its own.
        var side: LoggedSide
        var isDenied: Bool
        var decisions: UInt64
    }

    private var places: [Key: Int] = [:]
    private var counts: [Count] = []
    private var last = -1

    package init() {}

    package var isEmpty: Bool { counts.isEmpty }

    package mutating func add(_ side: LoggedSide, isDenied: Bool = false, _ decisions: UInt64 = 1) {
        guard decisions > 0 else { return }
        if last >= 0, counts[last].side === side, counts[last].isDenied == isDenied {
            counts[last].decisions &+= decisions
            return
        }
        let key = Key(side: ObjectIdentifier(side), isDenied: isDenied)
        if let place = places[key] {
            counts[place].decisions &+= decisions
            last = place
            return
        }
        last = counts.count
        places[key] = last
        counts.append(Count(side: side, isDenied: isDenied, decisions: decisions))
    }

    package mutating func add(_ record: FlowRecord) {
        add(record.side, isDenied: record.access == .deny, record.decisions)
    }

    package mutating func add(_ other: DecisionTally) {
        for count in other.counts { add(count.side, isDenied: count.isDenied, count.decisions) }
    }

    package mutating func removeAll() { self = DecisionTally() }

    /// First packets that every list allowed. A packet that went on to another interface of this host is told of there.
    package var allowed: UInt64 {
        counts.reduce(0) { $0 &+ ($1.isDenied || $1.side.facts.isPassedOn ? 0 : $1.decisions) }
    }

    package var denied: UInt64 { counts.reduce(0) { $0 &+ ($1.isDenied ? $1.decisions : 0) } }

    /// Decisions of every rule.
    package var rules: [CountedRule: UInt64] {
        var rules: [CountedRule: UInt64] = [:]
        for count in counts {
            for rule in count.side.countedRules(count.isDenied ? .deny : .allow) {
                rules[rule, default: 0] &+= count.decisions
            }
        }
        return rules
    }
}
