import NSGModel
import Nftables

/// A policy list as one chain behind a trampoline: the rules in order. `return` is Azure's Allow: it leads back to the
/// interface's chain, which asks the next list; a Deny logs and drops. (Several chains linked by jumps would not do:
/// the kernel counts a `goto` towards the 16 levels it allows, `NFT_JUMP_STACK_SIZE`.)
struct ListCompiler {
    let list: PolicyList
    let use: ListUse
    let names: ChainNames
    let numbering: RuleNumbering
    let packetCopy: (DecisionMark) -> Step?
    /// Where Allow leads to; nil to return to the interface's chain, which asks the next list.
    var next: ChainName?

    /// The trampoline by which the list is entered.
    func compile(into builder: inout RulesetBuilder) -> ChainName {
        let base = names.list(use)
        return builder.trampoline(base, to: builder.content(base, list.rules.flatMap { compile($0, into: &builder) }))
    }

    private func compile(_ resolved: ResolvedRule, into builder: inout RulesetBuilder) -> [Rule] {
        let rule = resolved.rule
        let counter = names.counterName(of: NumberedRule(rule))
        builder.add(counter)
        let number = numbering.assigned(to: rule)
        var action: [Step] = [.counter(counter)]
        switch rule.access {
        case .allow, .alwaysAllow:
            if use.writesLabel { action.append(.setLabel(FlowLabel.bits(number, in: use.slot))) }
            // Admin rules: Allow goes on to the security groups, AlwaysAllow leads past them (S8).
            let goesOn = rule.access == .allow ? next : nil
            action.append(.verdict(goesOn.map { .goto($0) } ?? .return))
        case .deny:
            if !use.writesLabel { action.append(.setLabel(FlowLabel.refused)) }
            action += [packetCopy(.denied(use.slot, number))].compactMap(\.self) + [.verdict(.drop)]
        }
        return resolved.alternatives.flatMap {
            RuleCompiler(rule: $0, network: list.key.virtualNetwork, names: names, action: action)
                .compile(into: &builder)
        }
    }
}
