/// Rules to add, replace and delete that make one chain of another. As many stay as can (`CommonSubsequence`), at their
/// place in the kernel.
struct RuleEdits {
    private struct Edit {
        /// Where in the old chain.
        var index: Int
        /// Whether the old rule there goes.
        var deletes: Bool
        /// What comes before it, or in its place.
        var rules: [Rule]
    }

    private var edits: [Edit] = []

    /// O(n log n).
    init(from old: [Rule], to new: [Rule]) {
        var (from, to) = (0, 0)
        for place in CommonSubsequence(of: old, new).places {
            append(new[to..<place.new], inPlaceOf: from..<place.old)
            (from, to) = (place.old + 1, place.new + 1)
        }
        append(new[to...], inPlaceOf: from..<old.count)
    }

    /// Rule by rule as far as both go, so that as many as can be are replaced.
    private mutating func append(_ rules: ArraySlice<Rule>, inPlaceOf indexes: Range<Int>) {
        guard let last = indexes.last else {
            if !rules.isEmpty { edits.append(Edit(index: indexes.lowerBound, deletes: false, rules: Array(rules))) }
            return
        }
        var rest = rules
        for index in indexes {
            let taken = index == last ? rest : rest.prefix(1)
            edits.append(Edit(index: index, deletes: true, rules: Array(taken)))
            rest = rest.dropFirst(taken.count)
        }
    }

    /// How many operations.
    var count: Int { edits.reduce(0) { $0 + max($1.rules.count, $1.deletes ? 1 : 0) } }

    /// From the end of the chain to its beginning, so that each operation refers to a rule that was there before all of
    /// them.
    func operations(in chain: ChainName) -> [Operation] {
        edits.reversed().flatMap { edit -> [Operation] in
            var operations: [Operation] = []
            let kept = edit.deletes ? edit.rules.dropLast() : edit.rules[...]
            for (offset, rule) in kept.enumerated() {
                operations.append(.insertRule(rule, at: edit.index + offset, in: chain))
            }
            guard edit.deletes else { return operations }
            let index = edit.index + kept.count
            if let last = edit.rules.last {
                operations.append(.replaceRule(at: index, in: chain, with: last))
            } else {
                operations.append(.deleteRule(at: index, in: chain))
            }
            return operations
        }
    }
}
