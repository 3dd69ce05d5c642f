// What chains lead to.

extension Step {
    /// The chain that its own verdict leads to.
    var target: ChainName? {
        guard case .verdict(let verdict) = self else { return nil }
        return verdict.target
    }
}

extension Chain {
    /// The chains that verdicts of its rules lead to, those of maps left out; one of them may come more than once.
    var targets: some Sequence<ChainName> { rules.lazy.flatMap { $0.steps.lazy.compactMap(\.target) } }
}

extension NamedSet {
    /// The chains that a map leads to; one of them may come more than once.
    var targets: some Sequence<ChainName> {
        elements.prefix(isVerdictMap ? elements.count : 0).lazy.compactMap { $0.verdict?.target }
    }
}
