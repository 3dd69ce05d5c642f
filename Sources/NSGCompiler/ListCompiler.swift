import NSGModel
import NetworkTypes
import Nftables

/// A policy list as chains, a decision tree for each address family. `return` is Azure's Allow: it leads back to the
/// interface's chain, which asks the next list; a Deny logs and drops.
struct ListCompiler {
    let list: PolicyList
    let use: ListUse
    let names: ChainNames
    let division: Division
    let actions: RuleActions
    /// How many levels of chains there may be.
    let levels: Int
    /// That packets may have; nil for any.
    let destinations: AddressSet?
    /// Of an earlier version of the list, with actions of the same kind, for as many levels.
    let earlier: (trees: KeptTrees, content: Ruleset)?

    /// The chain by which packets of a family enter the list.
    static func entrance(_ use: ListUse, _ family: IPFamily, _ names: ChainNames) -> String {
        names.list(use) + (family == .ipv4 ? "/v4" : "/v6")
    }

    /// - Returns: what the list's next version may take over.
    func compile(into builder: inout RulesetBuilder) -> KeptTrees {
        builder.reserve(rules: list.rules.count)
        for index in list.rules.indices { builder.add(actions[index].counter) }
        let (rules, numbers) = alternatives()
        var kept = KeptTrees(rules: rules, numbers: numbers.map { actions.numbers[$0] })
        let version = earlier.map { earlier in
            let moves = RuleMoves(from: (earlier.trees.rules, earlier.trees.numbers), to: (kept.rules, kept.numbers))
            return EarlierList(trees: earlier.trees, moves: moves, content: earlier.content)
        }
        var reached: Set<Int> = []
        var statistics = CompilerStatistics()
        let base = names.list(use)
        for family in [IPFamily.ipv4, .ipv6] {
            var named = NamedSets()
            var table = ConditionTable()
            let destinations = destinations.map { family == .ipv4 ? $0.v4.widened : $0.v6 }
            let clauses = rules.enumerated().compactMap { ordinal, rule in
                Clause(
                    rule, family, ordinal: ordinal, outcome: .rule(numbers[ordinal]), destinations: destinations,
                    &named, &table)
            }
            var tree = DecisionTree(
                root: Self.entrance(use, family, names), base: base + "/branch",
                writer: ClauseWriter(
                    family: family, table: table, rules: rules, network: list.key.virtualNetwork, names: names),
                division: division, actions: actions, after: version?.tree(family))
            tree.compile(clauses, levels: levels, into: &builder)
            kept.tables[family] = tree.kept
            reached.formUnion(tree.reached)
            statistics.add(tree.statistics)
        }
        statistics.lists = 1
        statistics.unreachableRules = list.rules.count - reached.count
        builder.statistics.add(statistics)
        return kept
    }

    /// Each with the number of its rule in the list.
    private func alternatives() -> (rules: [ResolvedRule], numbers: [Int]) {
        if !list.rules.contains(where: \.hasParts) { return (list.rules, Array(list.rules.indices)) }
        let ways = list.rules.map(\.alternatives)
        return (ways.flatMap(\.self), ways.enumerated().flatMap { number, ways in ways.map { _ in number } })
    }
}
