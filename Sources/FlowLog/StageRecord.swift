package import NSGModel
package import NetworkTypes

/// A rule as logs name it.
package struct RuleReference: Hashable, Sendable {
    package var networkSecurityGroup: ResourceID
    package var name: String
    package var isDefault: Bool

    package init(networkSecurityGroup: ResourceID, name: String, isDefault: Bool) {
        self.networkSecurityGroup = networkSecurityGroup
        self.name = name
        self.isDefault = isDefault
    }

    /// `securityRules/web`: in `flows.jsonl` and in IP flow verify.
    package var qualifiedName: String { (isDefault ? "defaultSecurityRules/" : "securityRules/") + name }
    /// `UserRule_web`: in Azure's flow logs.
    package var flowLogName: String { (isDefault ? "DefaultRule_" : "UserRule_") + name }
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

    package init(level: PolicyLevel, group: NetworkSecurityGroup, rule: SecurityRule, isDerived: Bool = false) {
        self.init(
            level: level,
            rule: RuleReference(networkSecurityGroup: group.id, name: rule.name, isDefault: rule.isDefault),
            groupGUID: group.guid, priority: rule.priority, access: rule.access, location: rule.location,
            isDerived: isDerived)
    }
}
