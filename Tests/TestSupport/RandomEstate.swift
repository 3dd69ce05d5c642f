package import NSGModel
package import NetworkTypes

extension Estate {
    /// An estate of a few networks, groups and interfaces that exercises what rules can say; the same for the same
    /// seed.
    package static func random(seed: UInt64) -> Estate {
        var maker = EstateMaker(seed: seed)
        return maker.make()
    }
}

/// Resource ids of fixtures.
package func testID(_ type: String, _ name: String) -> ResourceID {
    ResourceID(
        subscription: "00000000-0000-0000-0000-000000000000", resourceGroup: "lab", type: type, name: name)
}

private struct EstateMaker {
    private var random: SplitMix64
    private var networks: [VirtualNetwork] = []
    private var applicationGroups: [ResourceID] = []
    /// Application security groups whose members are in one network, by network.
    private var groupsOfNetwork: [ResourceID: [ResourceID]] = [:]
    private var interfaces: [NetworkInterface] = []
    private var securityGroups: [NetworkSecurityGroup] = []

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func make() -> Estate {
        let count = Int.random(in: 1...3, using: &random)
        let groups = (0..<Int.random(in: 1...4, using: &random)).map { testID("networkSecurityGroups", "nsg\($0)") }
        for index in 0..<count { addNetwork(index, groups) }
        if count > 1, chance(60) { peer() }
        for network in networks { addInterfaces(network, groups) }
        securityGroups = groups.map { group($0) }
        return Estate(
            networkSecurityGroups: Dictionary(uniqueKeysWithValues: securityGroups.map { ($0.id, $0) }),
            virtualNetworks: Dictionary(uniqueKeysWithValues: networks.map { ($0.id, $0) }),
            networkInterfaces: Dictionary(uniqueKeysWithValues: interfaces.map { ($0.id, $0) }),
            applicationSecurityGroups: Dictionary(
                uniqueKeysWithValues: applicationGroups.map { ($0, ApplicationSecurityGroup(id: $0)) }),
            serviceTags: [
                "lab.east": prefixes("198.51.100.0/25", "203.0.113.64/26", "2001:db8:7::/48"), "empty": [],
            ],
            bindings: bindings())
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private mutating func pick<Element>(_ options: [Element]) -> Element {
        options[Int.random(in: 0..<options.count, using: &random)]
    }

    private func prefixes(_ texts: String...) -> [IPPrefix] { texts.compactMap { IPPrefix($0) } }

    // MARK: Networks and interfaces

    private mutating func addNetwork(_ index: Int, _ groups: [ResourceID]) {
        let id = testID("virtualNetworks", "vnet\(index)")
        let isDual = chance(50)
        let space = prefixes("10.\(index).0.0/16") + (isDual ? prefixes("fd00:\(index)::/48") : [])
        let subnets = (0..<Int.random(in: 1...2, using: &random)).map { number in
            Subnet(
                id: id.child("subnets", "s\(number)"),
                prefixes: prefixes("10.\(index).\(number).0/24")
                    + (isDual ? prefixes("fd00:\(index):0:\(number)::/64") : []),
                networkSecurityGroup: chance(70) ? pick(groups) : nil)
        }
        networks.append(
            VirtualNetwork(
                id: id, guid: UUID(named: id.description), addressSpace: space, subnets: subnets,
                furtherPrefixes: chance(20) ? prefixes("192.168.0.0/20") : []))
        groupsOfNetwork[id] = (0..<2).map { testID("applicationSecurityGroups", "asg\(index)\($0)") }
        applicationGroups += groupsOfNetwork[id] ?? []
    }

    private mutating func peer() {
        let isOpen = chance(80)
        for (one, other) in [(0, 1), (1, 0)] {
            networks[one].peerings = [
                Peering(
                    name: "to\(other)", isOpen: isOpen, remoteNetwork: networks[other].id,
                    remotePrefixes: networks[other].addressSpace)
            ]
        }
    }

    private mutating func addInterfaces(_ network: VirtualNetwork, _ groups: [ResourceID]) {
        for (number, subnet) in network.subnets.enumerated() {
            for host in 4..<Int.random(in: 5...6, using: &random) {
                let memberships = (groupsOfNetwork[network.id] ?? []).filter { _ in chance(40) }
                let own = subnet.prefixes.compactMap { $0.address.advanced(by: UInt32(host)) }
                let configurations = own.enumerated().map { index, address in
                    IPConfiguration(
                        name: "ip\(index)", address: address, subnet: subnet.id, applicationSecurityGroups: memberships)
                }
                // The subnet's own group at times, which is then asked twice.
                let group: ResourceID? = chance(20) ? subnet.networkSecurityGroup : chance(60) ? pick(groups) : nil
                interfaces.append(
                    NetworkInterface(
                        id: testID("networkInterfaces", "\(network.name)-\(number)-\(host)"),
                        networkSecurityGroup: group,
                        ipConfigurations: configurations, enableIPForwarding: chance(15)))
            }
        }
    }

    private mutating func bindings() -> [Binding] {
        interfaces.enumerated().compactMap { index, interface in
            chance(80)
                ? Binding(
                    networkInterface: interface.id, device: "dev\(index)", attachment: chance(70) ? .guest : .host)
                : nil
        }
    }

    // MARK: Rules

    private mutating func group(_ id: ResourceID) -> NetworkSecurityGroup {
        // Some are long enough to be cut into several chains.
        let count = chance(15) ? Int.random(in: 20...60, using: &random) : Int.random(in: 0...12, using: &random)
        var rules: [SecurityRule] = []
        for direction in Direction.allCases {
            var used: Set<Int> = []
            while used.count < count {
                let priority = Int.random(in: Priority.written, using: &random)
                if used.insert(priority).inserted { rules.append(rule(in: id, priority, direction)) }
            }
        }
        return NetworkSecurityGroup(id: id, guid: UUID(named: id.description), securityRules: rules)
    }

    private mutating func rule(in group: ResourceID, _ priority: Int, _ direction: Direction) -> SecurityRule {
        let name = "\(direction == .inbound ? "in" : "out")-\(priority)"
        // Rules with application security groups name those of one network; addresses of one family.
        let network = pick(networks)
        let isIPv6 = chance(25)
        return SecurityRule(
            id: group.child("securityRules", name), owner: group, name: name, protocol: pick(RuleProtocol.allCases),
            source: side(network, isIPv6), sourcePorts: chance(75) ? [.any] : ports(),
            destination: side(network, isIPv6), destinationPorts: chance(35) ? [.any] : ports(),
            access: chance(50) ? .allow : .deny, priority: Priority(priority), direction: direction)
    }

    private mutating func side(_ network: VirtualNetwork, _ isIPv6: Bool) -> AddressScope {
        switch Int.random(in: 0..<10, using: &random) {
        case 0...2: return .any
        case 3: return .serviceTag(pick([.virtualNetwork, .internet, .azureLoadBalancer]))
        case 4: return .serviceTag(ServiceTag(pick(["Lab.East", "EMPTY", "VIRTUAL_NETWORK"])))
        case 5, 6:
            let groups = groupsOfNetwork[network.id] ?? []
            return .applicationSecurityGroups(chance(70) ? [pick(groups)] : groups)
        case 7: return .prefixes([prefix(isIPv6)])
        default: return .prefixes((0..<Int.random(in: 1...4, using: &random)).map { _ in prefix(isIPv6) })
        }
    }

    private mutating func prefix(_ isIPv6: Bool) -> IPPrefix {
        let texts =
            isIPv6
            ? ["::/0", "2000::/3", "fd00::/8", "fd00:0:0:0::/64", "fd00:0::4/128", "2001:db8:7::/48", "::1/128"]
            : [
                "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/32", "255.255.255.255/32", "10.0.0.0/8",
                "10.0.0.0/24",
                "10.0.1.0/24", "10.0.0.4/32", "10.0.0.5/32", "10.1.0.4/31", "10.2.0.0/15", "198.51.100.0/24",
                "203.0.113.0/25", "203.0.113.128/25",
            ]
        return IPPrefix(pick(texts)) ?? IPPrefix(.v4(IPv4Address(0)))
    }

    private mutating func ports() -> [PortRange] {
        let ranges: [ClosedRange<UInt16>] = [
            0...0, 0...7, 8...8, 3...3, 0...255, 255...256, 22...22, 80...80, 443...443, 80...89, 90...99, 1024...65535,
            0...1023, 65535...65535, 0...65535, 8000...8010, 53...53, 128...128,
        ]
        return (0..<Int.random(in: 1...4, using: &random)).map { _ in PortRange(pick(ranges)) }
    }
}

extension IPAddress {
    /// The address a few further on; nil past the last.
    package func advanced(by count: UInt32) -> IPAddress? {
        switch self {
        case .v4(let address):
            let (value, overflow) = address.value.addingReportingOverflow(count)
            return overflow ? nil : .v4(IPv4Address(value))
        case .v6(let address):
            let (value, overflow) = address.value.addingReportingOverflow(UInt128(count))
            return overflow ? nil : .v6(IPv6Address(value))
        }
    }

    /// The address before; nil before the first.
    package var predecessor: IPAddress? {
        switch self {
        case .v4(let address): address.value == 0 ? nil : .v4(IPv4Address(address.value - 1))
        case .v6(let address): address.value == 0 ? nil : .v6(IPv6Address(address.value - 1))
        }
    }
}
