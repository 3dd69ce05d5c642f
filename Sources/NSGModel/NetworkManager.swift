package import NetworkTypes

/// An Azure Virtual Network Manager, as far as its security admin rules go (S8). Every configuration in the documents
/// is taken for committed: the commit itself is in no document.
package struct NetworkManager: Hashable, Sendable {
    package let id: ResourceID
    /// `resourceGuid`: the identity in virtual network flow logs.
    package var guid: UUID
    package var scope: Scope
    package var networkGroups: [NetworkGroup]
    package var configurations: [SecurityAdminConfiguration]

    /// How far a manager reaches. Where several reach a network, the rules of the higher scope come first.
    package enum Scope: Int, Hashable, Comparable, Sendable {
        case managementGroup = 0
        case subscription = 1
        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    package init(
        id: ResourceID, guid: UUID, scope: Scope = .subscription, networkGroups: [NetworkGroup] = [],
        configurations: [SecurityAdminConfiguration] = []
    ) {
        self.id = id
        self.guid = guid
        self.scope = scope
        self.networkGroups = networkGroups
        self.configurations = configurations
    }
}

/// A group of virtual networks, by static members.
package struct NetworkGroup: Hashable, Sendable {
    package let id: ResourceID
    /// Virtual networks; some may be in no document.
    package var members: Set<ResourceID>

    package init(id: ResourceID, members: Set<ResourceID>) {
        self.id = id
        self.members = members
    }
}

package struct SecurityAdminConfiguration: Hashable, Sendable {
    package let id: ResourceID
    package var intentPolicyServices: IntentPolicyServices
    package var collections: [AdminRuleCollection]

    /// `applyOnNetworkIntentPolicyBasedServices`: what holds in networks with SQL managed instances or Databricks.
    package enum IntentPolicyServices: String, Hashable, Sendable, CaseIterable {
        case none = "None"
        case all = "All"
        case allowRulesOnly = "AllowRulesOnly"
    }

    package init(
        id: ResourceID, intentPolicyServices: IntentPolicyServices = .none, collections: [AdminRuleCollection] = []
    ) {
        self.id = id
        self.intentPolicyServices = intentPolicyServices
        self.collections = collections
    }
}

package struct AdminRuleCollection: Hashable, Sendable {
    package let id: ResourceID
    /// Network groups of the same manager.
    package var appliesTo: Set<ResourceID>
    /// Of kind `admin`, owned by this collection.
    package var rules: [SecurityRule]

    package init(id: ResourceID, appliesTo: Set<ResourceID>, rules: [SecurityRule]) {
        self.id = id
        self.appliesTo = appliesTo
        self.rules = rules
    }
}

extension Estate {
    /// The admin rules of one direction in a virtual network, in the order in which they are tried: by the scope of the
    /// manager, then by priority across all collections (FACTS f). Empty where none applies.
    package func adminRules(in network: VirtualNetwork, _ direction: Direction) -> [SecurityRule] {
        managers(of: network).flatMap { manager, groups in
            manager.configurations.flatMap { $0.rules(for: groups, in: network) }
                .filter { $0.direction == direction }
                .sorted(by: SecurityRule.precedes)
        }
    }

    /// The managers that reach a virtual network, the highest scope first, with those of their groups that hold it.
    package func managers(of network: VirtualNetwork) -> [(manager: NetworkManager, groups: Set<ResourceID>)] {
        networkManagers.values.sorted { ($0.scope, $0.id) < ($1.scope, $1.id) }.compactMap { manager in
            let groups = Set(manager.networkGroups.filter { $0.members.contains(network.id) }.map(\.id))
            return groups.isEmpty ? nil : (manager, groups)
        }
    }

    func prefixes(ofNetworksIn group: ResourceID) -> [IPPrefix] {
        let members = networkManagers.values.lazy.flatMap(\.networkGroups).first { $0.id == group }?.members ?? []
        return members.compactMap { virtualNetworks[$0] }.flatMap(\.addressSpace)
    }
}

extension SecurityRule {
    /// Among the admin rules of one manager. Ids are texts to be made, and seldom asked for.
    fileprivate static func precedes(_ left: SecurityRule, _ right: SecurityRule) -> Bool {
        left.priority == right.priority ? left.id < right.id : left.priority < right.priority
    }
}

extension SecurityAdminConfiguration {
    fileprivate func rules(for groups: Set<ResourceID>, in network: VirtualNetwork) -> [SecurityRule] {
        let rules = collections.filter { !$0.appliesTo.isDisjoint(with: groups) }.flatMap(\.rules)
        guard network.hostsIntentPolicyServices else { return rules }
        switch intentPolicyServices {
        case .none: return []
        case .all: return rules
        case .allowRulesOnly: return rules.filter { $0.access == .allow }
        }
    }
}

extension SecurityRule {
    /// The manager of an admin rule; nil for any other.
    package var networkManager: ResourceID? {
        kind == .admin ? owner.networkManager : nil
    }

    /// What stands at the end of a list of admin rules, so that it ends in a rule that matches everything as every list
    /// does: no admin rule matched, on to the security groups. It has no name, as Azure has no such rule, and its
    /// priority is shown nowhere.
    package static func noAdminRule(of manager: ResourceID, _ direction: Direction) -> SecurityRule {
        SecurityRule(
            id: manager, owner: manager, name: "", protocol: .any, source: .any, sourcePorts: [.any],
            destination: .any, destinationPorts: [.any], access: .allow, priority: Priority(65500),
            direction: direction, kind: .admin)
    }
}
