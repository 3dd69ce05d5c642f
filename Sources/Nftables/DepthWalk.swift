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
        var deepest = 0
        for rule in ruleset.chains[name]?.rules ?? [] {
            for step in rule.steps {
                switch step {
                case .verdict(let verdict):
                    guard let target = verdict.target else { continue }
                    guard let below = depth(below: target, at: level + 1) else { return nil }
                    deepest = max(deepest, below + 1)
                case .dispatch, .classify:
                    for element in step.verdictMap.flatMap({ ruleset.sets[$0] })?.elements ?? [] {
                        guard let target = element.verdict?.target else { continue }
                        guard let below = depth(below: target, at: level + 1) else { return nil }
                        deepest = max(deepest, below + 1)
                    }
                case .match, .lookup, .membership, .counter, .setLabel, .log, .setTimeout: break
                }
            }
        }
        known[name] = deepest
        return deepest
    }
}
