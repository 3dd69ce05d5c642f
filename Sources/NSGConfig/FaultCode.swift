/// The codes of faults. The first group are Azure's, with Azure's conditions; the second group are ours.
enum FaultCode: String {
    // Security rules and groups.
    case securityRuleInvalidPriority = "SecurityRuleInvalidPriority"
    case securityRuleInvalidPortRange = "SecurityRuleInvalidPortRange"
    case securityRuleInvalidAddressPrefix = "SecurityRuleInvalidAddressPrefix"
    case securityRuleDescriptionTooLong = "SecurityRuleDescriptionTooLong"
    case securityRuleConflict = "SecurityRuleConflict"
    case securityRuleParameterContainsUnsupportedValue = "SecurityRuleParameterContainsUnsupportedValue"
    case securityRuleParameterContainsInvalidPortRanges = "SecurityRuleParameterContainsInvalidPortRanges"
    case overlappingSubnetsNotPermittedInSecurityRule = "OverlappingSubnetsNotPermittedInSecurityRule"
    case differentAddressFamilies = "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies"
    case securityRuleInvalidAccessType = "SecurityRuleInvalidAccessType"
    case applicationSecurityGroupsOfSeveralVnets = "AllApplicationSecurityGroupsInSecurityRuleMustBeFromSameVnet"
    case applicationSecurityGroupsPerRule = "NumberOfApplicationSecurityGroupsReferencedInSecurityRuleLimitReached"
    case securityRuleCountLimitReached = "SecurityRuleCountLimitReached"
    case addressesOrPortsLimitReached = "SecurityRuleAddressesOrPortsPerSecurityGroupLimitReached"

    // Networks and names. Azure's codes, as its clients show them.
    case invalidResourceName = "InvalidResourceName"
    case duplicateResourceName = "DuplicateResourceName"
    case invalidCIDRNotation = "InvalidCIDRNotation"
    case subnetOutsideNetwork = "NetcfgInvalidSubnet"
    case subnetRangesOverlap = "NetcfgSubnetRangesOverlap"
    case addressNotInSubnet = "PrivateIPAddressNotInSubnet"
    case addressInUse = "PrivateIPAddressInUse"

    // Ours: documents.
    case unreadableFile = "UnreadableFile"
    case invalidJSON = "InvalidJSON"
    case wrongType = "WrongType"
    case unknownProperty = "UnknownProperty"
    case missingProperty = "MissingProperty"
    case conflictingProperties = "ConflictingProperties"
    case unknownValue = "UnknownValue"
    case outOfRange = "OutOfRange"
    case templateExpression = "TemplateExpression"
    case unknownResourceKind = "UnknownResourceKind"
    case invalidResourceID = "InvalidResourceId"
    case duplicateResource = "DuplicateResource"

    // Ours: what holds between resources.
    case unknownReference = "UnknownReference"
    case ambiguousReference = "AmbiguousReference"
    /// After Azure's usage; no recorded answer.
    case severalSubnets = "IpConfigurationsOnSameNicCannotUseDifferentSubnets"
    case severalVirtualNetworks = "NetworkInterfaceInSeveralVirtualNetworks"
    case membersInSeveralVirtualNetworks = "ApplicationSecurityGroupMembersInSeveralVirtualNetworks"
    case securityRuleInvalidPlatformTag = "SecurityRuleInvalidPlatformTag"
    case memberIsNoVirtualNetwork = "NetworkGroupMemberIsNoVirtualNetwork"
    case limitReached = "LimitReached"
    case invalidDeviceName = "InvalidDeviceName"
    case duplicateBinding = "DuplicateBinding"
    case equalAddressesOnHost = "EqualAddressesOnHost"
}
