import NSGModel
import Nftables

/// What rules of a list do to packets, each in a chain of its own. A rule that an earlier version of the list had does
/// it in the same chain, which then need not be compared with itself.
final class RuleActions {
    private let list: PolicyList
    private let use: ListUse
    private let names: ChainNames
    let numbers: [RuleNumber]
    private let options: CompilerOptions
    private let next: ChainName?
    private let base: String
    private let earlier: Kept
    private(set) var kept = Kept()
    /// By rule.
    private var actions: [Action?]

    struct Action: Sendable {
        /// Of the action's name, which tells it from all others of the list whatever it does (`CellRules.Target`).
        let outcome: UInt32
        let chain: Chain
        let counter: CounterName
    }

    /// By the number of the rule's version.
    struct Kept: Sendable {
        fileprivate var actions: [RuleNumber: (rule: Summary, action: Action)] = [:]
        init() {}
    }

    /// What of a rule is in its chain beside the number, which may have been another rule's.
    fileprivate struct Summary: Equatable, Sendable {
        var owner: ResourceID
        var name: String
        var access: Access
        var priority: Int
        var kind: RuleKind
    }

    /// - Parameter earlier: of the same use of a list with the same names and options.
    init(
        of list: PolicyList, _ use: ListUse, _ names: ChainNames, _ inputs: ListRequest.Inputs, after earlier: Kept
    ) {
        self.list = list
        self.use = use
        self.names = names
        self.earlier = earlier
        (numbers, options, next) = (inputs.numbers, inputs.options, inputs.next)
        base = names.list(use)
        actions = Array(repeating: nil, count: list.rules.count)
        kept.actions.reserveCapacity(list.rules.count)
    }

    /// - Parameter index: of the rule in the list.
    subscript(index: Int) -> Action {
        if let action = actions[index] { return action }
        let (rule, number) = (list.rules[index].rule, numbers[index])
        let summary = Summary(
            owner: rule.owner, name: rule.name, access: rule.access, priority: rule.priority.value, kind: rule.kind)
        let known = earlier.actions[number].flatMap { $0.rule == summary ? $0.action : nil }
        let action = known ?? made(rule, number)
        actions[index] = action
        kept.actions[number] = (summary, action)
        return action
    }

    private func made(_ rule: SecurityRule, _ number: RuleNumber) -> Action {
        let name = names.action(ofList: base, rule)
        let counter = names.counterName(of: NumberedRule(rule))
        let chain = RulesetBuilder(table: FixedNames.table, salt: options.salt).contentChain(
            name, [action(of: rule, number, counter)])
        return Action(outcome: CellRules.number(ofName: name), chain: chain, counter: counter)
    }

    private func action(of rule: SecurityRule, _ number: RuleNumber, _ counter: CounterName) -> Rule {
        var steps: [Step] = [.counter(counter)]
        switch rule.access {
        case .allow, .alwaysAllow:
            if use.writesLabel { steps.append(.setLabel(FlowLabel.bits(number, in: use.slot))) }
            // Admin rules: Allow goes on to the security groups, AlwaysAllow leads past them (S8).
            let goesOn = rule.access == .allow ? next : nil
            steps.append(.verdict(goesOn.map { .goto($0) } ?? .return))
        case .deny:
            if !use.writesLabel { steps.append(.setLabel(FlowLabel.refused)) }
            steps += [options.packetCopy(.denied(use.slot, number))].compactMap(\.self) + [.verdict(.drop)]
        }
        return Rule(steps, comment: rule.isNoAdminRule ? "no admin rule" : "\(rule.priority) \(rule.name)")
    }
}
