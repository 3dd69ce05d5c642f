/// How deep chains lead to one another; each is looked at once.
struct DepthWalk {
    private let ruleset: Ruleset
    private var known: [ChainName: Int] = [:]
    private(set) var culprit: ChainName?

    init(_ ruleset: Ruleset) { self.ruleset = ruleset }

    /// Nil for a circle, or for a way that is much longer than the kernel allows.
    mutating func depth(below name: ChainName, at level: Int) -> Int? {
        if let depth = known[name] { return depth }
        guard level <= 2 * KernelLimits.depth else {
            culprit = name
            return nil
        }
        let chain = ruleset.chains[name] ?? Chain(name, rules: [])
        guard var deepest = depth(of: chain.targets, at: level) else { return nil }
        for map in chain.rules.lazy.flatMap(\.steps).compactMap(\.verdictMap) {
            guard let set = ruleset.sets[map] else { continue }
            guard let depth = depth(of: set.targets, at: level) else { return nil }
            deepest = max(deepest, depth)
        }
        known[name] = deepest
        return deepest
    }

    /// Of the deepest of them, itself included.
    private mutating func depth(of chains: some Sequence<ChainName>, at level: Int) -> Int? {
        var deepest = 0
        for name in chains {
            guard let below = depth(below: name, at: level + 1) else { return nil }
            deepest = max(deepest, below + 1)
        }
        return deepest
    }
}
