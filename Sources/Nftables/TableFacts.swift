/// What of a ruleset looks into what, and what packets come to: derived from all of it.
private struct RulesetIndex {
    /// Sets and maps that a rule looks into.
    let setsInUse: Set<SetName>
    /// Those of them, and the chains, that packets come to: on the way from base chains, through rules and maps.
    let setsReached: Set<SetName>
    let chainsReached: Set<ChainName>
    /// Time-outs that a rule gives.
    let timeoutsInUse: Set<TimeoutName>

    init(of ruleset: Ruleset) {
        var (sets, timeouts): (Set<SetName>, Set<TimeoutName>) = ([], [])
        for chain in ruleset.chains.values {
            for rule in chain.rules {
                for step in rule.steps {
                    for name in step.sets { sets.insert(name) }
                    if case .setTimeout(let name) = step { timeouts.insert(name) }
                }
            }
        }
        setsInUse = sets
        timeoutsInUse = timeouts
        (chainsReached, setsReached) = ruleset.reached
    }
}

/// What there is to know of a table in force, derived when it is first asked for.
final class TableFacts {
    private let ruleset: Ruleset
    /// Of a table that we have left settled: sets that no rule looks into. Packets come to all else, as the compiler
    /// makes nothing that they do not come to; were there such a thing, it would be changed like one in use.
    private let spares: Set<SetName>?
    private lazy var index = RulesetIndex(of: ruleset)
    /// How often each chain is named by a rule or a map.
    private(set) lazy var mentions = ruleset.mentions

    init(of ruleset: Ruleset, spares: Set<SetName>? = nil) {
        self.ruleset = ruleset
        self.spares = spares
    }

    /// Whether packets come to a chain.
    func isReached(_ name: ChainName) -> Bool {
        spares == nil ? index.chainsReached.contains(name) : ruleset.chains[name] != nil
    }

    /// Whether packets come to a rule that looks into a set.
    func isReached(_ name: SetName) -> Bool {
        guard let spares else { return index.setsReached.contains(name) }
        return ruleset.sets[name] != nil && !spares.contains(name)
    }

    /// Whether any rule looks into a set.
    func isInUse(_ name: SetName) -> Bool { spares == nil ? index.setsInUse.contains(name) : isReached(name) }

    /// Whether any rule gives a time-out.
    func isInUse(_ name: TimeoutName) -> Bool {
        spares == nil ? index.timeoutsInUse.contains(name) : ruleset.timeouts[name] != nil
    }
}

extension Ruleset {
    /// How often each chain is named by a rule or a map.
    var mentions: [ChainName: Int] {
        var counts: [ChainName: Int] = [:]
        for chain in chains.values {
            for target in chain.targets { counts[target, default: 0] += 1 }
        }
        for set in sets.values {
            for target in set.targets { counts[target, default: 0] += 1 }
        }
        return counts
    }

    fileprivate var reached: (chains: Set<ChainName>, sets: Set<SetName>) {
        var sets: Set<SetName> = []
        var reached: Set<ChainName> = []
        for chain in chains.values where chain.attachpoint != nil { reached.insert(chain.name) }
        var pending = Array(reached)
        while let name = pending.popLast() {
            guard let rules = chains[name]?.rules else { continue }
            for rule in rules {
                for step in rule.steps {
                    if case .verdict(let verdict) = step {
                        if let target = verdict.target, reached.insert(target).inserted { pending.append(target) }
                        continue
                    }
                    for name in step.sets {
                        guard sets.insert(name).inserted, let set = self.sets[name] else { continue }
                        for target in set.targets where reached.insert(target).inserted { pending.append(target) }
                    }
                }
            }
        }
        return (reached, sets)
    }
}
