import NSGModel
import NetworkTypes
import TestSupport

extension Estate {
    /// One guest under one group of so many inbound rules, with names as long as Azure takes.
    static func large(rules count: Int, nameLength: Int = 70, isRouter: Bool = true) -> Estate {
        let long = String(repeating: "n", count: nameLength)
        let group = testID("networkSecurityGroups", "\(long)_group")
        let network = testID("virtualNetworks", "\(long)_vnet")
        let subnet = Subnet(id: network.child("subnets", "s"), prefixes: [IPPrefix("10.0.0.0/16")].compactMap(\.self))
        let asg = testID("applicationSecurityGroups", "\(long)_asg")
        let rules = (0..<count).map { index in
            let prefix = IPPrefix(.v4(IPv4Address(0x0a00_0000 + UInt32(index) << 4)), length: 28)
            return SecurityRule(
                id: group.child("securityRules", "\(long)_\(index)"), name: "\(long)_\(index)",
                protocol: index % 7 == 0 ? .any : index % 2 == 0 ? .tcp : .udp,
                source: .prefixes([prefix].compactMap(\.self)), sourcePorts: [.any],
                destination: index % 50 == 3 ? .applicationSecurityGroups([asg]) : .any,
                destinationPorts: [PortRange(UInt16(1000 + index))], access: index % 3 == 0 ? .deny : .allow,
                priority: Priority(100 + index), direction: .inbound)
        }
        let interface = NetworkInterface(
            id: testID("networkInterfaces", "\(long)_nic"), networkSecurityGroup: group,
            ipConfigurations: [
                IPConfiguration(
                    name: "ip", address: IPAddress("10.0.0.4"), subnet: subnet.id, applicationSecurityGroups: [asg])
            ], enableIPForwarding: isRouter)
        return Estate(
            networkSecurityGroups: [
                group: NetworkSecurityGroup(id: group, guid: UUID(named: "large"), securityRules: rules)
            ],
            virtualNetworks: [
                network: VirtualNetwork(
                    id: network, guid: UUID(named: "vnet"), addressSpace: subnet.prefixes, subnets: [subnet])
            ],
            networkInterfaces: [interface.id: interface],
            applicationSecurityGroups: [asg: ApplicationSecurityGroup(id: asg)],
            bindings: [Binding(networkInterface: interface.id, device: "guest0", attachment: .guest)])
    }

    /// The same with one group's rules changed.
    func changingRules(_ change: (inout [SecurityRule]) -> Void) -> Estate {
        var copy = self
        for id in copy.networkSecurityGroups.keys.sorted().prefix(1) {
            guard var group = copy.networkSecurityGroups[id] else { continue }
            change(&group.securityRules)
            copy.networkSecurityGroups[id] = group
        }
        return copy
    }
}
