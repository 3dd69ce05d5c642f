package import NetworkTypes

/// Everything the documents say, resolved: every reference in it leads to something that is there.
package struct Estate: Hashable, Sendable {
    package var networkSecurityGroups: [ResourceID: NetworkSecurityGroup]
    package var virtualNetworks: [ResourceID: VirtualNetwork]
    package var networkInterfaces: [ResourceID: NetworkInterface]
    package var applicationSecurityGroups: [ResourceID: ApplicationSecurityGroup]
    /// Prefixes of tags that are not computed, by `ServiceTag.key`.
    package var serviceTags: [String: [IPPrefix]]
    /// How the file or the setting spells them, by `ServiceTag.key`.
    package var serviceTagNames: [String: String]
    package var platform: PlatformAddresses
    /// S14: `platform.blockOutboundSmtp`.
    package var blocksOutboundSMTP: Bool
    package var networkManagers: [ResourceID: NetworkManager]
    /// In the order of the document.
    package var bindings: [Binding]
    package var flowLogs: [ResourceID: FlowLogResource]

    package init(
        networkSecurityGroups: [ResourceID: NetworkSecurityGroup] = [:],
        virtualNetworks: [ResourceID: VirtualNetwork] = [:], networkInterfaces: [ResourceID: NetworkInterface] = [:],
        applicationSecurityGroups: [ResourceID: ApplicationSecurityGroup] = [:],
        serviceTags: [String: [IPPrefix]] = [:], serviceTagNames: [String: String] = [:],
        platform: PlatformAddresses = .azure, blocksOutboundSMTP: Bool = false,
        networkManagers: [ResourceID: NetworkManager] = [:], bindings: [Binding] = [],
        flowLogs: [ResourceID: FlowLogResource] = [:]
    ) {
        self.networkSecurityGroups = networkSecurityGroups
        self.virtualNetworks = virtualNetworks
        self.networkInterfaces = networkInterfaces
        self.applicationSecurityGroups = applicationSecurityGroups
        self.serviceTags = serviceTags
        self.serviceTagNames = serviceTagNames
        self.platform = platform
        self.blocksOutboundSMTP = blocksOutboundSMTP
        self.networkManagers = networkManagers
        self.bindings = bindings
        self.flowLogs = flowLogs
    }

    package func subnet(_ id: ResourceID) -> Subnet? {
        id.parent.flatMap { virtualNetworks[$0] }?.subnets.first { $0.id == id }
    }

    /// The virtual network of an interface: that of its first IP configuration.
    package func virtualNetwork(of interface: NetworkInterface) -> VirtualNetwork? {
        interface.ipConfigurations.first?.subnet.parent.flatMap { virtualNetworks[$0] }
    }

    /// The prefixes of the tag `VirtualNetwork` at an interface: what is no Internet there, be it public space (S14).
    package func ownPrefixes(at interface: ResourceID) -> [IPPrefix] {
        let network = networkInterfaces[interface].flatMap { virtualNetwork(of: $0) }
        return network?.tagPrefixes(probe: platform.probe) ?? []
    }

    /// `resourceGuid` of a security group, or of the manager of a collection of admin rules: `aclID` in virtual network
    /// flow logs. Of what is in no document any more, the one it would have without a `resourceGuid`.
    package func guid(ofOwner owner: ResourceID) -> UUID {
        networkSecurityGroups[owner]?.guid ?? networkManagers[owner.networkManager]?.guid
            ?? networkManagers[owner]?.guid ?? UUID(named: owner.description.lowercased())
    }

    package func binding(of interface: ResourceID) -> Binding? { bindings.first { $0.networkInterface == interface } }
}
