package import NetworkTypes

package struct Subnet: Hashable, Sendable {
    package let id: ResourceID
    package var name: String { id.name }
    package var prefixes: [IPPrefix]
    package var networkSecurityGroup: ResourceID?
    /// `privateEndpointNetworkPolicies` says that security groups act on the private endpoints too (S14).
    package var filtersPrivateEndpoints: Bool
    /// A route table sends 0.0.0.0/0 elsewhere than to the Internet: the exemption of KMS ends (S9).
    package var divertsDefaultRoute: Bool
    /// False for subnets of gateways, Bastion, Azure Firewall, Route Server and Application Gateway (FACTS f).
    package var takesAdminRules: Bool

    package init(
        id: ResourceID, prefixes: [IPPrefix], networkSecurityGroup: ResourceID? = nil,
        filtersPrivateEndpoints: Bool = false, divertsDefaultRoute: Bool = false, takesAdminRules: Bool = true
    ) {
        self.id = id
        self.prefixes = prefixes
        self.networkSecurityGroup = networkSecurityGroup
        self.filtersPrivateEndpoints = filtersPrivateEndpoints
        self.divertsDefaultRoute = divertsDefaultRoute
        self.takesAdminRules = takesAdminRules
    }
}

/// A peering as seen from one virtual network.
package struct Peering: Hashable, Sendable {
    package var name: String
    /// Peers count only while `peeringState` is `Connected`, and `allowVirtualNetworkAccess` is not false.
    package var isOpen: Bool
    package var remoteNetwork: ResourceID?
    package var remotePrefixes: [IPPrefix]

    package init(name: String, isOpen: Bool, remoteNetwork: ResourceID?, remotePrefixes: [IPPrefix]) {
        self.name = name
        self.isOpen = isOpen
        self.remoteNetwork = remoteNetwork
        self.remotePrefixes = remotePrefixes
    }
}

package struct VirtualNetwork: Hashable, Sendable {
    package let id: ResourceID
    package var name: String { id.name }
    package var guid: UUID
    package var addressSpace: [IPPrefix]
    package var subnets: [Subnet]
    package var peerings: [Peering]
    /// Space behind gateways (`onPremisesPrefixes` in `nsgd.json`) and prefixes of user routes.
    package var furtherPrefixes: [IPPrefix]
    /// 4...30; nil leaves the host's own time-outs (S6).
    package var flowTimeoutMinutes: Int?
    /// SQL managed instances or Databricks live here, which admin rules leave alone unless told otherwise (FACTS f).
    package var hostsIntentPolicyServices: Bool

    package init(
        id: ResourceID, guid: UUID, addressSpace: [IPPrefix], subnets: [Subnet], peerings: [Peering] = [],
        furtherPrefixes: [IPPrefix] = [], flowTimeoutMinutes: Int? = nil,
        hostsIntentPolicyServices: Bool = false
    ) {
        self.id = id
        self.guid = guid
        self.addressSpace = addressSpace
        self.subnets = subnets
        self.peerings = peerings
        self.furtherPrefixes = furtherPrefixes
        self.flowTimeoutMinutes = flowTimeoutMinutes
        self.hostsIntentPolicyServices = hostsIntentPolicyServices
    }

    /// The prefixes of the tag `VirtualNetwork` on interfaces of this network (S10).
    package func tagPrefixes(probe: [IPPrefix]) -> [IPPrefix] {
        addressSpace + peerings.filter(\.isOpen).flatMap(\.remotePrefixes) + furtherPrefixes + probe
    }
}
