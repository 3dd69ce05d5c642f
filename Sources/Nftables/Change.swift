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
    /// New chains and sets that nothing in force refers to, and what changes in paired sets that nothing looks into;
    /// may be cut into any number of transactions, in this order.
    package var build: [Operation] = []
    /// One transaction.
    package var swap: [Operation] = []
    /// What nothing refers to any more goes, and what nothing looks into any more of paired sets is brought up to date;
    /// at least 100 ms after the swap, and only after it. May be cut like `build`.
    package var sweep: [Operation] = []

    /// What the kernel holds when all of it is done: the wanted ruleset, under the names that are in force, and the
    /// twins of paired sets. Shares its storage with the wanted one.
    package private(set) var result: Ruleset
    /// Sets in it that no rule looks into.
    package private(set) var spares: Set<SetName>

    package var isEmpty: Bool { skeleton.isEmpty && build.isEmpty && swap.isEmpty && sweep.isEmpty }

    /// - Parameters:
    ///   - inForce: what the kernel holds, or nil where there is no table.
    package init(from inForce: Ruleset?, to wanted: Ruleset) {
        self.init(from: inForce, to: wanted, TableFacts(of: inForce ?? Ruleset(table: wanted.table)))
    }

    /// - Parameters:
    ///   - inForce: all of it, or that part of it which is not in the wanted one as it is.
    ///   - facts: of all that the kernel holds.
    ///   - mentions: how often chains are named in all that is wanted, where `wanted` is a part of it.
    init(
        from inForce: Ruleset?, to wanted: Ruleset, _ facts: TableFacts,
        mentions: (() -> [ChainName: Int])? = nil
    ) {
        let old = inForce ?? Ruleset(table: wanted.table)
        let pairs = PairedSets(of: wanted, in: old, facts)
        let wanted = pairs.ruleset.rebased(onto: old, facts, mentions: mentions)
        let difference = RulesetDifference(from: old, to: wanted)
        result = wanted
        result.isDormant = false
        for spare in pairs.spares { result.sets[spare.name] = spare }
        spares = Set(pairs.spares.map(\.name))
        for (name, timeout) in old.timeouts where wanted.timeouts[name] == nil { result.timeouts[name] = timeout }
        if inForce == nil { skeleton.append(.addTable) }
        let entered = Self.chainsReached(fromBaseChainsOf: wanted)
        addSkeleton(difference.newChains.filter { entered.contains($0.name) })
        build += difference.newCounters.map { .addCounter($0) }
        addTimeouts(from: old, to: wanted, facts)
        let (edited, plain) = Self.parted(difference.newSets, by: pairs.edited)
        let edits = edited.map { SetOperations(bringing: old.sets[$0.name], to: $0) }
        addSets(plain, besides: old, facts)
        for set in edits { build += set.making }
        addChains(difference.newChains.filter { !entered.contains($0.name) }, plain)
        // The kernel goes through a map for each rule that it binds to it, and some of these maps are large. One of
        // a pair that is left half filled can be filled up later, whatever rules look into it; a plain one must be
        // whole before a rule does.
        for set in edits { build += set.filling }
        changeChains(difference.changedChains, facts)
        moveBaseChains(difference.changedChains)
        openBaseChains(of: old, absentFrom: wanted)
        sweepObjects(difference, bringing: pairs.spares, of: old)
        if old.isDormant { swap.insert(.wakeTable, at: 0) }
    }

    /// Makes the change of a part that of the whole.
    /// - Parameters:
    ///   - whole: the result.
    ///   - others: spares of other parts.
    mutating func takeOver(_ whole: Ruleset, besides others: Set<SetName>) {
        result = whole
        spares.formUnion(others)
    }

    /// Base chains and what they jump to without passing a trampoline, the trampolines included.
    private static func chainsReached(fromBaseChainsOf ruleset: Ruleset) -> Set<ChainName> {
        var reached: Set<ChainName> = []
        for chain in ruleset.chains.values where chain.attachpoint != nil { reached.insert(chain.name) }
        var pending = Array(reached)
        while let name = pending.popLast() {
            guard !name.isTrampoline, let chain = ruleset.chains[name] else { continue }
            for target in chain.targets where reached.insert(target).inserted { pending.append(target) }
        }
        return reached
    }

    private mutating func addSkeleton(_ chains: [Chain]) {
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

    private mutating func addTimeouts(from old: Ruleset, to wanted: Ruleset, _ facts: TableFacts) {
        let timeouts = wanted.timeouts.values.filter { old.timeouts[$0.name] != $0 }.sorted { $0.name < $1.name }
        for timeout in timeouts {
            if old.timeouts[timeout.name] != nil, !facts.isInUse(timeout.name) {
                build.append(.deleteTimeout(timeout.name))
            }
            build.append(.addTimeout(timeout))
        }
    }

    /// Sets and maps that are edited element by element where they are there, and others.
    private static func parted(
        _ sets: [NamedSet], by edited: Set<SetName>
    ) -> (edited: [NamedSet], plain: [NamedSet]) {
        (sets.filter { edited.contains($0.name) }, sets.filter { !edited.contains($0.name) })
    }

    /// Plain sets and maps of numbers; maps of verdicts wait for the chains they lead to.
    private mutating func addSets(_ sets: [NamedSet], besides old: Ruleset, _ facts: TableFacts) {
        // Left behind, half filled, by a change that was interrupted: nothing looks into it.
        for set in sets where old.sets[set.name] != nil && !facts.isInUse(set.name) {
            build.append(.deleteSet(set.name))
        }
        for set in sets where !set.isVerdictMap { build += SetOperations(adding: set).all }
    }

    private mutating func addChains(_ chains: [Chain], _ sets: [NamedSet]) {
        for chain in chains { build.append(.addChain(chain.name, nil)) }
        for set in sets where set.isVerdictMap { build += SetOperations(adding: set).all }
        for chain in chains {
            for rule in chain.rules { build.append(.addRule(rule, to: chain.name)) }
        }
    }

    /// What a trampoline holds before its first swap.
    private static let open = Rule(.verdict(.accept))

    /// Chains with names of their own, which cannot be built beside. Nothing here bounds how many of their rules the
    /// swap edits: there are few in a list's trunk and in an interface's chain, and a swap that does not fit the
    /// socket's buffer is refused before it is sent (`KernelLimits`).
    ///
    /// One that no packet comes to was left behind, half filled, by a change that was interrupted, whatever else that
    /// left behind leads to it.
    private mutating func changeChains(_ changed: [(old: Chain, new: Chain)], _ facts: TableFacts) {
        for (present, chain) in changed where present.attachpoint == chain.attachpoint {
            if chain.attachpoint == nil, !chain.name.isTrampoline, !facts.isReached(chain.name) {
                build.append(.flushChain(chain.name))
                build += chain.rules.map { .addRule($0, to: chain.name) }
            } else {
                swap += RuleEdits(from: present.rules, to: chain.rules).operations(in: chain.name)
            }
        }
    }

    /// A base chain's place cannot be changed, so it is made anew. Other versions of ours, or somebody else's hand.
    private mutating func moveBaseChains(_ changed: [(old: Chain, new: Chain)]) {
        for (present, chain) in changed where present.attachpoint != chain.attachpoint {
            swap += [.flushChain(chain.name), .deleteChain(chain.name), .addChain(chain.name, chain.attachpoint)]
            swap += chain.rules.map { .addRule($0, to: chain.name) }
        }
    }

    /// A base chain that goes lets everything pass from the swap on; it is deleted later.
    private mutating func openBaseChains(of old: Ruleset, absentFrom wanted: Ruleset) {
        var targets: Set<ChainName> = []
        for chain in old.chains.values where chain.attachpoint != nil && wanted.chains[chain.name] == nil {
            targets.formUnion(chain.targets)
        }
        for name in targets.sorted() where name.isTrampoline && wanted.chains[name] == nil {
            guard let rules = old.chains[name]?.rules, !rules.isEmpty, rules != [Self.open] else { continue }
            swap.append(.replaceRule(at: 0, in: name, with: Self.open))
        }
    }

    /// - Parameter spares: sets that stay, though no rule looks into them. They are brought up to date once no rule of
    ///   a dead chain names them any more, and before the chains go that they have led to.
    private mutating func sweepObjects(
        _ difference: RulesetDifference, bringing spares: [NamedSet], of old: Ruleset
    ) {
        let kept = Set(spares.map(\.name))
        let deadSets = difference.deadSets.filter { !kept.contains($0.name) }
        sweep += difference.deadChains.map { .flushChain($0) }
        for spare in spares { sweep += SetOperations(bringing: old.sets[spare.name], to: spare).all }
        sweep += deadSets.filter(\.isVerdictMap).map { .deleteSet($0.name) }
        sweep += difference.deadChains.map { .deleteChain($0) }
        sweep += deadSets.filter { !$0.isVerdictMap }.map { .deleteSet($0.name) }
        sweep += difference.deadCounters.map { .deleteCounter($0) }
        // Time-outs stay as long as the table: with its object a live connection would lose the time-out it was given,
        // and take the kernel's own, of days.
    }
}

/// What a set takes to be what is wanted.
private struct SetOperations {
    /// The set itself, where it is missing or of another kind.
    private(set) var making: [Operation] = []
    private(set) var filling: [Operation] = []
    var all: [Operation] { making + filling }

    init(adding set: NamedSet) { add(set) }

    /// Of one that nothing looks into: its differences where it can be edited.
    init(bringing present: NamedSet?, to wanted: NamedSet) {
        if let present, present.isEquivalent(to: wanted) { return }
        if let present, present.isEditable(to: wanted) {
            filling = ElementEdits(from: present.elements, to: wanted.elements).operations(on: wanted)
        } else {
            if present != nil { making = [.deleteSet(wanted.name)] }
            add(wanted)
        }
    }

    private mutating func add(_ set: NamedSet) {
        making.append(.addSet(set))
        if !set.elements.isEmpty, !set.expires { filling = [.addElements(set.elements, to: set)] }
    }
}

extension Change {
    /// Chains and sets that skeleton, build and swap make or edit, as far as they stay; nil where they are more than
    /// `limit`.
    package func touched(atMost limit: Int) -> (chains: [ChainName], sets: [SetName])? {
        var touched = TouchedObjects()
        for operations in [skeleton, build, swap] {
            for operation in operations {
                touched.add(operation)
                guard touched.count <= limit else { return nil }
            }
        }
        return (
            touched.chains.filter { result.chains[$0] != nil }.sorted(),
            touched.sets.filter { result.sets[$0] != nil }.sorted()
        )
    }
}

/// Chains and sets that operations make or edit.
package struct TouchedObjects {
    package private(set) var chains: Set<ChainName> = []
    package private(set) var sets: Set<SetName> = []
    var count: Int { chains.count + sets.count }

    package init(_ operations: [Operation] = []) {
        for operation in operations { add(operation) }
    }

    mutating func add(_ operation: Operation) {
        switch operation {
        case .addChain(let name, _), .addRule(_, let name), .insertRule(_, _, let name),
            .replaceRule(_, let name, _), .deleteRule(_, let name), .flushChain(let name):
            chains.insert(name)
        case .addSet(let set), .addElements(_, let set), .deleteElements(_, let set): sets.insert(set.name)
        case .addTable, .wakeTable, .addCounter, .addTimeout, .deleteChain, .deleteSet, .deleteCounter,
            .deleteTimeout, .deleteTable:
            break
        }
    }
}
