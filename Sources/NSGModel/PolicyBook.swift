import NetworkTypes

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
}
