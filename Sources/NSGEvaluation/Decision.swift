package import NSGModel

/// What one list said about a flow.
package struct StageDecision: Hashable, Sendable {
    package var level: PolicyLevel
    /// The security group, or the network manager of an admin rule.
    package var owner: ResourceID
    /// The rule that matched first. Every list ends in a rule that matches everything.
    package var rule: SecurityRule
    package var access: Access { rule.access }
}

/// The answer for one flow at one interface.
package struct Decision: Hashable, Sendable {
    /// Every list that is present, in order, also those behind a Deny (K5); none behind an AlwaysAllow, which ends the
    /// evaluation (S8).
    package var stages: [StageDecision]
    /// What happens whatever the rules say.
    package var platform: PlatformVerdict?

    package init(stages: [StageDecision], platform: PlatformVerdict? = nil) {
        self.stages = stages
        self.platform = platform
    }

    /// What the rules say: every list must allow; no list allows. `allow` or `deny`.
    package var access: Access { stages.contains { $0.access == .deny } ? .deny : .allow }
    /// The stage that is named in answers: the first that denies, else the last.
    package var deciding: StageDecision? { stages.first { $0.access == .deny } ?? stages.last }
    /// What happens to the packet.
    package var passes: Bool {
        switch platform {
        case .link, .service: true
        case .blocksSMTP, .foreignAddress: false
        case nil: access == .allow
        }
    }
}

/// What Azure's platform does with a packet before any rule.
package enum PlatformVerdict: Hashable, Sendable {
    /// Keeps the link alive (S12).
    case link
    /// Asks a service of the platform (S9).
    case service(PlatformService)
    /// TCP port 25 to the Internet, blocked (S14).
    case blocksSMTP
    /// From or for an address that is not the guest's, which does not route (S13). No rule and no record has it.
    case foreignAddress

    package var isExemption: Bool {
        switch self {
        case .link, .service: true
        case .blocksSMTP, .foreignAddress: false
        }
    }
}
