import NSGModel
import Nftables

/// A policy list as a row of chains. A chain ends by going to the next one's trampoline, so that a changed rule is one new
/// chain of a dozen rules and one swapped jump, whatever the length of the list (E3). Inside, `return` is Azure's Allow: it
/// leads back to the interface's chain, which asks the next list; a Deny logs and drops.
struct ListCompiler {
    let list: PolicyList
    let use: ListUse
    let names: ChainNames
    let numbering: RuleNumbering
    let packetCopy: (DecisionMark) -> Step?

    /// The trampoline by which the list is entered.
    func compile(into builder: inout RulesetBuilder) -> ChainName {
        let base = names.list(use)
        let blocks = Self.blocks(of: list.rules)
        var next: ChainName?
        for (index, block) in blocks.enumerated().reversed() {
            let first = block.first?.rule.name ?? "empty"
            let rules = block.flatMap { compile($0, into: &builder) }
            let content = builder.content(
                "\(base)/\(first)", rules + (next.map { [Rule(.verdict(.goto($0)))] } ?? []))
            next = builder.trampoline(index == 0 ? base : "\(base)/\(first)", to: content)
        }
        return next ?? builder.trampoline(base, to: nil)
    }

    private func compile(_ resolved: ResolvedRule, into builder: inout RulesetBuilder) -> [Rule] {
        let rule = resolved.rule
        let counter = names.counterName(of: NumberedRule(rule, of: list.key.group))
        builder.add(counter)
        guard let number = numbering.number(of: rule, in: list.key.group) else {
            preconditionFailure("\(rule.name): numbers are assigned before a policy is compiled")
        }
        var action: [Step] = [.counter(counter)]
        switch rule.access {
        case .allow:
            if use.writesLabel { action.append(.setLabel(FlowLabel.bits(number, in: use.slot))) }
            action.append(.verdict(.return))
        case .deny:
            action += [packetCopy(.denied(use.slot, number))].compactMap(\.self) + [.verdict(.drop)]
        }
        return RuleCompiler(rule: resolved, network: list.key.virtualNetwork, names: names, action: action)
            .compile(into: &builder)
    }

    /// Cuts a list where a rule's name says so, so that a rule that comes or goes moves no cut but its own.
    static func blocks(of rules: [ResolvedRule]) -> [ArraySlice<ResolvedRule>] {
        guard rules.count > shortest * 3 else { return [rules[...]] }
        var blocks: [ArraySlice<ResolvedRule>] = []
        var start = 0
        for index in rules.indices.dropFirst() {
            let length = index - start
            if length >= longest || (length >= shortest && isCut(rules[index].rule.name)) {
                blocks.append(rules[start..<index])
                start = index
            }
        }
        return blocks + [rules[start...]]
    }

    private static let shortest = 4
    private static let longest = 32

    private static func isCut(_ name: String) -> Bool {
        ChainNames.digits(of: name.lowercased(), 1) == "0" || ChainNames.digits(of: name.lowercased(), 1) == "8"
    }
}
