import NSGModel
import NetworkTypes

extension EstateMaker {
    /// None, one or two, of either scope.
    mutating func networkManagers() -> [NetworkManager] {
        chance(50) ? (0..<int(1...2)).map { manager($0) } : []
    }

    private mutating func manager(_ number: Int) -> NetworkManager {
        let id = testID("networkManagers", "manager\(number)")
        let groups = (0..<int(1...2)).map { group in
            var members = Set(networks.map(\.id).filter { _ in chance(70) })
            if chance(20) { members.insert(testID("virtualNetworks", "elsewhere")) }
            return NetworkGroup(id: id.child("networkGroups", "group\(number)\(group)"), members: members)
        }
        let configurations = (0..<(chance(20) ? 2 : 1)).map { index in
            configuration(id.child("securityAdminConfigurations", "c\(index)"), groups.map(\.id))
        }
        return NetworkManager(
            id: id, guid: UUID(named: id.description), scope: chance(50) ? .managementGroup : .subscription,
            networkGroups: groups, configurations: configurations)
    }

    private mutating func configuration(_ id: ResourceID, _ groups: [ResourceID]) -> SecurityAdminConfiguration {
        let collections = (0..<int(1...2)).map { index in
            let collection = id.child("ruleCollections", "rules\(index)")
            return AdminRuleCollection(
                id: collection, appliesTo: Set([pick(groups)] + groups.filter { _ in chance(40) }),
                rules: rules(of: collection, groups))
        }
        return SecurityAdminConfiguration(
            id: id, intentPolicyServices: pick(SecurityAdminConfiguration.IntentPolicyServices.allCases),
            collections: collections)
    }

    /// Numbers are unique in a collection alone, and close enough to meet those of others.
    private mutating func rules(of collection: ResourceID, _ groups: [ResourceID]) -> [SecurityRule] {
        priorities(int(0...6), in: 1...12).map { priority in
            let direction = pick(Direction.allCases)
            let name = "\(direction == .inbound ? "in" : "out")-\(priority)"
            return SecurityRule(
                id: collection.child("rules", name), owner: collection, name: name,
                protocol: pick([.any, .tcp, .tcp, .udp, .icmp, .esp, .ah]), source: side(groups),
                sourcePorts: chance(85) ? [.any] : ports(), destination: side(groups),
                destinationPorts: chance(40) ? [.any] : ports(), access: pick(Access.ofAdminRules),
                priority: Priority(priority), direction: direction, kind: .admin)
        }
    }

    /// Tags, prefixes and groups of networks, one or side by side.
    private mutating func side(_ groups: [ResourceID]) -> AddressScope {
        if chance(25) { return .any }
        let scopes = (0..<(chance(30) ? int(2...5) : 1)).map { _ -> AddressScope in
            switch int(0...2) {
            case 0: .serviceTag(tag())
            case 1: .networkGroup(pick(groups))
            default: .prefixes([prefix(chance(30))])
            }
        }
        return scopes.count == 1 ? scopes[0] : .either(scopes)
    }
}
