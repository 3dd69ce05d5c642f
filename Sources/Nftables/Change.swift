/// The way from one ruleset to another (E1): four lists of operations, in an order that never shows a packet half a
/// policy.
///
/// The swap adds, replaces and deletes rules, and nothing else: no set, element, chain or counter is made or deleted in
/// it. A packet's walk reads the ruleset's generation once and meets the rules of that generation in every chain; its
/// look-ups read it again, so that what they look into must be the same before and after (KERNEL 2). Mostly it replaces
/// the one rule of trampolines, which lead to chains that were built beside; where little of a chain changes, that
/// chain's own rules. Large sets come in pairs, of which only the one that nothing looks into is edited (`PairedSets`).
package struct Change: Hashable, Sendable {
    /// What packets enter by, with every trampoline accepting; only where it is missing.
    package var skeleton: [Operation] = []
    /// New chains and sets that nothing in force refers to, and what changes in paired sets that nothing looks into; may
    /// be cut into any number of transactions, in this order.
    package var build: [Operation] = []
    /// One transaction.
    package var swap: [Operation] = []
    /// What nothing refers to any more goes, and what nothing looks into any more of paired sets is brought up to date;
    /// at least 100 ms after the swap, and only after it. May be cut like `build`.
    package var sweep: [Operation] = []

    package var isEmpty: Bool { skeleton.isEmpty && build.isEmpty && swap.isEmpty && sweep.isEmpty }

    /// - Parameter inForce: what the kernel holds, dumped rather than remembered, or nil where there is no table.
    package init(from inForce: Ruleset?, to wanted: Ruleset) {
        let old = inForce ?? Ruleset(table: wanted.table)
        let pairs = PairedSets(of: wanted, in: old)
        let wanted = pairs.ruleset.rebased(onto: old)
        if inForce == nil { skeleton.append(.addTable) }
        addSkeleton(from: old, to: wanted)
        addObjects(from: old, to: wanted, editing: pairs.edited)
        addChains(from: old, to: wanted)
        changeChains(from: old, to: wanted)
        moveBaseChains(from: old, to: wanted)
        openBaseChains(of: old, absentFrom: wanted)
        sweepObjects(from: old, to: wanted, but: Set(pairs.spares.map(\.name)))
        for spare in pairs.spares { sweep += Self.bringing(old.sets[spare.name], to: spare) }
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

    private mutating func addSkeleton(from old: Ruleset, to wanted: Ruleset) {
        let entered = Self.chainsReached(fromBaseChainsOf: wanted)
        let chains = Self.newChains(of: wanted, besides: old).filter { entered.contains($0.name) }
        // A base chain comes with its rules after the chains it jumps to.
        skeleton += chains.filter { $0.attachpoint == nil }.map { .addChain($0.name, nil) }
        for chain in chains where chain.attachpoint == nil {
            skeleton += (chain.name.isTrampoline ? [Self.open] : chain.rules).map { .addRule($0, to: chain.name) }
            if chain.name.isTrampoline, let rule = chain.rules.first, rule != Self.open {
                swap.append(.replaceRule(at: 0, in: chain.name, with: rule))
            }
        }
        for chain in chains where chain.attachpoint != nil {
            skeleton.append(.addChain(chain.name, chain.attachpoint))
            skeleton += chain.rules.map { .addRule($0, to: chain.name) }
        }
    }

    private static func newChains(of wanted: Ruleset, besides old: Ruleset) -> [Chain] {
        wanted.chains.values.filter { old.chains[$0.name] == nil }.sorted { $0.name < $1.name }
    }

    /// Counters, time-outs and sets; maps wait for the chains they lead to.
    /// - Parameter edited: sets that are edited element by element where they are there.
    private mutating func addObjects(from old: Ruleset, to wanted: Ruleset, editing edited: Set<SetName>) {
        build += wanted.counters.subtracting(old.counters).sorted().map { .addCounter($0) }
        let timeouts = wanted.timeouts.values.filter { old.timeouts[$0.name] != $0 }.sorted { $0.name < $1.name }
        let timeoutsInUse = old.timeoutsInUse
        for timeout in timeouts {
            if old.timeouts[timeout.name] != nil, !timeoutsInUse.contains(timeout.name) {
                build.append(.deleteTimeout(timeout.name))
            }
            build.append(.addTimeout(timeout))
        }
        let sets = Self.newSets(of: wanted, besides: old)
        // Left behind, half filled, by a change that was interrupted: nothing looks into it.
        let idle = Set(sets.map(\.name)).intersection(old.sets.keys).subtracting(old.setsInUse).subtracting(edited)
        build += idle.sorted().map { .deleteSet($0) }
        for set in sets where !set.isVerdictMap {
            build += edited.contains(set.name) ? Self.bringing(old.sets[set.name], to: set) : Self.adding(set)
        }
    }

    private static func newSets(of wanted: Ruleset, besides old: Ruleset) -> [NamedSet] {
        wanted.sets.values.filter { old.sets[$0.name]?.isEquivalent(to: $0) != true }.sorted { $0.name < $1.name }
    }

    private mutating func addChains(from old: Ruleset, to wanted: Ruleset) {
        let entered = Self.chainsReached(fromBaseChainsOf: wanted)
        let chains = Self.newChains(of: wanted, besides: old).filter { !entered.contains($0.name) }
        build += chains.map { .addChain($0.name, nil) }
        for set in Self.newSets(of: wanted, besides: old) where set.isVerdictMap { build += Self.adding(set) }
        build += chains.flatMap { chain in chain.rules.map { .addRule($0, to: chain.name) } }
    }

    /// What a trampoline holds before its first swap.
    private static let open = Rule(.verdict(.accept))

    private static func adding(_ set: NamedSet) -> [Operation] {
        [.addSet(set)] + (set.elements.isEmpty || set.expires ? [] : [.addElements(set.elements, to: set)])
    }

    /// What makes the wanted set of one that nothing looks into: its differences where it can be edited.
    private static func bringing(_ present: NamedSet?, to wanted: NamedSet) -> [Operation] {
        guard let present else { return adding(wanted) }
        guard present.isEditable(to: wanted) else { return [.deleteSet(wanted.name)] + adding(wanted) }
        return ElementEdits(from: present.elements, to: wanted.elements).operations(on: wanted)
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

    /// A base chain that goes lets everything pass from the swap on; it is deleted later.
    private mutating func openBaseChains(of old: Ruleset, absentFrom wanted: Ruleset) {
        let dead = old.chains.values.filter { $0.attachpoint != nil && wanted.chains[$0.name] == nil }
        let targets = dead.flatMap(\.rules).flatMap(\.steps).compactMap { step -> ChainName? in
            if case .verdict(let verdict) = step { verdict.target } else { nil }
        }
        for name in Set(targets).sorted() where name.isTrampoline && wanted.chains[name] == nil {
            guard let rules = old.chains[name]?.rules, !rules.isEmpty, rules != [Self.open] else { continue }
            swap.append(.replaceRule(at: 0, in: name, with: Self.open))
        }
    }

    /// - Parameter spares: sets that stay, though no rule looks into them.
    private mutating func sweepObjects(from old: Ruleset, to wanted: Ruleset, but spares: Set<SetName>) {
        let deadChains = old.chains.keys.filter { wanted.chains[$0] == nil }.sorted()
        let deadSets = old.sets.values.filter { wanted.sets[$0.name] == nil && !spares.contains($0.name) }
            .sorted { $0.name < $1.name }
        sweep += deadChains.map { .flushChain($0) }
        sweep += deadSets.filter(\.isVerdictMap).map { .deleteSet($0.name) }
        sweep += deadChains.map { .deleteChain($0) }
        sweep += deadSets.filter { !$0.isVerdictMap }.map { .deleteSet($0.name) }
        sweep += old.counters.subtracting(wanted.counters).sorted().map { .deleteCounter($0) }
        // Time-outs stay as long as the table: with its object a live connection would lose the time-out it was given,
        // and take the kernel's own, of days.
    }
}
