package import NSGModel

/// What one list said about a flow.
package struct StageDecision: Hashable, Sendable {
    package var level: PolicyLevel
    package var group: ResourceID
    /// The rule that matched first. Every list ends in a rule that matches everything.
    package var rule: SecurityRule
    package var access: Access { rule.access }
}

/// The answer for one flow at one interface.
package struct Decision: Hashable, Sendable {
    /// Every list that is present, in order, also those behind a Deny (K5).
    package var stages: [StageDecision]
    /// Traffic with the platform or between neighbours that passes whatever the rules say (S9, S12).
    package var isExempt: Bool

    package init(stages: [StageDecision], isExempt: Bool) {
        self.stages = stages
        self.isExempt = isExempt
    }

    /// What the rules say: every list must allow; no list allows.
    package var access: Access { stages.allSatisfy { $0.access == .allow } ? .allow : .deny }
    /// The stage that is named in answers: the first that denies, else the last.
    package var deciding: StageDecision? { stages.first { $0.access == .deny } ?? stages.last }
    /// What happens to the packet.
    package var passes: Bool { isExempt || access == .allow }
}
