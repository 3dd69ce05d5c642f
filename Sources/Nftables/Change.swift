/// The way from one ruleset to another (E1): four lists of operations, in an order that never shows a packet half a
/// policy.
///
/// The swap adds, replaces and deletes rules, and nothing else: no set, element, chain or counter is made or deleted in
/// it. A packet's walk reads the ruleset's generation once and meets the rules of that generation in every chain; its
/// look-ups read it again, so that what they look into must be the same before and after (KERNEL 2). Mostly it replaces
/// the one rule of trampolines, which lead to chains that were built beside; where little of a chain changes, that
/// chain's own rules.
package struct Change: Hashable, Sendable {
    /// What packets enter by, with every trampoline accepting; only where it is missing.
    package var skeleton: [Operation] = []
    /// New chains and sets that nothing in force refers to; may be cut into any number of transactions, in this order.
    package var build: [Operation] = []
    /// One transaction.
    package var swap: [Operation] = []
    /// What nothing refers to any more; at least 100 ms after the swap.
    package var sweep: [Operation] = []

    package var isEmpty: Bool { skeleton.isEmpty && build.isEmpty && swap.isEmpty && sweep.isEmpty }

    /// - Parameter inForce: what the kernel holds, dumped rather than remembered, or nil where there is no table.
    package init(from inForce: Ruleset?, to wanted: Ruleset) {
        let old = inForce ?? Ruleset(table: wanted.table)
        let wanted = wanted.rebased(onto: old)
        if inForce == nil { skeleton.append(.addTable) }
        let entered = Self.chainsReached(fromBaseChainsOf: wanted)
        addObjects(from: old, to: wanted, enteredAlready: entered)
        changeChains(from: old, to: wanted)
        moveBaseChains(from: old, to: wanted)
        sweepObjects(from: old, to: wanted)
        if old.isDormant { swap.insert(.wakeTable, at: 0) }
    }

    /// Base chains and what they jump to without passing a trampoline, the trampolines included.
    private static func chainsReached(fromBaseChainsOf ruleset: Ruleset) -> Set<ChainName> {
        var reached = Set(ruleset.chains.values.filter { $0.attachpoint != nil }.map(\.name))
        var pending = Array(reached)
        while let name = pending.popLast() {
            guard !name.isTrampoline, let chain = ruleset.chains[name] else { continue }
            for case .verdict(let verdict) in chain.rules.flatMap(\.steps) {
                if let target = verdict.target, reached.insert(target).inserted { pending.append(target) }
            }
        }
        return reached
    }

    private mutating func addObjects(from old: Ruleset, to wanted: Ruleset, enteredAlready entered: Set<ChainName>) {
        let newChains = wanted.chains.values.filter { old.chains[$0.name] == nil }.sorted { $0.name < $1.name }
        let skeletonChains = newChains.filter { entered.contains($0.name) }
        let otherChains = newChains.filter { !entered.contains($0.name) }

        // A base chain comes with its rules after the chains it jumps to.
        skeleton += skeletonChains.filter { $0.attachpoint == nil }.map { .addChain($0.name, nil) }
        for chain in skeletonChains where chain.attachpoint == nil {
            skeleton += (chain.name.isTrampoline ? [Self.open] : chain.rules).map { .addRule($0, to: chain.name) }
            if chain.name.isTrampoline, let rule = chain.rules.first, rule != Self.open {
                swap.append(.replaceRule(at: 0, in: chain.name, with: rule))
            }
        }
        for chain in skeletonChains where chain.attachpoint != nil {
            skeleton.append(.addChain(chain.name, chain.attachpoint))
            skeleton += chain.rules.map { .addRule($0, to: chain.name) }
        }

        build += wanted.counters.subtracting(old.counters).sorted().map { .addCounter($0) }
        let newSets = wanted.sets.values.filter { old.sets[$0.name] != $0 }.sorted { $0.name < $1.name }
        // Left behind, half filled, by a change that was interrupted: nothing looks into it.
        let idle = Set(newSets.map(\.name)).intersection(old.sets.keys).subtracting(old.setsInUse)
        build += idle.sorted().map { .deleteSet($0) }
        for set in newSets where !set.isVerdictMap { build += Self.adding(set) }
        build += otherChains.map { .addChain($0.name, nil) }
        for set in newSets where set.isVerdictMap { build += Self.adding(set) }
        build += otherChains.flatMap { chain in chain.rules.map { .addRule($0, to: chain.name) } }
    }

    /// What a trampoline holds before its first swap.
    private static let open = Rule(.verdict(.accept))

    private static func adding(_ set: NamedSet) -> [Operation] {
        [.addSet(set)] + (set.elements.isEmpty ? [] : [.addElements(set.elements, to: set)])
    }

    private mutating func changeChains(from old: Ruleset, to wanted: Ruleset) {
        let mentioned = old.mentions
        for chain in wanted.chains.values.sorted(by: { $0.name < $1.name }) {
            guard let present = old.chains[chain.name], present.rules != chain.rules,
                present.attachpoint == chain.attachpoint
            else { continue }
            if mentioned[chain.name] == nil, chain.attachpoint == nil, !chain.name.isTrampoline {
                // Left behind, half filled, by a change that was interrupted.
                build.append(.flushChain(chain.name))
                build += chain.rules.map { .addRule($0, to: chain.name) }
            } else {
                swap += RuleEdits(from: present.rules, to: chain.rules).operations(in: chain.name)
            }
        }
    }

    /// A base chain's place cannot be changed, so it is made anew. Other versions of ours, or somebody else's hand.
    private mutating func moveBaseChains(from old: Ruleset, to wanted: Ruleset) {
        for chain in wanted.chains.values.sorted(by: { $0.name < $1.name }) {
            guard let present = old.chains[chain.name], present.attachpoint != chain.attachpoint else { continue }
            swap += [.flushChain(chain.name), .deleteChain(chain.name), .addChain(chain.name, chain.attachpoint)]
            swap += chain.rules.map { .addRule($0, to: chain.name) }
        }
    }

    private mutating func sweepObjects(from old: Ruleset, to wanted: Ruleset) {
        let deadChains = old.chains.keys.filter { wanted.chains[$0] == nil }.sorted()
        let deadSets = old.sets.values.filter { wanted.sets[$0.name] == nil }.sorted { $0.name < $1.name }
        sweep += deadChains.map { .flushChain($0) }
        sweep += deadSets.filter(\.isVerdictMap).map { .deleteSet($0.name) }
        sweep += deadChains.map { .deleteChain($0) }
        sweep += deadSets.filter { !$0.isVerdictMap }.map { .deleteSet($0.name) }
        sweep += old.counters.subtracting(wanted.counters).sorted().map { .deleteCounter($0) }
    }
}
