import NetworkTypes

/// The addresses that scopes stand for (S10, S11). Tags and groups are looked up once: a tag may have thousands of
/// prefixes, and many rules name it.
struct ScopeExpansion {
    private let estate: Estate
    private var known: [Key: AddressSet] = [:]

    /// `VirtualNetwork` alone means something else in each network.
    private struct Key: Hashable {
        var scope: AddressScope
        var network: ResourceID?
    }

    init(_ estate: Estate) { self.estate = estate }

    /// On interfaces of `network`.
    mutating func addresses(_ scope: AddressScope, in network: VirtualNetwork) -> AddressSet {
        switch scope {
        case .any: return .all
        case .prefixes(let prefixes): return AddressSet(prefixes)
        case .either(let scopes):
            var union = AddressSet()
            for scope in scopes { union = union.union(addresses(scope, in: network)) }
            return union
        case .serviceTag, .applicationSecurityGroups, .networkGroup: break
        }
        let key = Key(scope: scope, network: scope == .serviceTag(.virtualNetwork) ? network.id : nil)
        if let found = known[key] { return found }
        let found = estate.lookUp(scope, in: network)
        known[key] = found
        return found
    }

    mutating func resolved(_ rule: SecurityRule, in network: VirtualNetwork) -> ResolvedRule {
        var ports = IntervalSet(rule.destinationPorts.map(\.bounds))
        // The tag stands for 168.63.129.16:53. It is the only item of its side: a document that lists it beside others is
        // refused, as one set of ports could not hold for both.
        if rule.destination == .serviceTag(.azurePlatformDNS) { ports = ports.intersection(IntervalSet([53...53])) }
        return ResolvedRule(
            rule: rule, source: addresses(rule.source, in: network),
            sourcePorts: IntervalSet(rule.sourcePorts.map(\.bounds)),
            destination: addresses(rule.destination, in: network), destinationPorts: ports)
    }
}

extension Estate {
    fileprivate func lookUp(_ scope: AddressScope, in network: VirtualNetwork) -> AddressSet {
        switch scope {
        case .serviceTag(let tag): addresses(tag, in: network)
        case .applicationSecurityGroups(let groups): addresses(ofMembersOf: Set(groups))
        case .networkGroup(let group): AddressSet(prefixes(ofNetworksIn: group))
        case .any, .prefixes, .either: AddressSet()
        }
    }

    private func addresses(_ tag: ServiceTag, in network: VirtualNetwork) -> AddressSet {
        switch tag {
        case .virtualNetwork: AddressSet(network.tagPrefixes(probe: platform.probe))
        case .internet: InternetPrefixes.addresses
        default: AddressSet(prefixes(of: tag))
        }
    }

    private func addresses(ofMembersOf groups: Set<ResourceID>) -> AddressSet {
        let members = networkInterfaces.values.flatMap(\.ipConfigurations).filter { configuration in
            configuration.applicationSecurityGroups.contains { groups.contains($0) }
        }
        return AddressSet(members.compactMap(\.address).map { IPPrefix($0) })
    }
}
