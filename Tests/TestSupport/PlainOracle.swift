package import NSGModel
import NetworkTypes

/// A second reading of the contract (S1, S2, S8–S11, S13, S14), straight from the documents and as plain as can be: no
/// list is built beforehand, nothing is resolved, sorted or remembered; each question walks the estate again. It shares
/// with what it checks the values of the model and the types of addresses and ports, and no code that decides.
package struct PlainOracle: Sendable {
    package let estate: Estate

    package init(_ estate: Estate) { self.estate = estate }

    /// What one list said.
    package struct Stage: Hashable, Sendable, CustomStringConvertible {
        package var level: PolicyLevel
        /// The security group or the network manager.
        package var list: ResourceID
        /// The security group or the collection of admin rules; the manager where none of its rules matched.
        package var owner: ResourceID
        package var rule: String
        package var access: Access

        package init(level: PolicyLevel, list: ResourceID, owner: ResourceID, rule: String, access: Access) {
            self.level = level
            self.list = list
            self.owner = owner
            self.rule = rule
            self.access = access
        }

        package var description: String { "\(level) \(list.name) \(owner.name)/\(rule) \(access)" }
    }

    /// What the lists say about a first packet, in their order; none behind an AlwaysAllow (S2, S8).
    package func stages(_ flow: FlowTuple, at id: ResourceID, _ direction: Direction) -> [Stage] {
        guard let interface = estate.networkInterfaces[id], let place = place(of: interface) else { return [] }
        var stages: [Stage] = []
        if !interface.isPrivateEndpoint, place.subnet.takesAdminRules,
            let admin = adminStage(flow, in: place.network, direction)
        {
            stages.append(admin)
            if admin.access == .alwaysAllow { return stages }
        }
        if interface.isPrivateEndpoint && !place.subnet.filtersPrivateEndpoints { return stages }
        let subnetGroup = (PolicyLevel.subnet, place.subnet.networkSecurityGroup)
        let ownGroup = (PolicyLevel.nic, interface.networkSecurityGroup)
        for (level, id) in direction == .inbound ? [subnetGroup, ownGroup] : [ownGroup, subnetGroup] {
            guard let id, let group = estate.networkSecurityGroups[id] else { continue }
            stages.append(stage(of: group, level, flow, at: interface, in: place.network, direction))
        }
        return stages
    }

    /// Where an interface is: its first IP configuration says.
    func place(of interface: NetworkInterface) -> (network: VirtualNetwork, subnet: Subnet)? {
        guard let configuration = interface.ipConfigurations.first else { return nil }
        for network in estate.virtualNetworks.values {
            for subnet in network.subnets where subnet.id == configuration.subnet { return (network, subnet) }
        }
        return nil
    }

    // MARK: Lists

    /// The matching rule with the lowest number, default rules included.
    private func stage(
        of group: NetworkSecurityGroup, _ level: PolicyLevel, _ flow: FlowTuple, at interface: NetworkInterface,
        in network: VirtualNetwork, _ direction: Direction
    ) -> Stage {
        var best: SecurityRule?
        for rule in group.securityRules where rule.direction == direction {
            if let best, best.priority.value <= rule.priority.value { continue }
            if isMember(interface, ofOwnSideOf: rule), matches(rule, flow, network) { best = rule }
        }
        let answer = best.map { ($0.name, $0.access) } ?? defaultRule(flow, network, direction)
        return Stage(level: level, list: group.id, owner: group.id, rule: answer.0, access: answer.1)
    }

    /// S11: a rule with application security groups on the interface's own side is for their members alone.
    func isMember(_ interface: NetworkInterface, ofOwnSideOf rule: SecurityRule) -> Bool {
        guard case .applicationSecurityGroups(let groups) = rule.direction == .inbound ? rule.destination : rule.source
        else { return true }
        for configuration in interface.ipConfigurations {
            for group in configuration.applicationSecurityGroups where groups.contains(group) { return true }
        }
        return false
    }

    private func defaultRule(
        _ flow: FlowTuple, _ network: VirtualNetwork, _ direction: Direction
    ) -> (String, Access) {
        let isInternal =
            holds(flow.source, tag: "VirtualNetwork", network)
            && holds(flow.destination, tag: "VirtualNetwork", network)
        if direction == .inbound {
            if isInternal { return ("AllowVnetInBound", .allow) }
            if holds(flow.source, tag: "AzureLoadBalancer", network) {
                return ("AllowAzureLoadBalancerInBound", .allow)
            }
            return ("DenyAllInBound", .deny)
        }
        if isInternal { return ("AllowVnetOutBound", .allow) }
        if holds(flow.destination, tag: "Internet", network) { return ("AllowInternetOutBound", .allow) }
        return ("DenyAllOutBound", .deny)
    }

    // MARK: Admin rules

    /// S8: manager by manager, management groups before subscriptions; in one the lowest number of all its collections.
    /// Nil where no admin rule reaches the network in this direction.
    private func adminStage(_ flow: FlowTuple, in network: VirtualNetwork, _ direction: Direction) -> Stage? {
        var first: ResourceID?
        var hasRules = false
        for scope in [NetworkManager.Scope.managementGroup, .subscription] {
            let managers = estate.networkManagers.values.filter { $0.scope == scope }.sorted { $0.id < $1.id }
            for manager in managers where reaches(manager, network) {
                first = first ?? manager.id
                var best: (rule: SecurityRule, collection: ResourceID)?
                for (rule, collection) in rules(of: manager, for: network) where rule.direction == direction {
                    hasRules = true
                    if let best, (best.rule.priority.value, best.rule.id) <= (rule.priority.value, rule.id) { continue }
                    if matches(rule, flow, network) { best = (rule, collection) }
                }
                if let best {
                    return Stage(
                        level: .admin, list: manager.id, owner: best.collection, rule: best.rule.name,
                        access: best.rule.access)
                }
            }
        }
        guard hasRules, let first else { return nil }
        return Stage(level: .admin, list: first, owner: first, rule: "", access: .allow)
    }

    func reaches(_ manager: NetworkManager, _ network: VirtualNetwork) -> Bool {
        for group in manager.networkGroups where group.members.contains(network.id) { return true }
        return false
    }

    func rules(
        of manager: NetworkManager, for network: VirtualNetwork
    ) -> [(SecurityRule, collection: ResourceID)] {
        var found: [(SecurityRule, collection: ResourceID)] = []
        for configuration in manager.configurations {
            for collection in configuration.collections {
                var applies = false
                for group in manager.networkGroups
                where collection.appliesTo.contains(group.id) && group.members.contains(network.id) { applies = true }
                guard applies else { continue }
                for rule in collection.rules {
                    if network.hostsIntentPolicyServices {
                        if configuration.intentPolicyServices == .none { continue }
                        if configuration.intentPolicyServices == .allowRulesOnly, rule.access != .allow { continue }
                    }
                    found.append((rule, collection.id))
                }
            }
        }
        return found
    }
}
