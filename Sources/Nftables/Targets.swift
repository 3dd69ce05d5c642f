// What chains lead to.

extension Chain {
    /// The chains that verdicts of its rules lead to, those of maps left out; one of them may come more than once.
    var targets: [ChainName] {
        var targets: [ChainName] = []
        for rule in rules {
            for case .verdict(let verdict) in rule.steps {
                if let target = verdict.target { targets.append(target) }
            }
        }
        return targets
    }
}

extension NamedSet {
    /// The chains that a map leads to; one of them may come more than once.
    var targets: some Sequence<ChainName> {
        elements.prefix(isVerdictMap ? elements.count : 0).lazy.compactMap { $0.verdict?.target }
    }
}
