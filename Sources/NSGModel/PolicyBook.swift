import NetworkTypes

/// The lists of every network interface of an estate, each distinct list resolved once.
package struct PolicyBook: Sendable {
    package let estate: Estate
    private var keys: [ResourceID: [Direction: [PolicyList.Key]]] = [:]
    private var lists: [PolicyList.Key: PolicyList] = [:]
    private var services: [ResourceID: [PlatformService]] = [:]

    /// O(interfaces + rules of each distinct list).
    package init(_ estate: Estate) {
        self.estate = estate
        var expansion = ScopeExpansion(estate)
        for interface in estate.networkInterfaces.values {
            guard let network = estate.virtualNetwork(of: interface) else { continue }
            services[interface.id] = estate.exemptServices(at: interface)
            for direction in Direction.allCases {
                let stages = estate.groups(at: interface, direction)
                let admin = addAdminRules(direction, at: interface, in: network, &expansion)
                keys[interface.id, default: [:]][direction] =
                    [admin].compactMap(\.self)
                    + stages.map { level, group in
                        add(group, at: level, direction, on: interface, in: network, &expansion)
                    }
            }
        }
    }

    /// The lists a first packet meets at an interface, in order (S2): admin rules, then inbound subnet and NIC, outbound
    /// NIC and subnet. A level without rules is absent.
    package func lists(of interface: ResourceID, _ direction: Direction) -> [PolicyList] {
        (keys[interface]?[direction] ?? []).compactMap { lists[$0] }
    }

    /// The platform's services that the interface reaches past all lists (S9).
    package func exemptServices(at interface: ResourceID) -> [PlatformService] { services[interface] ?? [] }

    /// Nil where no admin rule applies.
    private mutating func addAdminRules(
        _ direction: Direction, at interface: NetworkInterface, in network: VirtualNetwork,
        _ expansion: inout ScopeExpansion
    ) -> PolicyList.Key? {
        guard estate.takesAdminRules(interface), let manager = estate.managers(of: network).first?.manager.id
        else { return nil }
        let key = PolicyList.Key(
            owner: manager, level: .admin, direction: direction, virtualNetwork: network.id, memberships: [])
        if lists[key] == nil {
            let rules = estate.adminRules(in: network, direction)
            guard !rules.isEmpty else { return nil }
            lists[key] = PolicyList(
                key: key,
                rules: (rules + [.noAdminRule(of: manager, direction)]).map { expansion.resolved($0, in: network) })
        }
        return key
    }

    private mutating func add(
        _ group: NetworkSecurityGroup, at level: PolicyLevel, _ direction: Direction, on interface: NetworkInterface,
        in network: VirtualNetwork, _ expansion: inout ScopeExpansion
    ) -> PolicyList.Key {
        let rules = group.rules(direction)
        let named = Set(rules.flatMap { $0.ownApplicationSecurityGroups ?? [] })
        let memberships = interface.applicationSecurityGroups.intersection(named)
        let key = PolicyList.Key(
            owner: group.id, level: level, direction: direction, virtualNetwork: network.id,
            memberships: memberships.sorted())
        if lists[key] == nil {
            // S11: with a group on the interface's own side a rule applies only on members.
            let applicable = rules.filter {
                $0.ownApplicationSecurityGroups.map { !memberships.isDisjoint(with: $0) } ?? true
            }
            lists[key] = PolicyList(key: key, rules: applicable.map { expansion.resolved($0, in: network) })
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

    /// S11, of one rule of a group at the interface.
    fileprivate func applies(at interface: NetworkInterface) -> Bool {
        guard let own = ownApplicationSecurityGroups else { return true }
        return !interface.applicationSecurityGroups.isDisjoint(with: own)
    }
}

extension Estate {
    fileprivate func groups(
        at interface: NetworkInterface, _ direction: Direction
    ) -> [(PolicyLevel, NetworkSecurityGroup)] {
        let subnet = subnet(of: interface)
        if interface.isPrivateEndpoint, subnet?.filtersPrivateEndpoints != true { return [] }
        let inbound: [(PolicyLevel, ResourceID?)] = [
            (.subnet, subnet?.networkSecurityGroup), (.nic, interface.networkSecurityGroup),
        ]
        return (direction == .inbound ? inbound : inbound.reversed()).compactMap { level, id in
            id.flatMap { networkSecurityGroups[$0] }.map { (level, $0) }
        }
    }

    fileprivate func takesAdminRules(_ interface: NetworkInterface) -> Bool {
        !interface.isPrivateEndpoint && subnet(of: interface)?.takesAdminRules ?? true
    }

    fileprivate func subnet(of interface: NetworkInterface) -> Subnet? {
        interface.ipConfigurations.first.flatMap { subnet($0.subnet) }
    }

    /// S9: all, but those that a Deny rule names which applies to the interface, and KMS where the default route leads
    /// elsewhere.
    fileprivate func exemptServices(at interface: NetworkInterface) -> [PlatformService] {
        var rules = groups(at: interface, .outbound).flatMap(\.1.securityRules)
        if takesAdminRules(interface), let network = virtualNetwork(of: interface) {
            rules += adminRules(in: network, .outbound)
        }
        let filtered = Set(
            rules.flatMap { rule in
                rule.access == .deny && rule.direction == .outbound && rule.applies(at: interface)
                    ? rule.destination.serviceTags : []
            })
        let isDiverted = subnet(of: interface)?.divertsDefaultRoute ?? false
        return PlatformService.allCases.filter { service in
            if service == .kms, isDiverted { return false }
            return service.tag.map { !filtered.contains($0) } ?? true
        }
    }
}
