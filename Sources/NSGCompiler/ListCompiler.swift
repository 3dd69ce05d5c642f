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

    /// The chain by which packets of a family enter the list.
    static func entrance(_ use: ListUse, _ family: IPFamily, _ names: ChainNames) -> String {
        names.list(use) + (family == .ipv4 ? "/v4" : "/v6")
    }

    func compile(into builder: inout RulesetBuilder) {
        for rule in list.rules { builder.add(names.counterName(of: NumberedRule(rule.rule))) }
        let (rules, numbers) = alternatives()
        var reached: Set<Int> = []
        var statistics = CompilerStatistics()
        let base = names.list(use)
        for family in [IPFamily.ipv4, .ipv6] {
            var named = NamedSets()
            var table = ConditionTable()
            let clauses = rules.enumerated().compactMap { ordinal, rule in
                Clause(rule, family, ordinal: ordinal, outcome: .rule(numbers[ordinal]), &named, &table)
            }
            var tree = DecisionTree(
                root: Self.entrance(use, family, names), base: base + "/branch",
                writer: ClauseWriter(
                    family: family, table: table, rules: rules, network: list.key.virtualNetwork, names: names),
                division: division,
                actions: actions)
            tree.compile(clauses, levels: levels, into: &builder)
            reached.formUnion(tree.reached)
            statistics.add(tree.statistics)
        }
        statistics.lists = 1
        statistics.unreachableRules = list.rules.count - reached.count
        builder.statistics.add(statistics)
    }

    /// Each with the number of its rule in the list.
    private func alternatives() -> (rules: [ResolvedRule], numbers: [Int]) {
        if !list.rules.contains(where: \.hasParts) { return (list.rules, Array(list.rules.indices)) }
        let ways = list.rules.map(\.alternatives)
        return (ways.flatMap(\.self), ways.enumerated().flatMap { number, ways in ways.map { _ in number } })
    }
}
