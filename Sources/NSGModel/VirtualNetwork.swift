package import NetworkTypes

package struct Subnet: Hashable, Sendable {
    package let id: ResourceID
    package var name: String { id.name }
    package var prefixes: [IPPrefix]
    package var networkSecurityGroup: ResourceID?

    package init(id: ResourceID, prefixes: [IPPrefix], networkSecurityGroup: ResourceID? = nil) {
        self.id = id
        self.prefixes = prefixes
        self.networkSecurityGroup = networkSecurityGroup
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

    package init(
        id: ResourceID, guid: UUID, addressSpace: [IPPrefix], subnets: [Subnet], peerings: [Peering] = [],
        furtherPrefixes: [IPPrefix] = [], flowTimeoutMinutes: Int? = nil
    ) {
        self.id = id
        self.guid = guid
        self.addressSpace = addressSpace
        self.subnets = subnets
        self.peerings = peerings
        self.furtherPrefixes = furtherPrefixes
        self.flowTimeoutMinutes = flowTimeoutMinutes
    }

    /// The prefixes of the tag `VirtualNetwork` on interfaces of this network (S10).
    package func tagPrefixes(probe: [IPPrefix]) -> [IPPrefix] {
        addressSpace + peerings.filter(\.isOpen).flatMap(\.remotePrefixes) + furtherPrefixes + probe
    }
}
