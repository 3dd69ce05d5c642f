import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Testing

/// `TwoMachines` with what decides beside security groups: a network manager, and the platform with SMTP blocked.
enum OtherDeciders {
    static let manager = ResourceID(
        subscription: "00000000-0000-0000-0000-000000000000", resourceGroup: "lab", type: "networkManagers",
        name: "central")
    static let collection =
        manager.child("securityAdminConfigurations", "all").child("ruleCollections", "baseline")
    static let guid = UUID(named: "central")

    /// Inbound: 22 is refused and 443 always allowed by the manager; outbound: 23 is refused.
    static func policy(numbering: RuleNumbering = RuleNumbering()) throws -> Policy {
        try TwoMachines.policy(numbering: numbering) { estate in
            estate.blocksOutboundSMTP = true
            let group = NetworkGroup(id: manager.child("networkGroups", "all"), members: [TwoMachines.network])
            let rules = [
                rule("BlockSsh", 10, .inbound, 22, .deny), rule("OpenWeb", 20, .inbound, 443, .alwaysAllow),
                rule("BlockTelnet", 30, .outbound, 23, .deny),
            ]
            let baseline = AdminRuleCollection(id: collection, appliesTo: [group.id], rules: rules)
            estate.networkManagers[manager] = NetworkManager(
                id: manager, guid: guid, networkGroups: [group],
                configurations: [
                    SecurityAdminConfiguration(
                        id: manager.child("securityAdminConfigurations", "all"), collections: [baseline])
                ])
        }
    }

    private static func rule(
        _ name: String, _ priority: Int, _ direction: Direction, _ port: UInt16, _ access: Access
    ) -> SecurityRule {
        SecurityRule(
            id: collection.child("rules", name), owner: collection, name: name, protocol: .tcp, source: .any,
            sourcePorts: [.any], destination: .any, destinationPorts: [PortRange(port...port)], access: access,
            priority: Priority(priority), direction: direction, kind: .admin)
    }

    /// The bits by which an admin rule of one side says that it allowed; "" is the end of the list.
    static func bits(_ name: String, _ side: DeviceSide, in policy: Policy) throws -> UInt128 {
        let direction: Direction = side == .entry ? .outbound : .inbound
        let number = policy.numbering.rules.first {
            $0.value.kind == .admin && $0.value.name == name && $0.value.direction == direction
        }
        return FlowLabel.bits(try #require(number?.key), in: LabelSlot(side: side, level: .admin))
    }

    static func platformBits(_ side: DeviceSide, in policy: Policy) throws -> UInt128 {
        FlowLabel.bits(try #require(number(PlatformRules.allow, in: policy)), in: LabelSlot(side: side, level: .admin))
    }

    static func number(_ rule: SecurityRule, in policy: Policy) -> RuleNumber? { policy.numbering.number(of: rule) }
}
