import NetworkTypes
import Nftables

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
