package import NetworkTypes

// What service tags stand for (S10), and who names them.
extension Estate {
    /// One spelling for all that are equal: that of the file or the setting, or the constant of a tag that Azure
    /// computes. Two rules that spell a tag differently share what is named after it.
    package func canonicalName(of tag: ServiceTag) -> String {
        ServiceTag.computed.first { $0 == tag }?.description ?? serviceTagNames[tag.key] ?? tag.key
    }

    /// Of a tag that means the same in every virtual network, as written, in the order of the file or the setting;
    /// `Internet` in the fewest prefixes. Empty for `VirtualNetwork`, and for a tag that nobody defines.
    package func prefixes(of tag: ServiceTag) -> [IPPrefix] {
        switch tag {
        case .virtualNetwork: []
        case .internet: InternetPrefixes.addresses.prefixes
        case .azureLoadBalancer: platform.probe
        case .azurePlatformDNS: platform.dns
        case .azurePlatformIMDS: platform.imds
        case .azurePlatformLKM: platform.kms
        default: serviceTags[tag.key] ?? []
        }
    }

    /// Written rules of security groups and network managers that name tags, by `ServiceTag.key`; a rule that names a
    /// tag on both sides stands there once. In the order of owners and rules.
    package var rulesByServiceTag: [String: [SecurityRule]] {
        let groups = networkSecurityGroups.values.sorted { $0.id < $1.id }.flatMap(\.securityRules)
        let admin = networkManagers.values.sorted { $0.id < $1.id }.flatMap(\.configurations).flatMap(\.collections)
            .flatMap(\.rules)
        var rules: [String: [SecurityRule]] = [:]
        for rule in groups + admin {
            for tag in rule.source.serviceTags.union(rule.destination.serviceTags) {
                rules[tag.key, default: []].append(rule)
            }
        }
        return rules
    }
}

extension AddressScope {
    package var serviceTags: Set<ServiceTag> {
        switch self {
        case .serviceTag(let tag): [tag]
        case .either(let scopes): scopes.reduce(into: []) { $0.formUnion($1.serviceTags) }
        case .any, .prefixes, .applicationSecurityGroups, .networkGroup: []
        }
    }
}

extension AddressSet {
    /// The fewest prefixes that cover the set exactly, IPv4 first, in ascending order.
    package var prefixes: [IPPrefix] { v4.prefixes + v6.prefixes }
}
