package import NetworkTypes

package struct IPConfiguration: Hashable, Sendable {
    package var name: String
    /// Nil where the document leaves it open (`Dynamic`, not yet assigned).
    package var address: IPAddress?
    package var subnet: ResourceID
    package var applicationSecurityGroups: [ResourceID]

    package init(name: String, address: IPAddress?, subnet: ResourceID, applicationSecurityGroups: [ResourceID] = []) {
        self.name = name
        self.address = address
        self.subnet = subnet
        self.applicationSecurityGroups = applicationSecurityGroups
    }
}

/// An Azure network interface. All its IP configurations lie in subnets of one virtual network.
package struct NetworkInterface: Hashable, Sendable {
    package let id: ResourceID
    package var name: String { id.name }
    package var networkSecurityGroup: ResourceID?
    /// Never empty; the first is the primary one.
    package var ipConfigurations: [IPConfiguration]
    package var macAddress: MACAddress?
    /// The machine routes: packets may carry addresses that are not the interface's (S13, KERNEL 4).
    package var enableIPForwarding: Bool
    package var virtualMachine: ResourceID?
    /// The interface of a private endpoint (S14).
    package var isPrivateEndpoint: Bool

    package init(
        id: ResourceID, networkSecurityGroup: ResourceID?, ipConfigurations: [IPConfiguration],
        macAddress: MACAddress? = nil, enableIPForwarding: Bool = false, virtualMachine: ResourceID? = nil,
        isPrivateEndpoint: Bool = false
    ) {
        self.id = id
        self.networkSecurityGroup = networkSecurityGroup
        self.ipConfigurations = ipConfigurations
        self.macAddress = macAddress
        self.enableIPForwarding = enableIPForwarding
        self.virtualMachine = virtualMachine
        self.isPrivateEndpoint = isPrivateEndpoint
    }

    package var addresses: [IPAddress] { ipConfigurations.compactMap(\.address) }
    package var applicationSecurityGroups: Set<ResourceID> {
        Set(ipConfigurations.flatMap(\.applicationSecurityGroups))
    }
}

/// Which side of the network device the virtual machine is on (C3).
package enum Attachment: String, Hashable, Sendable, CaseIterable {
    /// The device belongs to this machine, which is the virtual machine: what comes in through it is inbound.
    case host
    /// The device is this machine's end of a veth or tap: what goes out through it is inbound to the machine behind it.
    case guest
}

/// Which device of this machine is which Azure network interface.
package struct Binding: Hashable, Sendable {
    package var networkInterface: ResourceID
    /// The device's name, at most 15 bytes (`IFNAMSIZ`).
    package var device: String
    package var attachment: Attachment

    package init(networkInterface: ResourceID, device: String, attachment: Attachment) {
        self.networkInterface = networkInterface
        self.device = device
        self.attachment = attachment
    }
}
