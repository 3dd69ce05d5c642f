extension Ruleset {
    /// Lets rules look into sets of other names; the sets themselves keep theirs.
    mutating func renameSets(_ names: [SetName: SetName]) {
        var renamed: [ChainName] = []
        for (name, chain) in chains where chain.rules.contains(where: { $0.names(anyOf: names) }) {
            renamed.append(name)
        }
        for name in renamed {
            guard let rules = chains[name]?.rules else { continue }
            chains[name]?.rules = rules.map { rule in
                rule.names(anyOf: names)
                    ? Rule(rule.steps.map { $0.renamingSet(names) }, comment: rule.comment) : rule
            }
        }
    }
}

extension Rule {
    fileprivate func names(anyOf names: [SetName: SetName]) -> Bool { steps.contains { $0.names(anyOf: names) } }
}

extension Step {
    fileprivate func names(anyOf names: [SetName: SetName]) -> Bool { sets.contains { names[$0] != nil } }

    fileprivate func renamingSet(_ names: [SetName: SetName]) -> Step {
        switch self {
        case .lookup(let field, let name): .lookup(field, in: names[name] ?? name)
        case .membership(let fields, let name, let isIn): .membership(fields, of: names[name] ?? name, isIn: isIn)
        case .dispatch(let field, let name): .dispatch(field, through: names[name] ?? name)
        case .classify(let classification): .classify(classification.renamingSets(names))
        case .match, .counter, .setLabel, .log, .setTimeout, .verdict: self
        }
    }
}

extension Classification {
    fileprivate func renamingSets(_ names: [SetName: SetName]) -> Classification {
        var renamed = self
        renamed.classes = names[classes] ?? classes
        renamed.points = points.map { names[$0] ?? $0 }
        renamed.ranges = names[ranges] ?? ranges
        renamed.outcomes = names[outcomes] ?? outcomes
        return renamed
    }
}
