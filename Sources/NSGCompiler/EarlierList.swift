import NSGModel
import NetworkTypes
import Nftables

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

/// What the trees of a list came to, one for each address family, for its next version.
struct KeptTrees: Sendable {
    var rules: [ResolvedRule] = []
    var numbers: [RuleNumber] = []
    /// By family, and by where they stand in the trunk.
    var tables: [IPFamily: [Int: KeptTable]] = [:]
}

/// What a table of cells and the rows behind it came to.
struct KeptTable: Sendable {
    var cells: KeptCells
    /// Of the cells' contents, by number: what is asked one by one in a chain of its own.
    var rows: [Row?]
    var surroundings: Surroundings

    /// What rows depend on beside their clauses.
    struct Surroundings: Equatable, Sendable {
        var rest: ChainName
        var heightOfRest: Int
        var levels: Int
    }

    struct Row: Sendable {
        var chain: ChainName
        /// See `CellRules.Target`.
        var number: UInt32
        var height: Int
    }
}

/// An earlier version of a list: what of it is the same in this one need not be worked out again.
struct EarlierList {
    let trees: KeptTrees
    let moves: RuleMoves
    /// All that the earlier version came to.
    let content: Ruleset

    func tree(_ family: IPFamily) -> EarlierTree {
        EarlierTree(tables: trees.tables[family] ?? [:], moves: moves, content: content)
    }
}

struct EarlierTree {
    fileprivate let tables: [Int: KeptTable]
    fileprivate let moves: RuleMoves
    fileprivate let content: Ruleset

    /// What stood at a place of the trunk, for the clauses that stand there now.
    func table(_ number: Int, _ clauses: [Clause]) -> EarlierTable? {
        tables[number].map { EarlierTable($0, moves, clauses, content) }
    }
}

/// A table of cells of an earlier version, in terms of this one's clauses.
struct EarlierTable {
    let cells: EarlierCells
    private let rows: [[CellTable.Entry]: KeptTable.Row]
    private let surroundings: KeptTable.Surroundings
    private let content: Ruleset

    fileprivate init(_ kept: KeptTable, _ moves: RuleMoves, _ clauses: [Clause], _ content: Ruleset) {
        cells = EarlierCells(kept.cells, moves, clauses)
        surroundings = kept.surroundings
        self.content = content
        var rows: [[CellTable.Entry]: KeptTable.Row] = [:]
        for (content, row) in zip(cells.contents, kept.rows) {
            if case .several(let entries)? = content, let row { rows[entries] = row }
        }
        self.rows = rows
    }

    /// The chain in which entries are asked one by one, as the earlier version has it, and the sets it looks into.
    func row(
        _ entries: [CellTable.Entry], in surroundings: KeptTable.Surroundings
    ) -> (KeptTable.Row, Chain, [NamedSet])? {
        guard surroundings == self.surroundings, let row = rows[entries], let chain = content.chains[row.chain] else {
            return nil
        }
        return (row, chain, chain.rules.flatMap(\.steps).flatMap(\.sets).compactMap { content.sets[$0] })
    }
}
