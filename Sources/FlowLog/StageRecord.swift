package import NSGModel
package import NetworkTypes

/// A rule as logs name it.
package struct RuleReference: Hashable, Sendable {
    /// The security group, or the collection of an admin rule.
    package var owner: ResourceID
    package var name: String
    package var kind: RuleKind

    package init(owner: ResourceID, name: String, kind: RuleKind) {
        self.owner = owner
        self.name = name
        self.kind = kind
    }

    /// What IP flow verify names as the group: the security group, or the manager of an admin rule.
    package var group: ResourceID { kind == .admin ? owner.networkManager : owner }

    /// `securityRules/web`: in `flows.jsonl` and in IP flow verify.
    package var qualifiedName: String { kind.qualifiedName(of: name) }
    /// `UserRule_web`: in Azure's flow logs.
    package var flowLogName: String { kind.flowLogName(of: name) }
}

/// What one network security group on a packet's way said about it (K5).
package struct StageRecord: Hashable, Sendable {
    package var level: PolicyLevel
    package var rule: RuleReference
    /// `resourceGuid` of the group: `aclID` in virtual network flow logs.
    package var groupGUID: UUID
    package var priority: Priority
    package var access: Access
    /// Where a written rule stands; nil for a default rule.
    package var location: SourceLocation?
    /// Worked out afterwards by the evaluator instead of being reported by the kernel.
    package var isDerived: Bool

    package init(
        level: PolicyLevel, rule: RuleReference, groupGUID: UUID, priority: Priority, access: Access,
        location: SourceLocation? = nil, isDerived: Bool = false
    ) {
        self.level = level
        self.rule = rule
        self.groupGUID = groupGUID
        self.priority = priority
        self.access = access
        self.location = location
        self.isDerived = isDerived
    }

    package init(level: PolicyLevel, rule: SecurityRule, groupGUID: UUID, isDerived: Bool = false) {
        self.init(
            level: level, rule: RuleReference(owner: rule.owner, name: rule.name, kind: rule.kind),
            groupGUID: groupGUID, priority: rule.priority, access: rule.access, location: rule.location,
            isDerived: isDerived)
    }
}
