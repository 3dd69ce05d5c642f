import NetworkTypes

/// The lists of every network interface of an estate, each distinct list resolved once.
package struct PolicyBook: Sendable {
    package let estate: Estate
    private var keys: [ResourceID: [Direction: [PolicyList.Key]]] = [:]
    private var lists: [PolicyList.Key: PolicyList] = [:]
    private var services: [ResourceID: [PlatformService]] = [:]
    /// What the rules of each list name that is defined elsewhere, and what that stands for.
    private var outside: [PolicyList.Key: Set<AddressScope>] = [:]
    private var expansion: ScopeExpansion
    /// The application security groups that a group's rules name on the interface's own side.
    fileprivate private(set) var named: [Sources.DirectionOf: Set<ResourceID>] = [:]

    /// O(interfaces + rules of each group and of each distinct list).
    package init(_ estate: Estate) { self.init(estate, after: nil) }

    /// The same book, in which whatever is as it was in an earlier one is that one's: lists with their storage and
    /// version (`PolicyList.Version`), and of other lists each rule. O(interfaces + rules of what differs); groups
    /// whose rules are equal but not of one storage are compared.
    package init(_ estate: Estate, after earlier: PolicyBook?) {
        self.estate = estate
        expansion = ScopeExpansion(estate, after: earlier?.expansion)
        var sources = Sources(estate, after: earlier)
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
        named = sources.named
    }

    /// All that `exemptServices` depends on: a list's key tells which rules of a group apply.
    private struct ExemptionKey: Hashable {
        var lists: [PolicyList.Key]
        var isDiverted: Bool
    }

    /// The lists a first packet meets at an interface, in order (S2): admin rules, then inbound subnet and NIC,
    /// outbound NIC and subnet. A level without rules is absent.
    package func lists(of interface: ResourceID, _ direction: Direction) -> [PolicyList] {
        (keys[interface]?[direction] ?? []).compactMap { lists[$0] }
    }

    /// Whether it is more than one. O(1).
    package func hasSeveralLists(of interface: ResourceID, _ direction: Direction) -> Bool {
        (keys[interface]?[direction]?.count ?? 0) > 1
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
        if lists[key] == nil { add(key, rules + [.noAdminRule(of: manager, direction)], in: network, &sources) }
        return key
    }

    private mutating func add(
        _ group: NetworkSecurityGroup, at level: PolicyLevel, _ direction: Direction, on interface: NetworkInterface,
        in network: VirtualNetwork, _ sources: inout Sources
    ) -> PolicyList.Key {
        let named = sources.applicationSecurityGroups(of: group, direction)
        let memberships = named.isEmpty ? [] : interface.applicationSecurityGroups.intersection(named)
        let key = PolicyList.Key(
            owner: group.id, level: level, direction: direction, virtualNetwork: network.id,
            memberships: memberships.sorted())
        guard lists[key] == nil else { return key }
        if sources.isUnchanged(group), let same = sources.earlier?.lists[key],
            isOutsideUnchanged(of: key, in: network, &sources)
        {
            lists[key] = same
            outside[key] = sources.earlier?.outside[key]
            return key
        }
        // S11: with a group on the interface's own side a rule applies only on members.
        let applicable = sources.rules(of: group, direction).filter {
            $0.ownApplicationSecurityGroups.map { !memberships.isDisjoint(with: $0) } ?? true
        }
        add(key, applicable, in: network, &sources)
        return key
    }

    private mutating func isOutsideUnchanged(
        of key: PolicyList.Key, in network: VirtualNetwork, _ sources: inout Sources
    ) -> Bool {
        guard let earlier = sources.earlier, let scopes = earlier.outside[key] else { return false }
        return expansion.isUnchanged(scopes, in: network, since: earlier.expansion)
    }

    /// Resolves the rules of a list, but for those that the earlier list has.
    private mutating func add(
        _ key: PolicyList.Key, _ rules: [SecurityRule], in network: VirtualNetwork, _ sources: inout Sources
    ) {
        let earlier = isOutsideUnchanged(of: key, in: network, &sources) ? sources.earlier?.lists[key] : nil
        var known = earlier?.rules[...] ?? []
        var isSame = known.count == rules.count
        var scopes = earlier.flatMap { _ in sources.earlier?.outside[key] } ?? []
        let resolved = rules.map { rule -> ResolvedRule in
            known = known.drop { $0.rule.priority < rule.priority }
            if var found = known.first, found.rule.isEqualButForRemarks(to: rule) {
                known.removeFirst()
                found.rule = rule
                return found
            }
            isSame = false
            scopes.formUnion(rule.source.outside + rule.destination.outside)
            return expansion.resolved(rule, in: network)
        }
        outside[key] = scopes
        lists[key] = PolicyList(key: key, rules: resolved, version: isSame ? earlier?.version : nil)
    }
}

/// What many interfaces share, looked up once.
private struct Sources {
    private let estate: Estate
    let earlier: PolicyBook?
    private let subnets: [ResourceID: Subnet]
    private var groupRules: [DirectionOf: [SecurityRule]] = [:]
    private(set) var named: [DirectionOf: Set<ResourceID>] = [:]
    private var unchanged: [ResourceID: Bool] = [:]
    private var networkRules: [DirectionOf: (manager: ResourceID, rules: [SecurityRule])?] = [:]

    /// Of a security group or of a virtual network.
    struct DirectionOf: Hashable {
        var id: ResourceID
        var direction: Direction
    }

    init(_ estate: Estate, after earlier: PolicyBook?) {
        self.estate = estate
        self.earlier = earlier
        subnets = Dictionary(estate.virtualNetworks.values.flatMap(\.subnets).map { ($0.id, $0) }) { first, _ in first }
    }

    /// That of the first IP configuration.
    func subnet(of interface: NetworkInterface) -> Subnet? {
        interface.ipConfigurations.first.flatMap { subnets[$0.subnet] }
    }

    /// Whether the group's rules are what they were, whatever they name.
    mutating func isUnchanged(_ group: NetworkSecurityGroup) -> Bool {
        if let known = unchanged[group.id] { return known }
        // By the name as it is spelled: it is in every rule.
        let before = earlier?.estate.networkSecurityGroups[group.id]
        let found = before?.id.description == group.id.description && before?.securityRules == group.securityRules
        unchanged[group.id] = found
        return found
    }

    /// A group's rules in order.
    mutating func rules(of group: NetworkSecurityGroup, _ direction: Direction) -> [SecurityRule] {
        let key = DirectionOf(id: group.id, direction: direction)
        if let known = groupRules[key] { return known }
        let found = group.rules(direction)
        groupRules[key] = found
        return found
    }

    /// Those that the group's rules name on the interface's own side.
    mutating func applicationSecurityGroups(of group: NetworkSecurityGroup, _ direction: Direction) -> Set<ResourceID> {
        let key = DirectionOf(id: group.id, direction: direction)
        if let known = named[key] { return known }
        let before = isUnchanged(group) ? earlier?.named[key] : nil
        let found = before ?? Set(rules(of: group, direction).flatMap { $0.ownApplicationSecurityGroups ?? [] })
        named[key] = found
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
        var filtered: Set<ServiceTag> = []
        func look(at rules: [SecurityRule]) {
            for rule in rules where rule.access == .deny && rule.direction == .outbound {
                let tags = rule.destination.serviceTags
                if !tags.isEmpty, rule.applies(at: interface) { filtered.formUnion(tags) }
            }
        }
        for (_, group) in groups(at: interface, in: subnet, .outbound) { look(at: group.securityRules) }
        if takesAdminRules(interface, in: subnet), let network = virtualNetwork(of: interface) {
            look(at: adminRules(in: network, .outbound))
        }
        let isDiverted = subnet?.divertsDefaultRoute ?? false
        return PlatformService.allCases.filter { service in
            if service == .kms, isDiverted { return false }
            return service.tag.map { !filtered.contains($0) } ?? true
        }
    }
}
