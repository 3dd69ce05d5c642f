import NSGModel
import NetworkTypes

extension EstateMaker {
    mutating func securityGroup(_ id: ResourceID) -> NetworkSecurityGroup {
        // Some are long, as real ones are.
        let count = chance(15) ? int(20...60) : int(0...12)
        let rules = Direction.allCases.flatMap { direction in
            priorities(count, in: Priority.written).map { rule(in: id, $0, direction) }
        }
        return NetworkSecurityGroup(id: id, guid: UUID(named: id.description), securityRules: rules)
    }

    /// Different ones, in no order.
    mutating func priorities(_ count: Int, in range: ClosedRange<Int>) -> [Int] {
        var order: [Int] = []
        while order.count < count {
            let priority = int(range)
            if !order.contains(priority) { order.append(priority) }
        }
        return order
    }

    private mutating func rule(in group: ResourceID, _ priority: Int, _ direction: Direction) -> SecurityRule {
        let name = "\(direction == .inbound ? "in" : "out")-\(priority)"
        // Rules with application security groups name those of one network; addresses of one family.
        let network = pick(networks)
        let isIPv6 = chance(30)
        var rule = SecurityRule(
            id: group.child("securityRules", name), owner: group, name: name, protocol: pick(RuleProtocol.allCases),
            source: side(network, isIPv6), sourcePorts: chance(75) ? [.any] : ports(),
            destination: side(network, isIPv6), destinationPorts: chance(35) ? [.any] : ports(),
            access: chance(50) ? .allow : .deny, priority: Priority(priority), direction: direction)
        if rule.protocol == .esp || rule.protocol == .ah, chance(80) {
            (rule.sourcePorts, rule.destinationPorts) = ([.any], [.any])
        }
        if direction == .outbound, chance(4) { nameService(&rule) }
        return rule
    }

    /// A rule that takes a service of the platform away (S9): Azure takes these tags in a Deny of all protocols and
    /// ports alone.
    private mutating func nameService(_ rule: inout SecurityRule) {
        rule.access = .deny
        rule.protocol = .any
        (rule.sourcePorts, rule.destinationPorts) = ([.any], [.any])
        rule.destination = .serviceTag(
            ServiceTag(pick(["AzurePlatformDNS", "azureplatformimds", "AzurePlatformLKM"])))
    }

    private mutating func side(_ network: VirtualNetwork, _ isIPv6: Bool) -> AddressScope {
        switch int(0...9) {
        case 0...2: return .any
        case 3, 4: return .serviceTag(tag())
        case 5, 6:
            let groups = groupsOfNetwork[network.id] ?? []
            return .applicationSecurityGroups(chance(70) ? [pick(groups)] : groups)
        case 7: return .prefixes([prefix(isIPv6)])
        default: return .prefixes((0..<int(1...4)).map { _ in prefix(isIPv6) })
        }
    }

    mutating func tag() -> ServiceTag {
        ServiceTag(
            pick([
                "VirtualNetwork", "Internet", "AzureLoadBalancer", "Lab.East", "EMPTY", "VIRTUAL_NETWORK", "INTERNET",
                "AZURE_LOADBALANCER",
            ]))
    }

    mutating func prefix(_ isIPv6: Bool) -> IPPrefix {
        let texts =
            isIPv6
            ? [
                "::/0", "2000::/3", "fd00::/8", "fd00:0:0:0::/64", "fd00:0::4/128", "fd00:1::/48", "2001:db8:7::/48",
                "::1/128",
            ]
            : [
                "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/32", "255.255.255.255/32", "10.0.0.0/8",
                "10.0.0.0/24", "10.0.1.0/24", "10.0.0.4/32", "10.0.0.5/32", "10.1.0.4/31", "10.2.0.0/15",
                "198.51.100.0/24", "203.0.113.0/25", "203.0.113.128/25",
            ]
        return IPPrefix(pick(texts)) ?? IPPrefix(.v4(IPv4Address(0)))
    }

    mutating func ports() -> [PortRange] {
        let ranges: [ClosedRange<UInt16>] = [
            0...0, 0...7, 8...8, 3...3, 0...255, 255...256, 22...22, 25...25, 80...80, 443...443, 80...89, 90...99,
            1024...65535, 0...1023, 65535...65535, 0...65535, 8000...8010, 53...53, 128...128, 1688...1688,
        ]
        return (0..<int(1...4)).map { _ in PortRange(pick(ranges)) }
    }
}
