package import NSGModel

/// A rule as one of the kernel's counters knows it: `packets` of that counter are the first packets the rule decided
/// at its stage. All versions of a rule, and all uses of its group, share a counter.
package struct CountedRule: Hashable, Sendable {
    package var rule: RuleReference
    package var direction: Direction

    package init(rule: RuleReference, direction: Direction) {
        self.rule = rule
        self.direction = direction
    }

    /// What the platform let pass (S9), and what it refused (S14).
    package static func platform(_ access: Access) -> CountedRule {
        CountedRule(
            rule: RuleReference(
                owner: PlatformRules.owner, name: access == .deny ? "smtp" : "allowed", kind: .platform),
            direction: .outbound)
    }
}

extension LoggedSide {
    /// The rules that counted a first packet here: of every stage up to the one that refused it, which is the last that
    /// was asked.
    package func countedRules(_ access: Access) -> [CountedRule] {
        if facts.isPlatform { return [.platform(access)] }
        let asked = facts.stages.firstIndex { $0.access == .deny }.map { facts.stages[...$0] } ?? facts.stages[...]
        return asked.map { CountedRule(rule: $0.rule, direction: facts.direction) }
    }
}

extension FlowRecord {
    /// First packets of which this record tells, each counted by the rules that were asked (F5). The sum over all
    /// records of a rule, and what gaps declare, is the rule's counter.
    package var decisions: UInt64 {
        switch change {
        case .began: (attribution == .packet ? 1 : 0) &+ repeats
        case .denied: 1
        case .deniedAgain(let count): UInt64(max(count, 0))
        case .continued, .ended: repeats
        }
    }
}
