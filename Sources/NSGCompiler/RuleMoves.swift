import NSGModel
import NetworkTypes

/// Which of a list's rules an earlier version of it had as they are, and where: those before and those behind all that
/// differs. Found by comparison; what is equal mostly shares its storage.
struct RuleMoves {
    private let leading: Int
    /// Where, in the earlier version, the rules begin that are as they were to its end.
    private let trailingStart: Int
    private let shift: Int

    /// - Parameters:
    ///   - old: rules with the numbers they have in labels.
    ///   - new: the same of the version to come.
    init(
        from old: (rules: [ResolvedRule], numbers: [RuleNumber]), to new: (rules: [ResolvedRule], numbers: [RuleNumber])
    ) {
        let most = min(old.rules.count, new.rules.count)
        shift = new.rules.count - old.rules.count
        func isSame(_ before: Int, _ after: Int) -> Bool {
            old.numbers[before] == new.numbers[after]
                && old.rules[before].isEqualButForRemarks(to: new.rules[after])
        }
        var leading = 0
        while leading < most, isSame(leading, leading) { leading += 1 }
        var trailing = 0
        while trailing < most - leading,
            isSame(old.rules.count - trailing - 1, new.rules.count - trailing - 1)
        {
            trailing += 1
        }
        self.leading = leading
        trailingStart = old.rules.count - trailing
    }

    /// Where a rule of the earlier version is now; nil if it has changed or gone.
    subscript(ordinal: Int) -> Int? {
        if ordinal < leading { return ordinal }
        return ordinal >= trailingStart ? ordinal + shift : nil
    }
}
