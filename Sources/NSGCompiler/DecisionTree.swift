import NSGModel
import NetworkTypes
import Nftables

/// The clauses of a list as chains that find the first match in a few look-ups, however many clauses there are (E2).
///
/// A chain divides its clauses by the dimension that tells them apart best (`Split`): an interval map leads to a chain
/// for each group of clauses, and what meets none of a group goes on to the chain of the rest, which divides again. A
/// few clauses, and those that cannot be divided at bearable cost, are compared one by one.
///
/// The chain that begins the tree and those of its rests keep their names, so that a swap edits their few rules; all
/// others are named after their content.
struct DecisionTree {
    private let writer: ClauseWriter
    private let division: Division
    /// What the chains are named after: those that keep their names, and the others.
    private let (root, base): (String, String)
    /// What the rules of the list do to packets.
    private let actions: RuleActions
    /// In which rules act, by their numbers in the list.
    private var actionChains: [Int: Int] = [:]
    private var chains: [ChainName] = []
    /// Of chains in which rules act: the number of what they are called whatever the rules do.
    private var numbers: [Int: UInt32] = [:]
    /// Of lists and unreachable rules it does not know.
    private(set) var statistics = CompilerStatistics()
    /// Rules that a packet may come to.
    private(set) var reached: Set<Int> = []
    private var known: [Key: Node] = [:]
    /// That of an earlier version of the list.
    private let earlier: EarlierTree?
    /// For the next version, by the chains of the trunk.
    private(set) var kept: [Int: KeptTable] = [:]

    /// A chain, by its number, and how many levels it takes with those it leads to.
    private struct Node {
        var chain: Int
        var height: Int
    }

    /// What a chain is made of.
    private struct Key: Hashable {
        var clauses: [Clause.Identity]
        var rest: Int
        var budget: Int
    }

    init(
        root: String, base: String, writer: ClauseWriter, division: Division,
        actions: RuleActions, after earlier: EarlierTree?
    ) {
        (self.root, self.base) = (root, base)
        self.writer = writer
        self.division = division
        self.actions = actions
        self.earlier = earlier
    }

    /// - Parameters:
    ///   - clauses: the last of which every packet meets.
    ///   - levels: how many levels of chains there may be, at least 1.
    mutating func compile(_ clauses: [Clause], levels: Int, into builder: inout RulesetBuilder) {
        _ = trunk(clauses, 0, levels, into: &builder)
    }

    private mutating func node(_ chain: ChainName, height: Int) -> Node {
        chains.append(chain)
        return Node(chain: chains.count - 1, height: height)
    }

    // MARK: Chains

    /// The first chain and the rests behind it, by number.
    private mutating func trunk(
        _ clauses: [Clause], _ number: Int, _ levels: Int, into builder: inout RulesetBuilder
    ) -> Node {
        let name = number == 0 ? root : "\(root)/\(number)"
        let before = levels >= 3 ? earlier?.table(number, clauses) : nil
        if levels >= 3, let cells = cells(of: clauses, after: before?.cells) {
            let rest = trunk(cells.rest.map { clauses[$0] }, number + 1, Self.levelsOfRest(of: levels), into: &builder)
            let (targets, height) = targets(of: cells, clauses, rest, levels - 1, number, after: before, into: &builder)
            let rules = CellRules(cells: cells, targets: targets, rest: chains[rest.chain], writer: writer, base: name)
            statistics.cells += cells.points.count + cells.ranges.count
            return node(builder.fixed(name, rules.rules(into: &builder)), height: height + 1)
        }
        let clauses = clauses.reachable(before: nil, writer.table)
        guard levels >= 3, let split = split(clauses, widths: Self.widthsOfTrunk) else {
            let (rules, height) = row(clauses, before: nil, levels, into: &builder)
            return node(builder.fixed(name, rules), height: height)
        }
        let rest = trunk(split.rest.map { clauses[$0] }, number + 1, Self.levelsOfRest(of: levels), into: &builder)
        let (rules, height) = divided(clauses, split, rest, levels, name: name, isTrunk: true, into: &builder)
        return node(builder.fixed(name, rules), height: height)
    }

    /// A rest that took all levels but two would leave none by which the groups before it could be divided again.
    private static func levelsOfRest(of levels: Int) -> Int { levels - (levels >= 9 ? 4 : levels >= 6 ? 3 : 2) }

    /// A chain for what is left to be asked of some packets; where nothing is, the rest itself or a rule's own chain.
    private mutating func branch(
        _ clauses: [Clause], before rest: Node, _ levels: Int, into builder: inout RulesetBuilder
    ) -> Node {
        let clauses = clauses.reachable(before: .chain(rest.chain), writer.table)
        guard let first = clauses.first else { return rest }
        if first.isUnconditional, case .rule(let number) = first.outcome {
            return Node(chain: actionChain(number, into: &builder), height: 1)
        }
        let key = Key(clauses: clauses.map(\.identity), rest: rest.chain, budget: levels)
        if let node = known[key] { return node }
        let (rules, height) = branchRules(clauses, before: rest, levels, into: &builder)
        let node = node(builder.content(base, rules), height: height)
        known[key] = node
        return node
    }

    private mutating func branchRules(
        _ clauses: [Clause], before outer: Node, _ levels: Int, into builder: inout RulesetBuilder
    ) -> ([Rule], height: Int) {
        guard let split = split(clauses, widths: Self.widthsOfBranch) else {
            return row(clauses, before: outer, levels, into: &builder)
        }
        // A level each for the groups, and for the rest if there is one of its own.
        let needed = outer.height + (split.rest.isEmpty ? 2 : 3)
        guard levels >= needed else {
            statistics.undividedChains += 1
            return row(clauses, before: outer, levels, into: &builder)
        }
        let rest =
            split.rest.isEmpty
            ? outer : branch(split.rest.map { clauses[$0] }, before: outer, levels - 2, into: &builder)
        return divided(clauses, split, rest, levels, name: base, isTrunk: false, into: &builder)
    }

    /// A map to the groups, then the rest.
    private mutating func divided(
        _ clauses: [Clause], _ split: Split, _ rest: Node, _ levels: Int, name: String, isTrunk: Bool,
        into builder: inout RulesetBuilder
    ) -> ([Rule], height: Int) {
        var height = rest.height
        let nodes = split.groups.indices.map { group in
            let members = split.clauses(ofGroup: group, from: clauses, rest: .chain(rest.chain))
            return branch(members, before: rest, levels - 1, into: &builder)
        }
        for node in nodes { height = max(height, node.height) }
        let targets = split.intervals.filter { nodes[$0.group].chain != rest.chain }
            .map { (values: $0.values, chain: chains[nodes[$0.group].chain]) }
        let dispatch = Dispatch(
            dimension: split.dimension, targets: targets, rest: chains[rest.chain], writer: writer, base: name,
            keepsNames: isTrunk)
        return (dispatch.rules(into: &builder) + [Rule(.verdict(.goto(chains[rest.chain])))], height + 1)
    }

    /// What the contents of cells lead to.
    private mutating func targets(
        of cells: CellTable, _ clauses: [Clause], _ rest: Node, _ levels: Int, _ number: Int,
        after before: EarlierTable?, into builder: inout RulesetBuilder
    ) -> ([CellRules.Target], height: Int) {
        var height = rest.height
        var rows: [KeptTable.Row?] = []
        rows.reserveCapacity(cells.contents.count)
        let targets = cells.contents.map { content -> CellRules.Target in
            let (node, row) = node(of: content, cells, clauses, rest, levels, after: before, into: &builder)
            height = max(height, node.height)
            rows.append(row)
            let chain = chains[node.chain]
            return CellRules.Target(
                chain: chain,
                number: row?.number ?? numbers[node.chain] ?? CellRules.number(ofName: chain.description))
        }
        kept[number] = KeptTable(
            cells: cells.kept, rows: rows,
            surroundings: .init(rest: chains[rest.chain], heightOfRest: rest.height, levels: levels))
        return (targets, height)
    }

    /// - Returns: a row as well where it is one, and the list's next version can take it over.
    private mutating func node(
        of content: CellTable.Content, _ cells: CellTable, _ clauses: [Clause], _ rest: Node, _ levels: Int,
        after before: EarlierTable?, into builder: inout RulesetBuilder
    ) -> (Node, KeptTable.Row?) {
        switch content {
        case .rest: return (rest, nil)
        case .clause(let index):
            guard case .rule(let number) = clauses[index].outcome else { return (rest, nil) }
            return (Node(chain: actionChain(number, into: &builder), height: 1), nil)
        case .several(let entries):
            let surroundings = KeptTable.Surroundings(
                rest: chains[rest.chain], heightOfRest: rest.height, levels: levels)
            if let (row, chain, sets) = before?.row(entries, in: surroundings) {
                for set in sets { builder.add(set) }
                return (restored(row, chain, entries, clauses, before: rest, into: &builder), row)
            }
            let members = cells.clauses(of: entries, from: clauses, rest: .chain(rest.chain))
            let undivided = statistics.undividedChains
            let node = branch(members, before: rest, levels, into: &builder)
            return (node, row(node, entries, clauses, before: rest, undivided: undivided, builder))
        }
    }

    /// What the list's next version can take over of a node that was made just now: a row that leads to rules of its
    /// entries and to the rest, but to no further branch.
    private func row(
        _ node: Node, _ entries: [CellTable.Entry], _ clauses: [Clause], before rest: Node, undivided: Int,
        _ builder: RulesetBuilder
    ) -> KeptTable.Row? {
        guard node.chain == chains.count - 1, node.chain != rest.chain, numbers[node.chain] == nil,
            statistics.undividedChains == undivided, let chain = builder.ruleset.chains[chains[node.chain]]
        else { return nil }
        let ends = entries.compactMap { actionChain(of: $0, clauses) } + [chains[rest.chain]]
        for rule in chain.rules {
            guard let target = rule.end, ends.contains(target) else { return nil }
        }
        return KeptTable.Row(
            chain: chain.name, number: CellRules.number(ofName: chain.name.description), height: node.height)
    }

    /// A row of the list's earlier version, with the chains of the rules that it leads to.
    private mutating func restored(
        _ row: KeptTable.Row, _ chain: Chain, _ entries: [CellTable.Entry], _ clauses: [Clause], before rest: Node,
        into builder: inout RulesetBuilder
    ) -> Node {
        builder.add(chain)
        let ends = Set(chain.rules.compactMap(\.end))
        for entry in entries {
            guard let end = actionChain(of: entry, clauses), ends.contains(end),
                case .rule(let number) = clauses[entry.index].outcome
            else { continue }
            _ = actionChain(number, into: &builder)
        }
        let goesOn = chain.rules.last == Rule(.verdict(.goto(chains[rest.chain])))
        statistics.longestRow = max(statistics.longestRow, chain.rules.count - (goesOn ? 1 : 0))
        return node(chain.name, height: row.height)
    }

    /// In which the rule of an entry acts; nil of a guard.
    private func actionChain(of entry: CellTable.Entry, _ clauses: [Clause]) -> ChainName? {
        guard !entry.isGuard, case .rule(let number) = clauses[entry.index].outcome else { return nil }
        return actions[number].chain.name
    }

    /// One by one.
    private mutating func row(
        _ clauses: [Clause], before rest: Node?, _ levels: Int, into builder: inout RulesetBuilder
    ) -> ([Rule], height: Int) {
        var height = rest?.height ?? 0
        var rules: [Rule] = []
        for clause in clauses {
            let end: [Step]
            switch clause.outcome {
            case .chain(let chain): end = [.verdict(.goto(chains[chain]))]
            case .rule(let number) where levels < 2:
                end = actions[number].chain.rules.flatMap(\.steps)
                reached.insert(number)
            case .rule(let number):
                end = [.verdict(.goto(chains[actionChain(number, into: &builder)]))]
                height = max(height, 1)
            }
            rules += writer.ways(clause, into: &builder).map { Rule($0 + end) }
        }
        statistics.longestRow = max(statistics.longestRow, rules.count)
        if let rest, clauses.last?.isUnconditional != true { rules.append(Rule(.verdict(.goto(chains[rest.chain])))) }
        return (rules, height + 1)
    }

    private mutating func actionChain(_ number: Int, into builder: inout RulesetBuilder) -> Int {
        if let chain = actionChains[number] { return chain }
        reached.insert(number)
        let action = actions[number]
        chains.append(action.chain.name)
        builder.add(action.chain)
        actionChains[number] = chains.count - 1
        numbers[chains.count - 1] = action.outcome
        return chains.count - 1
    }

    // MARK: Choice

    /// Nil where rows or trees do as well, or where neither side's addresses tell the clauses apart.
    private func cells(of clauses: [Clause], after earlier: EarlierCells?) -> CellTable? {
        guard let fewest = division.fewestCells,
            clauses.reduce(0, { $0 + writer.count($1) }) > division.shortRow
        else { return nil }
        let dimensions = [Dimension.source, .destination].map { dimension in
            (dimension: dimension, count: clauses.count { writer.table.values($0[dimension]) != nil })
        }
        for (dimension, count) in dimensions.sorted(by: { $0.count > $1.count }) where 2 * count > clauses.count {
            if let cells = CellTable(clauses, by: dimension, fewestCells: fewest, writer.table, after: earlier),
                rules(behind: cells, clauses) <= division.mostRulesBehindCells
            {
                return cells
            }
        }
        return nil
    }

    /// How many rules compare what cells cannot settle.
    private func rules(behind cells: CellTable, _ clauses: [Clause]) -> Int {
        cells.contents.reduce(0) { sum, content in
            guard case .several(let entries) = content else { return sum }
            return entries.reduce(sum) { $0 + writer.count(clauses[$1.index], without: cells.dimension) }
        }
    }

    /// The cheapest way to divide; nil where comparing one by one is as good, or where all take too many rules.
    private mutating func split(_ clauses: [Clause], widths: [Int]) -> Split? {
        let length = clauses.reduce(0) { $0 + writer.count($1) }
        guard length > division.shortRow else { return nil }
        let splits = Dimension.allCases.flatMap { dimension in
            widths.compactMap { Split(clauses, by: dimension, widest: $0, writer.table) }
        }
        guard let best = splits.map({ (split: $0, cost: cost(of: $0, clauses)) }).min(by: { $0.cost < $1.cost }) else {
            return nil
        }
        guard best.cost <= Self.mostGrowth * Self.costOfRule * length else {
            statistics.undividedChains += 1
            return nil
        }
        return best.split
    }

    /// In how many intervals a clause may be repeated for each of its own (`Split.init`). At the trunk both are tried:
    /// where many clauses ask for ranges of ports, it is cheaper to leave these to the rest.
    private static let (widthsOfTrunk, widthsOfBranch) = ([2, 16], [16])

    // What the kernel takes to load, in microseconds or so.
    private static let costOfRule = 9
    private static let costOfElement = 4
    private static let costOfMap = 100
    /// What stays in the rest is paid for once more there, and most packets have it still before them.
    private static let weightOfRest = 3

    /// What it takes to load, if each group is compared one by one, or divided once more where it is large.
    private func cost(of split: Split, _ clauses: [Clause]) -> Int {
        var cost = Self.costOfMap + split.intervals.count * Self.costOfElement
        for group in split.groups {
            let length = group.reduce(0) { $0 + writer.count(clauses[$1.index], without: split.dimension) }
            cost += self.cost(ofRow: length)
        }
        let rest = split.rest.reduce(0) { $0 + writer.extent(clauses[$1]) }
        return cost + rest * (Self.costOfRule + Self.costOfElement) * Self.weightOfRest
    }

    private func cost(ofRow length: Int) -> Int {
        length <= division.shortRow
            ? Self.costOfRule * length : Self.costOfMap + (Self.costOfRule + Self.costOfElement) * length
    }

    /// Beyond so many times what the clauses take one by one, they are left as they are.
    private static let mostGrowth = 64
}

extension Rule {
    /// The chain that it leads to at its end, and for good.
    fileprivate var end: ChainName? {
        if case .verdict(.goto(let target))? = steps.last { target } else { nil }
    }
}
