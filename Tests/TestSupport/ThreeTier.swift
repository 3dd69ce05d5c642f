package import NSGModel
import NetworkTypes

extension Estate {
    /// Microsoft's example of application security groups (2018 overview page): web, logic and database servers in one
    /// network under one group of three rules, here as three guests.
    package static var threeTier: Estate {
        let group = testID("networkSecurityGroups", "tiers")
        let network = testID("virtualNetworks", "lab")
        let space = [IPPrefix("10.1.0.0/16"), IPPrefix("fd00:1::/48")].compactMap(\.self)
        let subnet = Subnet(id: network.child("subnets", "servers"), prefixes: space, networkSecurityGroup: group)
        let tiers = [("web", "AsgWeb"), ("logic", "AsgLogic"), ("db", "AsgDb")]
        let asg = { (name: String) in testID("applicationSecurityGroups", name) }
        func rule(
            _ name: String, _ priority: Int, _ proto: RuleProtocol, _ source: AddressScope, _ target: String,
            _ port: UInt16,
            _ access: Access
        ) -> SecurityRule {
            SecurityRule(
                id: group.child("securityRules", name), name: name, protocol: proto, source: source,
                sourcePorts: [.any],
                destination: .applicationSecurityGroups([asg(target)]), destinationPorts: [PortRange(port)],
                access: access,
                priority: Priority(priority), direction: .inbound)
        }
        let rules = [
            rule("Allow-HTTP-Inbound-Internet", 100, .tcp, .serviceTag(.internet), "AsgWeb", 80, .allow),
            rule(
                "Allow-Database-BusinessLogic", 110, .tcp, .applicationSecurityGroups([asg("AsgLogic")]), "AsgDb", 1433,
                .allow),
            rule("Deny-Database-All", 120, .any, .any, "AsgDb", 1433, .deny),
        ]
        let interfaces = tiers.enumerated().map { index, tier in
            NetworkInterface(
                id: testID("networkInterfaces", tier.0), networkSecurityGroup: nil,
                ipConfigurations: [
                    IPConfiguration(
                        name: "ipconfig1", address: IPAddress("10.1.0.\(10 + index)"), subnet: subnet.id,
                        applicationSecurityGroups: [asg(tier.1)])
                ])
        }
        return Estate(
            networkSecurityGroups: [
                group: NetworkSecurityGroup(id: group, guid: UUID(named: group.description), securityRules: rules)
            ],
            virtualNetworks: [
                network: VirtualNetwork(
                    id: network, guid: UUID(named: network.description), addressSpace: space, subnets: [subnet])
            ],
            networkInterfaces: Dictionary(uniqueKeysWithValues: interfaces.map { ($0.id, $0) }),
            applicationSecurityGroups: Dictionary(
                uniqueKeysWithValues: tiers.map { (asg($0.1), ApplicationSecurityGroup(id: asg($0.1))) }),
            bindings: tiers.map {
                Binding(networkInterface: testID("networkInterfaces", $0.0), device: "veth-\($0.0)", attachment: .guest)
            })
    }
}
