/// How much of everything there may be (FACTS a4). The defaults are Azure's; `limits` in `nsgd.json` replaces them.
/// Source: Azure documentation, "Azure subscription and service limits", networking.
package struct Limits: Hashable, Sendable {
    /// Per region and subscription.
    package var networkSecurityGroups = 5_000
    /// Default rules are not counted.
    package var securityRulesPerGroup = 1_000
    /// For each of source and destination, addresses and ports: what all rules of a group hold together.
    package var addressesOrPortsPerGroup = 4_000
    /// Per region and subscription.
    package var applicationSecurityGroups = 3_000
    package var applicationSecurityGroupsPerIPConfiguration = 20
    package var applicationSecurityGroupsPerRuleSide = 10
    /// Different ones in all rules of a group together.
    package var applicationSecurityGroupsPerGroup = 100
    package var ipConfigurationsPerApplicationSecurityGroup = 4_000
    /// Address prefixes in all security admin rules together.
    package var adminRulePrefixes = 1_000

    package init() {}

    /// The names of the settings, with what they set.
    static let settings: [(name: String, limit: any WritableKeyPath<Limits, Int> & Sendable)] = [
        ("networkSecurityGroups", \.networkSecurityGroups),
        ("securityRulesPerGroup", \.securityRulesPerGroup),
        ("addressesOrPortsPerGroup", \.addressesOrPortsPerGroup),
        ("applicationSecurityGroups", \.applicationSecurityGroups),
        ("applicationSecurityGroupsPerIPConfiguration", \.applicationSecurityGroupsPerIPConfiguration),
        ("applicationSecurityGroupsPerRuleSide", \.applicationSecurityGroupsPerRuleSide),
        ("applicationSecurityGroupsPerGroup", \.applicationSecurityGroupsPerGroup),
        ("ipConfigurationsPerApplicationSecurityGroup", \.ipConfigurationsPerApplicationSecurityGroup),
        ("adminRulePrefixes", \.adminRulePrefixes),
    ]
}
