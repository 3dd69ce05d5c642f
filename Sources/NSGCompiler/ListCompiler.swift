import NSGModel
import Nftables

/// A policy list as a row of chains. A chain ends by going to the next one's trampoline, so that a changed rule is one new
/// chain, a third or so of a long list, and one swapped jump (E3). Inside, `return` is Azure's Allow: it
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
            // "at.": a rule may be called as a use of the list is (`host`, `again`).
            next = builder.trampoline(index == 0 ? base : "\(base)/at.\(first)", to: content)
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

    /// Cuts a list into at most four where a rule's name says so, so that a rule that comes or goes seldom moves a cut but
    /// its own. More is not to be had: the kernel counts a `goto` towards the 16 levels it allows (`NFT_JUMP_STACK_SIZE`),
    /// each cut costs two, and a list's own chain is the eighth where guests route.
    static func blocks(of rules: [ResolvedRule]) -> [ArraySlice<ResolvedRule>] {
        guard rules.count > 12 else { return [rules[...]] }
        // A quarter of the length, in steps of powers of two, so that cuts stay while a list grows.
        let shortest = (1 << (Int.bitWidth - (rules.count - 1).leadingZeroBitCount)) / 4
        var blocks: [ArraySlice<ResolvedRule>] = []
        var start = 0
        for index in rules.indices.dropFirst() {
            let length = index - start
            if length >= shortest * 2 || (length >= shortest && isCut(rules[index].rule.name)) {
                blocks.append(rules[start..<index])
                start = index
            }
        }
        return blocks + [rules[start...]]
    }

    private static func isCut(_ name: String) -> Bool {
        ["0", "8"].contains(ChainNames.digits(of: name.lowercased(), 1))
    }
}
