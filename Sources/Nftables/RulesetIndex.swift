/// What of a ruleset names what: derived from all of it, in some 10 ms for 50,000 rules. Whoever keeps a ruleset that
/// the kernel holds keeps this beside it, so that the next change does not derive it again.
package struct RulesetIndex: Sendable {
    /// How often each chain is named by a rule or a map.
    let mentions: [ChainName: Int]
    /// Sets and maps that a rule looks into.
    let setsInUse: Set<SetName>
    /// Those of them, and the chains, that packets come to: on the way from base chains, through rules and maps.
    let setsReached: Set<SetName>
    let chainsReached: Set<ChainName>
    /// Time-outs that a rule gives.
    let timeoutsInUse: Set<TimeoutName>

    package init(of ruleset: Ruleset) {
        mentions = ruleset.mentions
        var (sets, timeouts): (Set<SetName>, Set<TimeoutName>) = ([], [])
        for chain in ruleset.chains.values {
            for rule in chain.rules {
                for step in rule.steps {
                    switch step {
                    case .lookup(_, let name), .membership(_, let name, _), .dispatch(_, let name): sets.insert(name)
                    case .classify(let classification): sets.formUnion(classification.sets)
                    case .setTimeout(let name): timeouts.insert(name)
                    case .match, .counter, .setLabel, .log, .verdict: break
                    }
                }
            }
        }
        setsInUse = sets
        timeoutsInUse = timeouts
        (chainsReached, setsReached) = ruleset.reached
    }
}

/// An index that is derived when it is first asked for.
final class LazyIndex {
    private let ruleset: Ruleset
    private var known: RulesetIndex?

    init(of ruleset: Ruleset, known: RulesetIndex?) {
        self.ruleset = ruleset
        self.known = known
    }

    var value: RulesetIndex {
        if let known { return known }
        let index = RulesetIndex(of: ruleset)
        known = index
        return index
    }
}

extension Ruleset {
    /// How often each chain is named by a rule or a map.
    var mentions: [ChainName: Int] {
        var counts: [ChainName: Int] = [:]
        for chain in chains.values {
            for rule in chain.rules {
                for step in rule.steps {
                    if case .verdict(let verdict) = step, let target = verdict.target {
                        counts[target, default: 0] += 1
                    }
                }
            }
        }
        for set in sets.values where set.isVerdictMap {
            for element in set.elements {
                if let target = element.verdict?.target { counts[target, default: 0] += 1 }
            }
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
                        guard sets.insert(name).inserted, let set = self.sets[name], set.isVerdictMap else { continue }
                        for element in set.elements {
                            if let target = element.verdict?.target, reached.insert(target).inserted {
                                pending.append(target)
                            }
                        }
                    }
                }
            }
        }
        return (reached, sets)
    }
}
