import NetworkTypes

/// The addresses that scopes stand for (S10, S11). Tags and groups are looked up once: a tag may have thousands of
/// prefixes, and many rules name it.
struct ScopeExpansion: Sendable {
    private let estate: Estate
    private let members: [ResourceID: [IPPrefix]]
    private var known: [Key: AddressSet] = [:]

    /// `VirtualNetwork` alone means something else in each network.
    private struct Key: Hashable {
        var scope: AddressScope
        var network: ResourceID?

        init(_ scope: AddressScope, in network: VirtualNetwork) {
            self.scope = scope
            self.network = scope == .serviceTag(.virtualNetwork) ? network.id : nil
        }
    }

    /// - Parameter earlier: that of an estate before this one; tags that are the same there need no sorting again.
    init(_ estate: Estate, after earlier: ScopeExpansion?) {
        self.estate = estate
        members = estate.membersOfApplicationSecurityGroups
        for (key, addresses) in earlier?.known ?? [:] {
            guard case .serviceTag(let tag) = key.scope, !tag.isComputed,
                estate.serviceTags[tag.key] == earlier?.estate.serviceTags[tag.key]
            else { continue }
            known[key] = addresses
        }
    }

    /// Whether scopes that stand for what is defined elsewhere stand for what they stood for in an earlier estate.
    mutating func isUnchanged(
        _ scopes: Set<AddressScope>, in network: VirtualNetwork, since earlier: ScopeExpansion
    ) -> Bool {
        for scope in scopes where earlier.known[Key(scope, in: network)] != addresses(scope, in: network) {
            return false
        }
        return true
    }

    /// On interfaces of `network`.
    mutating func addresses(_ scope: AddressScope, in network: VirtualNetwork) -> AddressSet {
        switch scope {
        case .any: return Self.anyAddress
        case .prefixes(let prefixes): return AddressSet(prefixes)
        case .either(let scopes):
            var union = AddressSet()
            for scope in scopes { union = union.union(addresses(scope, in: network)) }
            return union
        case .serviceTag, .applicationSecurityGroups, .networkGroup: break
        }
        let key = Key(scope, in: network)
        if let found = known[key] { return found }
        let found = lookUp(scope, in: network)
        known[key] = found
        return found
    }

    mutating func resolved(_ rule: SecurityRule, in network: VirtualNetwork) -> ResolvedRule {
        var ports = Self.ports(rule.destinationPorts)
        // The tag stands for 168.63.129.16:53. It is the only item of its side: a document that lists it beside others
        // is refused, as one set of ports could not hold for both.
        if rule.destination == .serviceTag(.azurePlatformDNS) { ports = ports.intersection(IntervalSet([53...53])) }
        return ResolvedRule(
            rule: rule, source: addresses(rule.source, in: network),
            sourcePorts: Self.ports(rule.sourcePorts),
            destination: addresses(rule.destination, in: network), destinationPorts: ports,
            sourceParts: parts(of: rule.source, in: network), destinationParts: parts(of: rule.destination, in: network)
        )
    }

    /// Of most rules they are any, which is stored once.
    private static func ports(_ ranges: [PortRange]) -> IntervalSet<UInt16> {
        ranges == [.any] ? anyPort : IntervalSet(ranges.map(\.bounds))
    }

    private static let anyPort = IntervalSet<UInt16>.all
    private static let anyAddress = AddressSet.all

    private mutating func parts(of scope: AddressScope, in network: VirtualNetwork) -> [AddressPart] {
        guard case .either = scope else { return [] }
        return scope.parts.map { AddressPart(scope: $0, addresses: addresses($0, in: network)) }
    }

    private func lookUp(_ scope: AddressScope, in network: VirtualNetwork) -> AddressSet {
        switch scope {
        case .serviceTag(let tag): estate.addresses(tag, in: network)
        case .applicationSecurityGroups(let groups): AddressSet(Set(groups).flatMap { members[$0] ?? [] })
        case .networkGroup(let group): AddressSet(estate.prefixes(ofNetworksIn: group))
        case .any, .prefixes, .either: AddressSet()
        }
    }
}

extension AddressScope {
    /// What in it is defined elsewhere.
    var outside: [AddressScope] {
        switch self {
        case .any, .prefixes: []
        case .serviceTag, .applicationSecurityGroups, .networkGroup: [self]
        case .either(let scopes): scopes.flatMap(\.outside)
        }
    }

    /// Each named item by itself, once, then all prefixes as one. What is listed side by side means their union.
    fileprivate var parts: [AddressScope] {
        var (named, prefixes): ([AddressScope], [IPPrefix]) = ([], [])
        for item in items {
            if case .prefixes(let more) = item { prefixes += more } else if !named.contains(item) { named.append(item) }
        }
        return named + (prefixes.isEmpty ? [] : [.prefixes(prefixes)])
    }

    private var items: [AddressScope] {
        if case .either(let scopes) = self { scopes.flatMap(\.items) } else { [self] }
    }
}

extension Estate {

    fileprivate func addresses(_ tag: ServiceTag, in network: VirtualNetwork) -> AddressSet {
        switch tag {
        case .virtualNetwork: AddressSet(network.tagPrefixes(probe: platform.probe))
        case .internet: InternetPrefixes.addresses
        default: AddressSet(prefixes(of: tag))
        }
    }

    /// Addresses of member IP configurations, by group (S11).
    fileprivate var membersOfApplicationSecurityGroups: [ResourceID: [IPPrefix]] {
        var members: [ResourceID: [IPPrefix]] = [:]
        for configuration in networkInterfaces.values.flatMap(\.ipConfigurations) {
            guard let address = configuration.address else { continue }
            for group in configuration.applicationSecurityGroups {
                members[group, default: []].append(IPPrefix(address))
            }
        }
        return members
    }
}
