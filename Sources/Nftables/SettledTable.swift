/// What the kernel's table holds once a change has been carried out to its end by ourselves: the wanted ruleset, and
/// the idle ones of paired sets. The next change is planned from the parts that differ alone.
package struct SettledTable: Sendable {
    package private(set) var ruleset: Ruleset
    private var wanted: ComposedRuleset
    /// Sets that no rule looks into.
    private var spares: Set<SetName>

    /// - Parameter change: to `wanted`; swept.
    package init(after change: Change, to wanted: ComposedRuleset) {
        ruleset = change.result
        spares = change.spares
        self.wanted = wanted
    }

    /// Becomes what there is once the returned change has been carried out: the same change as from the whole ruleset
    /// to the wanted one, found by a look at the parts that differ. O(parts + objects of those that differ).
    package mutating func change(to next: ComposedRuleset) -> Change {
        var change: Change
        if let concern = concern(of: next) {
            change = Change(from: concern.present, to: concern.wanted, facts) { next.ruleset.mentions }
            replace(concern.present, with: change.result)
            change.takeOver(ruleset, besides: concern.otherSpares)
        } else {
            change = Change(from: ruleset, to: next.ruleset, facts)
            ruleset = change.result
        }
        (wanted, spares) = (next, change.spares)
        return change
    }

    /// What a change to another wanted ruleset has to look at.
    private struct Concern {
        /// Of what is in force: all that comes of parts that the other ruleset does not have, and what is in the way.
        var present: Ruleset
        /// The parts that this one does not have.
        var wanted: Ruleset
        /// Sets that stay unused beside.
        var otherSpares: Set<SetName>
    }

    private var facts: TableFacts { TableFacts(of: ruleset, spares: spares) }

    /// Nil where parts depend on one another, so that all has to be looked at.
    private func concern(of next: ComposedRuleset) -> Concern? {
        let known = Set(wanted.parts.map(ObjectIdentifier.init))
        let stay = Set(next.parts.map(ObjectIdentifier.init)).intersection(known)
        let kept = wanted.parts.filter { stay.contains(ObjectIdentifier($0)) }
        let gone = wanted.parts.filter { !stay.contains(ObjectIdentifier($0)) }
        let come = next.parts.filter { !stay.contains(ObjectIdentifier($0)) }
        guard !Self.sharesPairs(wanted.parts + come) else { return nil }
        var after = ComposedRuleset.merged(come, table: next.table)
        var before = ComposedRuleset.merged(gone, table: next.table)
        // What another part has too stays, or comes, with that one.
        before.remove(whatIsNotIn: after, andIsIn: kept)
        guard !Self.mayRename(before, after, setsOf: kept) else { return nil }
        if !(gone + come).contains(where: \.hasEntrances) {
            leaveOut(whatIsSameIn: &before, and: &after, but: (gone + come).map(\.chainsOverPairs))
        }
        let present = part(of: before, and: after)
        return Concern(
            present: present, wanted: after, otherSpares: spares.filter { present.sets[$0] == nil })
    }

    /// Leaves out of wanted rulesets the chains and counters that are in both, and in force as they are there.
    /// - Parameter bent: chains that stay.
    private func leaveOut(
        whatIsSameIn before: inout Ruleset, and after: inout Ruleset, but bent: [Set<ChainName>]
    ) {
        var same: Set<ChainName> = []
        for (name, chain) in after.chains
        where before.chains[name] == chain && ruleset.chains[name] == chain
            && !bent.contains(where: { $0.contains(name) })
        {
            same.insert(name)
        }
        before.chains = before.chains.filter { !same.contains($0.key) }
        after.chains = after.chains.filter { !same.contains($0.key) }
        let counters = before.counters.filter { after.counters.contains($0) && ruleset.counters.contains($0) }
        before.counters.subtract(counters)
        after.counters.subtract(counters)
    }

    /// Whether rules of a part look into paired sets, which may change their names, of another.
    private static func sharesPairs(_ parts: [RulesetPart]) -> Bool {
        let foreign = parts.reduce(into: Set<SetName>()) { $0.formUnion($1.foreignSets) }
        return parts.contains { part in foreign.contains { part.content.sets[$0]?.isPaired ?? false } }
    }

    /// Whether a paired set that may change its name is in parts that stay too, or is in its way there.
    private static func mayRename(_ before: Ruleset, _ after: Ruleset, setsOf kept: [RulesetPart]) -> Bool {
        for set in after.sets.values where set.isPaired {
            if before.sets[set.name]?.isEquivalent(to: set) == true { continue }
            let names = set.name.pairNames.prefix(2)
            if kept.contains(where: { part in names.contains { part.content.sets[$0] != nil } }) { return true }
        }
        return false
    }

    /// What is in force under the names of wanted rulesets, and under those that it has instead.
    private func part(of before: Ruleset, and after: Ruleset) -> Ruleset {
        var part = Ruleset(table: ruleset.table)
        part.isDormant = ruleset.isDormant
        part.timeouts = ruleset.timeouts
        for wanted in [before, after] {
            for name in wanted.chains.keys where part.chains[name] == nil {
                part.chains[name] = ruleset.chains[name]
                guard name.isTrampoline, let goal = ruleset.goal(of: name) else { continue }
                part.chains[goal] = ruleset.chains[goal]
            }
            for set in wanted.sets.values {
                for name in set.isPaired ? set.name.pairNames : [set.name] { part.sets[name] = ruleset.sets[name] }
            }
            part.counters.formUnion(wanted.counters.filter { ruleset.counters.contains($0) })
        }
        return part
    }

    /// Replaces a part of what is in force.
    private mutating func replace(_ present: Ruleset, with result: Ruleset) {
        for name in present.chains.keys where result.chains[name] == nil { ruleset.chains[name] = nil }
        for (name, chain) in result.chains { ruleset.chains[name] = chain }
        for name in present.sets.keys where result.sets[name] == nil { ruleset.sets[name] = nil }
        for (name, set) in result.sets { ruleset.sets[name] = set }
        for name in present.counters where !result.counters.contains(name) { ruleset.counters.remove(name) }
        ruleset.counters.formUnion(result.counters)
        ruleset.timeouts = result.timeouts
        ruleset.isDormant = false
    }
}

extension Ruleset {
    fileprivate mutating func remove(whatIsNotIn after: Ruleset, andIsIn kept: [RulesetPart]) {
        for name in chains.keys where after.chains[name] == nil {
            if kept.contains(where: { $0.content.chains[name] != nil }) { chains[name] = nil }
        }
        for name in sets.keys where after.sets[name] == nil {
            if kept.contains(where: { $0.content.sets[name] != nil }) { sets[name] = nil }
        }
        for name in counters where !after.counters.contains(name) {
            if kept.contains(where: { $0.content.counters.contains(name) }) { counters.remove(name) }
        }
    }
}
