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
/// `VirtualNetwork` makes it depend on the network, rules with application security groups on the interface's membership.
package struct PolicyList: Hashable, Sendable {
    package struct Key: Hashable, Sendable {
        package var group: ResourceID
        package var level: PolicyLevel
        package var direction: Direction
        package var virtualNetwork: ResourceID
        /// Of the groups that rules of this direction name on the interface's own side, those it is a member of; sorted.
        package var memberships: [ResourceID]
    }

    package var key: Key
    /// In the order in which they are tried.
    package var rules: [ResolvedRule]
}

extension Estate {
    /// The lists a first packet meets at an interface, in order (S2): inbound subnet then NIC, outbound NIC then subnet.
    /// A level without a group is absent.
    package func policyLists(of interface: NetworkInterface, _ direction: Direction) -> [PolicyList] {
        let subnetGroup = interface.ipConfigurations.first.flatMap { subnet($0.subnet)?.networkSecurityGroup }
        let inbound: [(PolicyLevel, ResourceID?)] = [(.subnet, subnetGroup), (.nic, interface.networkSecurityGroup)]
        let ordered = direction == .inbound ? inbound : inbound.reversed()
        return ordered.compactMap { level, group in
            guard let group = group.flatMap({ networkSecurityGroups[$0] }) else { return nil }
            return policyList(of: group, at: level, direction, on: interface)
        }
    }

    private func policyList(
        of group: NetworkSecurityGroup, at level: PolicyLevel, _ direction: Direction, on interface: NetworkInterface
    ) -> PolicyList? {
        guard let network = virtualNetwork(of: interface) else { return nil }
        let memberships = interface.applicationSecurityGroups
        var relevant: Set<ResourceID> = []
        var rules: [ResolvedRule] = []
        for rule in group.rules(direction) {
            // S11: with a group on the interface's own side a rule applies only on members.
            if case .applicationSecurityGroups(let own) = direction == .inbound ? rule.destination : rule.source {
                let joined = memberships.intersection(own)
                relevant.formUnion(joined)
                if joined.isEmpty { continue }
            }
            rules.append(
                ResolvedRule(
                    rule: rule, source: addresses(rule.source, in: network),
                    sourcePorts: IntervalSet(rule.sourcePorts.map(\.bounds)),
                    destination: addresses(rule.destination, in: network),
                    destinationPorts: IntervalSet(rule.destinationPorts.map(\.bounds))))
        }
        let key = PolicyList.Key(
            group: group.id, level: level, direction: direction, virtualNetwork: network.id, memberships: relevant.sorted())
        return PolicyList(key: key, rules: rules)
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
