import NetworkTypes

/// The lists of every network interface of an estate, each distinct list resolved once.
package struct PolicyBook: Sendable {
    package let estate: Estate
    private var keys: [ResourceID: [Direction: [PolicyList.Key]]] = [:]
    private var lists: [PolicyList.Key: PolicyList] = [:]
    private var services: [ResourceID: [PlatformService]] = [:]

    /// O(interfaces + rules of each group and of each distinct list).
    package init(_ estate: Estate) {
        self.estate = estate
        var sources = Sources(estate)
        var exempt: [ExemptionKey: [PlatformService]] = [:]
        for interface in estate.networkInterfaces.values {
            guard let network = estate.virtualNetwork(of: interface) else { continue }
            let subnet = sources.subnet(of: interface)
            for direction in Direction.allCases {
                let stages = estate.groups(at: interface, in: subnet, direction)
                let admin =
                    estate.takesAdminRules(interface, in: subnet)
                    ? addAdminRules(direction, in: network, &sources) : nil
                keys[interface.id, default: [:]][direction] =
                    [admin].compactMap(\.self)
                    + stages.map { level, group in
                        add(group, at: level, direction, on: interface, in: network, &sources)
                    }
            }
            let key = ExemptionKey(
                lists: keys[interface.id]?[.outbound] ?? [], isDiverted: subnet?.divertsDefaultRoute ?? false)
            let services = exempt[key] ?? estate.exemptServices(at: interface, in: subnet)
            exempt[key] = services
            self.services[interface.id] = services
        }
    }

    /// All that `exemptServices` depends on: a list's key tells which rules of a group apply.
    private struct ExemptionKey: Hashable {
        var lists: [PolicyList.Key]
        var isDiverted: Bool
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
        _ direction: Direction, in network: VirtualNetwork, _ sources: inout Sources
    ) -> PolicyList.Key? {
        guard let (manager, rules) = sources.adminRules(in: network, direction), !rules.isEmpty else { return nil }
        let key = PolicyList.Key(
            owner: manager, level: .admin, direction: direction, virtualNetwork: network.id, memberships: [])
        if lists[key] == nil {
            lists[key] = PolicyList(
                key: key,
                rules: (rules + [.noAdminRule(of: manager, direction)]).map {
                    sources.expansion.resolved($0, in: network)
                })
        }
        return key
    }

    private mutating func add(
        _ group: NetworkSecurityGroup, at level: PolicyLevel, _ direction: Direction, on interface: NetworkInterface,
        in network: VirtualNetwork, _ sources: inout Sources
    ) -> PolicyList.Key {
        let (rules, named) = sources.rules(of: group, direction)
        let memberships = named.isEmpty ? [] : interface.applicationSecurityGroups.intersection(named)
        let key = PolicyList.Key(
            owner: group.id, level: level, direction: direction, virtualNetwork: network.id,
            memberships: memberships.sorted())
        if lists[key] == nil {
            // S11: with a group on the interface's own side a rule applies only on members.
            let applicable = rules.filter {
                $0.ownApplicationSecurityGroups.map { !memberships.isDisjoint(with: $0) } ?? true
            }
            lists[key] = PolicyList(key: key, rules: applicable.map { sources.expansion.resolved($0, in: network) })
        }
        return key
    }
}

/// What many interfaces share, looked up once.
private struct Sources {
    private let estate: Estate
    private let subnets: [ResourceID: Subnet]
    private var groupRules: [DirectionOf: (rules: [SecurityRule], named: Set<ResourceID>)] = [:]
    private var networkRules: [DirectionOf: (manager: ResourceID, rules: [SecurityRule])?] = [:]
    var expansion: ScopeExpansion

    /// Of a security group or of a virtual network.
    private struct DirectionOf: Hashable {
        var id: ResourceID
        var direction: Direction
    }

    init(_ estate: Estate) {
        self.estate = estate
        subnets = Dictionary(estate.virtualNetworks.values.flatMap(\.subnets).map { ($0.id, $0) }) { first, _ in first }
        expansion = ScopeExpansion(estate)
    }

    /// That of the first IP configuration.
    func subnet(of interface: NetworkInterface) -> Subnet? {
        interface.ipConfigurations.first.flatMap { subnets[$0.subnet] }
    }

    /// A group's rules in order, and the application security groups that they name on the interface's own side.
    mutating func rules(
        of group: NetworkSecurityGroup, _ direction: Direction
    ) -> (rules: [SecurityRule], named: Set<ResourceID>) {
        let key = DirectionOf(id: group.id, direction: direction)
        if let known = groupRules[key] { return known }
        let rules = group.rules(direction)
        let found = (rules, Set(rules.flatMap { $0.ownApplicationSecurityGroups ?? [] }))
        groupRules[key] = found
        return found
    }

    /// With the manager that their list is named after; nil where no manager reaches the network.
    mutating func adminRules(
        in network: VirtualNetwork, _ direction: Direction
    ) -> (manager: ResourceID, rules: [SecurityRule])? {
        let key = DirectionOf(id: network.id, direction: direction)
        if let known = networkRules[key] { return known }
        let found = estate.managers(of: network).first.map {
            ($0.manager.id, estate.adminRules(in: network, direction))
        }
        networkRules.updateValue(found, forKey: key)
        return found
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
        at interface: NetworkInterface, in subnet: Subnet?, _ direction: Direction
    ) -> [(PolicyLevel, NetworkSecurityGroup)] {
        if interface.isPrivateEndpoint, subnet?.filtersPrivateEndpoints != true { return [] }
        let inbound: [(PolicyLevel, ResourceID?)] = [
            (.subnet, subnet?.networkSecurityGroup), (.nic, interface.networkSecurityGroup),
        ]
        return (direction == .inbound ? inbound : inbound.reversed()).compactMap { level, id in
            id.flatMap { networkSecurityGroups[$0] }.map { (level, $0) }
        }
    }

    fileprivate func takesAdminRules(_ interface: NetworkInterface, in subnet: Subnet?) -> Bool {
        !interface.isPrivateEndpoint && subnet?.takesAdminRules ?? true
    }

    /// S9: all, but those that a Deny rule names which applies to the interface, and KMS where the default route leads
    /// elsewhere.
    fileprivate func exemptServices(at interface: NetworkInterface, in subnet: Subnet?) -> [PlatformService] {
        var rules = groups(at: interface, in: subnet, .outbound).flatMap(\.1.securityRules)
        if takesAdminRules(interface, in: subnet), let network = virtualNetwork(of: interface) {
            rules += adminRules(in: network, .outbound)
        }
        let filtered = Set(
            rules.flatMap { rule in
                rule.access == .deny && rule.direction == .outbound && rule.applies(at: interface)
                    ? rule.destination.serviceTags : []
            })
        let isDiverted = subnet?.divertsDefaultRoute ?? false
        return PlatformService.allCases.filter { service in
            if service == .kms, isDiverted { return false }
            return service.tag.map { !filtered.contains($0) } ?? true
        }
    }
}
