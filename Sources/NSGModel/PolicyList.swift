package import NetworkTypes

/// Where a list of rules stands on a packet's way.
package enum PolicyLevel: String, Hashable, Sendable, CaseIterable {
    case subnet
    case nic
}

/// One rule of a list with its addresses looked up. A rule with an empty side matches nothing.
package struct ResolvedRule: Hashable, Sendable {
    package var rule: SecurityRule
    package var source: AddressSet
    package var sourcePorts: IntervalSet<UInt16>
    package var destination: AddressSet
    package var destinationPorts: IntervalSet<UInt16>

    package init(
        rule: SecurityRule, source: AddressSet, sourcePorts: IntervalSet<UInt16>, destination: AddressSet,
        destinationPorts: IntervalSet<UInt16>
    ) {
        self.rule = rule
        self.source = source
        self.sourcePorts = sourcePorts
        self.destination = destination
        self.destinationPorts = destinationPorts
    }
}

/// One direction of a security group as it stands on a network interface: the unit that interfaces share. The tag
/// `VirtualNetwork` makes it depend on the network, rules with application security groups on the interface's
/// membership.
package struct PolicyList: Hashable, Sendable {
    package struct Key: Hashable, Sendable {
        package var group: ResourceID
        package var level: PolicyLevel
        package var direction: Direction
        package var virtualNetwork: ResourceID
        /// Of the groups that rules of this direction name on the interface's own side, those it is a member of;
        /// sorted.
        package var memberships: [ResourceID]
    }

    package var key: Key
    /// In the order in which they are tried.
    package var rules: [ResolvedRule]
}

/// The lists of every network interface of an estate, each distinct list resolved once.
package struct PolicyBook: Sendable {
    package let estate: Estate
    private var keys: [ResourceID: [Direction: [PolicyList.Key]]] = [:]
    private var lists: [PolicyList.Key: PolicyList] = [:]

    /// O(interfaces + rules of each distinct list).
    package init(_ estate: Estate) {
        self.estate = estate
        for interface in estate.networkInterfaces.values {
            guard let network = estate.virtualNetwork(of: interface) else { continue }
            for direction in Direction.allCases {
                let stages = estate.groups(at: interface, direction)
                keys[interface.id, default: [:]][direction] = stages.map { level, group in
                    add(group, at: level, direction, on: interface, in: network)
                }
            }
        }
    }

    /// The lists a first packet meets at an interface, in order (S2): inbound subnet then NIC, outbound NIC then
    /// subnet. A level without a group is absent.
    package func lists(of interface: ResourceID, _ direction: Direction) -> [PolicyList] {
        (keys[interface]?[direction] ?? []).compactMap { lists[$0] }
    }

    private mutating func add(
        _ group: NetworkSecurityGroup, at level: PolicyLevel, _ direction: Direction, on interface: NetworkInterface,
        in network: VirtualNetwork
    ) -> PolicyList.Key {
        let rules = group.rules(direction)
        let named = Set(rules.flatMap { $0.ownApplicationSecurityGroups ?? [] })
        let memberships = interface.applicationSecurityGroups.intersection(named)
        let key = PolicyList.Key(
            group: group.id, level: level, direction: direction, virtualNetwork: network.id,
            memberships: memberships.sorted())
        if lists[key] == nil {
            // S11: with a group on the interface's own side a rule applies only on members.
            let applicable = rules.filter {
                $0.ownApplicationSecurityGroups.map { !memberships.isDisjoint(with: $0) } ?? true
            }
            lists[key] = PolicyList(key: key, rules: applicable.map { estate.resolved($0, in: network) })
        }
        return key
    }
}

extension SecurityRule {
    /// The application security groups on the interface's own side, if that side names any.
    fileprivate var ownApplicationSecurityGroups: [ResourceID]? {
        let own = direction == .inbound ? destination : source
        guard case .applicationSecurityGroups(let groups) = own else { return nil }
        return groups
    }
}

extension Estate {
    fileprivate func groups(
        at interface: NetworkInterface, _ direction: Direction
    ) -> [(PolicyLevel, NetworkSecurityGroup)] {
        let subnetGroup = interface.ipConfigurations.first.flatMap { subnet($0.subnet)?.networkSecurityGroup }
        let inbound: [(PolicyLevel, ResourceID?)] = [(.subnet, subnetGroup), (.nic, interface.networkSecurityGroup)]
        return (direction == .inbound ? inbound : inbound.reversed()).compactMap { level, id in
            id.flatMap { networkSecurityGroups[$0] }.map { (level, $0) }
        }
    }

    fileprivate func resolved(_ rule: SecurityRule, in network: VirtualNetwork) -> ResolvedRule {
        ResolvedRule(
            rule: rule, source: addresses(rule.source, in: network),
            sourcePorts: IntervalSet(rule.sourcePorts.map(\.bounds)),
            destination: addresses(rule.destination, in: network),
            destinationPorts: IntervalSet(rule.destinationPorts.map(\.bounds)))
    }

    /// The addresses a scope stands for on interfaces of `network` (S10, S11).
    package func addresses(_ scope: AddressScope, in network: VirtualNetwork) -> AddressSet {
        switch scope {
        case .any: .all
        case .prefixes(let prefixes): AddressSet(prefixes)
        case .serviceTag(let tag): addresses(tag, in: network)
        case .applicationSecurityGroups(let groups): addresses(ofMembersOf: Set(groups))
        }
    }

    private func addresses(_ tag: ServiceTag, in network: VirtualNetwork) -> AddressSet {
        switch tag {
        case .virtualNetwork: AddressSet(network.tagPrefixes(probe: platform.probe))
        case .internet: InternetPrefixes.addresses
        case .azureLoadBalancer: AddressSet(platform.probe)
        case .azurePlatformDNS: AddressSet(platform.dns)
        case .azurePlatformIMDS: AddressSet(platform.imds)
        case .azurePlatformLKM: AddressSet(platform.kms)
        default: AddressSet(serviceTags[tag.key] ?? [])
        }
    }

    private func addresses(ofMembersOf groups: Set<ResourceID>) -> AddressSet {
        let members = networkInterfaces.values.flatMap(\.ipConfigurations).filter { configuration in
            configuration.applicationSecurityGroups.contains { groups.contains($0) }
        }
        return AddressSet(members.compactMap(\.address).map { IPPrefix($0) })
    }
}
