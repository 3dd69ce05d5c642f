/// Chains, sets, counters and time-outs that are made together: what a ruleset is put together of, so that the next one
/// is known to have the same part without a look at what is in it.
package final class RulesetPart: Sendable {
    package let content: Ruleset
    /// Sets of other parts that its rules look into.
    let foreignSets: Set<SetName>
    /// Chains that look into paired sets: in force their rules may name the other one of a pair.
    let chainsOverPairs: Set<ChainName>
    /// Whether it has what packets enter by, or trampolines, which may lead to chains of other names in force.
    let hasEntrances: Bool

    /// O(rules).
    /// - Parameter earlier: whose storage is taken over for sets that are the same.
    package init(_ content: Ruleset, after earlier: RulesetPart? = nil) {
        var content = content
        content.shareSets(with: earlier?.content)
        content.dropSpareRoom()
        self.content = content
        hasEntrances = content.chains.values.contains { $0.attachpoint != nil || $0.name.isTrampoline }
        var (foreignSets, chainsOverPairs): (Set<SetName>, Set<ChainName>) = ([], [])
        for chain in content.chains.values {
            for rule in chain.rules {
                for step in rule.steps {
                    for name in step.sets {
                        if let set = content.sets[name] {
                            if set.isPaired { chainsOverPairs.insert(chain.name) }
                        } else {
                            foreignSets.insert(name)
                        }
                    }
                }
            }
        }
        self.foreignSets = foreignSets
        self.chainsOverPairs = chainsOverPairs
    }
}

extension Ruleset {
    /// What is of one storage is compared without a look at it.
    fileprivate mutating func shareSets(with earlier: Ruleset?) {
        guard let earlier else { return }
        for (name, set) in sets {
            guard let before = earlier.sets[name], before.elements == set.elements else { continue }
            sets[name]?.elements = before.elements
        }
    }

    /// An array that grew has room for up to as much again, and these live long.
    fileprivate mutating func dropSpareRoom() {
        for (name, set) in sets where set.elements.capacity > set.elements.count + set.elements.count / 8 {
            sets[name]?.elements = set.elements.map(\.self)
        }
    }
}

/// A wanted ruleset by its parts. A name that is in several of them has the same content in each.
package struct ComposedRuleset: Sendable {
    package let table: String
    package let parts: [RulesetPart]

    package init(table: String, parts: [RulesetPart]) {
        self.table = table
        self.parts = parts
    }

    /// Of one part.
    package init(_ ruleset: Ruleset) { self.init(table: ruleset.table, parts: [RulesetPart(ruleset)]) }

    /// All of it. O(objects).
    package var ruleset: Ruleset { Self.merged(parts, table: table) }

    static func merged(_ parts: [RulesetPart], table: String) -> Ruleset {
        guard let first = parts.first?.content, parts.count > 1 else {
            return parts.first?.content ?? Ruleset(table: table)
        }
        var ruleset = first
        ruleset.chains.reserveCapacity(parts.reduce(0) { $0 + $1.content.chains.count })
        ruleset.counters.reserveCapacity(parts.reduce(0) { $0 + $1.content.counters.count })
        for part in parts.dropFirst() {
            ruleset.chains.merge(part.content.chains) { chain, _ in chain }
            ruleset.sets.merge(part.content.sets) { set, _ in set }
            ruleset.counters.formUnion(part.content.counters)
            ruleset.timeouts.merge(part.content.timeouts) { timeout, _ in timeout }
        }
        return ruleset
    }
}

extension ComposedRuleset: Equatable {
    /// By content; O(parts) where they are the same ones.
    package static func == (left: Self, right: Self) -> Bool {
        guard left.table == right.table else { return false }
        return Set(left.parts.map(ObjectIdentifier.init)) == Set(right.parts.map(ObjectIdentifier.init))
            || left.ruleset == right.ruleset
    }
}
