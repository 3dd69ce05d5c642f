/// What two rulesets do not share, in the order of names. Where they share storage, that is found without a look at the
/// content.
struct RulesetDifference {
    /// Only in the second.
    private(set) var newChains: [Chain] = []
    /// In both, with other rules or at another place.
    private(set) var changedChains: [(old: Chain, new: Chain)] = []
    /// Only in the first.
    private(set) var deadChains: [ChainName] = []
    /// Not in the first, or not equivalent there.
    private(set) var newSets: [NamedSet] = []
    private(set) var deadSets: [NamedSet] = []
    private(set) var newCounters: [CounterName] = []
    private(set) var deadCounters: [CounterName] = []

    init(from old: Ruleset, to new: Ruleset) {
        compareChains(old.chains, new.chains)
        compareSets(old.sets, new.sets)
        if old.counters != new.counters {
            newCounters = new.counters.filter { !old.counters.contains($0) }.sorted()
            deadCounters = old.counters.filter { !new.counters.contains($0) }.sorted()
        }
    }

    private mutating func compareChains(_ old: [ChainName: Chain], _ new: [ChainName: Chain]) {
        var common = 0
        var fresh: [ChainName] = []
        for (name, chain) in new {
            guard let present = old[name] else {
                fresh.append(name)
                continue
            }
            common += 1
            if present.rules != chain.rules || present.attachpoint != chain.attachpoint {
                changedChains.append((present, chain))
            }
        }
        // Names alone are quicker to sort.
        newChains = fresh.sorted().compactMap { new[$0] }
        changedChains.sort { $0.new.name < $1.new.name }
        if common < old.count { deadChains = old.keys.filter { new[$0] == nil }.sorted() }
    }

    private mutating func compareSets(_ old: [SetName: NamedSet], _ new: [SetName: NamedSet]) {
        for (name, set) in new where old[name]?.isEquivalent(to: set) != true { newSets.append(set) }
        newSets.sort { $0.name < $1.name }
        for (name, set) in old where new[name] == nil { deadSets.append(set) }
        deadSets.sort { $0.name < $1.name }
    }
}
