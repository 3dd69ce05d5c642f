import NSGModel
import NetworkTypes
import Nftables

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
