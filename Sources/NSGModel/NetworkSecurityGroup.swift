package import NetworkTypes

/// A network security group: two ordered lists of rules. The default rules are part of every group.
package struct NetworkSecurityGroup: Hashable, Sendable {
    package let id: ResourceID
    package var name: String { id.name }
    /// `resourceGuid`: the identity in virtual network flow logs.
    package var guid: UUID
    /// The rules that were written, in the order of the document.
    package var securityRules: [SecurityRule]
    /// Flows are evaluated again when rules change (S6).
    package var flushConnection: Bool

    package init(id: ResourceID, guid: UUID, securityRules: [SecurityRule], flushConnection: Bool = false) {
        self.id = id
        self.guid = guid
        self.securityRules = securityRules
        self.flushConnection = flushConnection
    }

    /// One direction's rules, default rules at the end, in the order in which they are tried (S1). O(n log n).
    package func rules(_ direction: Direction) -> [SecurityRule] {
        (securityRules + Self.defaultRules(of: id)).filter { $0.direction == direction }.sorted {
            $0.priority < $1.priority
        }
    }

    /// The six rules of every group. Source: recorded Azure answers, with Azure's own descriptions.
    package static func defaultRules(of group: ResourceID) -> [SecurityRule] {
        func rule(
            _ name: String, _ priority: Int, _ direction: Direction, _ source: AddressScope,
            _ destination: AddressScope,
            _ access: Access, _ description: String
        ) -> SecurityRule {
            SecurityRule(
                id: group.child("defaultSecurityRules", name), owner: group, name: name, description: description,
                protocol: .any,
                source: source, sourcePorts: [.any], destination: destination, destinationPorts: [.any], access: access,
                priority: Priority(priority), direction: direction, kind: .default)
        }
        let network = AddressScope.serviceTag(.virtualNetwork)
        return [
            rule(
                "AllowVnetInBound", 65000, .inbound, network, network, .allow,
                "Allow inbound traffic from all VMs in VNET"),
            rule(
                "AllowAzureLoadBalancerInBound", 65001, .inbound, .serviceTag(.azureLoadBalancer), .any, .allow,
                "Allow inbound traffic from azure load balancer"),
            rule("DenyAllInBound", 65500, .inbound, .any, .any, .deny, "Deny all inbound traffic"),
            rule(
                "AllowVnetOutBound", 65000, .outbound, network, network, .allow,
                "Allow outbound traffic from all VMs to all VMs in VNET"),
            rule(
                "AllowInternetOutBound", 65001, .outbound, .any, .serviceTag(.internet), .allow,
                "Allow outbound traffic from all VMs to Internet"),
            rule("DenyAllOutBound", 65500, .outbound, .any, .any, .deny, "Deny all outbound traffic"),
        ]
    }
}

/// Members are named by the IP configurations of network interfaces.
package struct ApplicationSecurityGroup: Hashable, Sendable {
    package let id: ResourceID
    package var name: String { id.name }
    package init(id: ResourceID) { self.id = id }
}
