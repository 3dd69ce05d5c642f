package import NSGModel
package import NetworkTypes

extension Estate {
    /// An estate of a few networks, groups and interfaces that exercises what documents can say; the same for the same
    /// seed. Interfaces of networks that overlap others are not bound.
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

/// What is being made. Each kind of resource has a file with what makes it.
struct EstateMaker {
    private var random: SplitMix64
    var networks: [VirtualNetwork] = []
    var applicationGroups: [ResourceID] = []
    /// Application security groups whose members are in one network, by network.
    var groupsOfNetwork: [ResourceID: [ResourceID]] = [:]
    var interfaces: [NetworkInterface] = []
    /// Interfaces of the network that overlaps another.
    var unbindable: Set<ResourceID> = []

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func make() -> Estate {
        let groups = (0..<int(1...4)).map { testID("networkSecurityGroups", "nsg\($0)") }
        for index in 0..<int(1...3) { addNetwork(index, groups) }
        if networks.count > 1, chance(60) { peer(0, 1) }
        if networks.count > 2, chance(40) { peer(1, 2) }
        for network in networks { addInterfaces(network, groups) }
        if chance(15) { addOverlap(groups) }
        let securityGroups = groups.map { securityGroup($0) }
        let managers = networkManagers()
        return Estate(
            networkSecurityGroups: Dictionary(uniqueKeysWithValues: securityGroups.map { ($0.id, $0) }),
            virtualNetworks: Dictionary(uniqueKeysWithValues: networks.map { ($0.id, $0) }),
            networkInterfaces: Dictionary(uniqueKeysWithValues: interfaces.map { ($0.id, $0) }),
            applicationSecurityGroups: Dictionary(
                uniqueKeysWithValues: applicationGroups.map { ($0, ApplicationSecurityGroup(id: $0)) }),
            serviceTags: [
                "lab.east": prefixes("198.51.100.0/25", "203.0.113.64/26", "2001:db8:7::/48"), "empty": [],
            ],
            platform: chance(40) ? labPlatform() : .azure, blocksOutboundSMTP: chance(40),
            networkManagers: Dictionary(uniqueKeysWithValues: managers.map { ($0.id, $0) }), bindings: bindings())
    }

    // MARK: Chance

    mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    mutating func chance(_ percent: Int) -> Bool { int(0...99) < percent }
    mutating func pick<Element>(_ options: [Element]) -> Element { options[int(0...options.count - 1)] }

    func prefixes(_ texts: String...) -> [IPPrefix] { texts.compactMap { IPPrefix($0) } }

    // MARK: Networks

    private mutating func addNetwork(_ index: Int, _ groups: [ResourceID], space number: Int? = nil) {
        let id = testID("virtualNetworks", "vnet\(index)")
        let number = number ?? index
        let isDual = chance(50)
        let space = prefixes("10.\(number).0.0/16") + (isDual ? prefixes("fd00:\(number)::/48") : [])
        let subnets = (0..<int(1...2)).map { subnet in
            Subnet(
                id: id.child("subnets", "s\(subnet)"),
                prefixes: prefixes("10.\(number).\(subnet).0/24")
                    + (isDual ? prefixes("fd00:\(number):0:\(subnet)::/64") : []),
                networkSecurityGroup: chance(70) ? pick(groups) : nil, filtersPrivateEndpoints: chance(50),
                divertsDefaultRoute: chance(20), takesAdminRules: !chance(15))
        }
        // On-premises space that is not private is in both VirtualNetwork and Internet.
        let further = chance(20) ? prefixes("192.168.0.0/20", "203.0.113.0/26", "2001:db8:5::/48") : []
        networks.append(
            VirtualNetwork(
                id: id, guid: UUID(named: id.description), addressSpace: space, subnets: subnets,
                furtherPrefixes: further, flowTimeoutMinutes: chance(30) ? pick([4, 15, 30]) : nil,
                hostsIntentPolicyServices: chance(20)))
        groupsOfNetwork[id] = (0..<2).map { testID("applicationSecurityGroups", "asg\(index)\($0)") }
        applicationGroups += groupsOfNetwork[id] ?? []
    }

    private mutating func peer(_ one: Int, _ other: Int) {
        let isOpen = chance(75)
        for (one, other) in [(one, other), (other, one)] {
            networks[one].peerings.append(
                Peering(
                    name: "to\(other)", isOpen: isOpen, remoteNetwork: networks[other].id,
                    remotePrefixes: networks[other].addressSpace))
        }
    }

    /// A network with the first one's addresses, which is on another host.
    private mutating func addOverlap(_ groups: [ResourceID]) {
        addNetwork(9, groups, space: 0)
        let known = Set(interfaces.map(\.id))
        if let network = networks.last { addInterfaces(network, groups) }
        unbindable = Set(interfaces.map(\.id)).subtracting(known)
    }

    // MARK: Interfaces

    private mutating func addInterfaces(_ network: VirtualNetwork, _ groups: [ResourceID]) {
        for (number, subnet) in network.subnets.enumerated() {
            for host in 4..<int(5...6) {
                // The subnet's own group at times, which is then asked twice.
                let group: ResourceID? = chance(20) ? subnet.networkSecurityGroup : chance(60) ? pick(groups) : nil
                interfaces.append(
                    NetworkInterface(
                        id: testID("networkInterfaces", "\(network.name)-\(number)-\(host)"),
                        networkSecurityGroup: group, ipConfigurations: configurations(subnet, host, in: network),
                        enableIPForwarding: chance(15), isPrivateEndpoint: chance(8)))
            }
        }
    }

    /// One for each family of the subnet, at times a second address, or none yet. As a rule they are members of the
    /// same application security groups.
    private mutating func configurations(
        _ subnet: Subnet, _ host: Int, in network: VirtualNetwork
    ) -> [IPConfiguration] {
        var addresses = subnet.prefixes.map { $0.address.advanced(by: UInt32(host)) }
        if chance(25), let first = subnet.prefixes.first {
            addresses.append(first.address.advanced(by: UInt32(host + 16)))
        }
        if chance(4) { addresses = [nil] }
        let groups = groupsOfNetwork[network.id] ?? []
        let common = groups.filter { _ in chance(40) }
        let differ = chance(30)
        return addresses.enumerated().map { index, address in
            IPConfiguration(
                name: "ip\(index)", address: address, subnet: subnet.id,
                applicationSecurityGroups: differ ? groups.filter { _ in chance(40) } : common)
        }
    }

    private mutating func bindings() -> [Binding] {
        interfaces.enumerated().compactMap { index, interface in
            chance(80) && !unbindable.contains(interface.id)
                ? Binding(
                    networkInterface: interface.id, device: "dev\(index)", attachment: chance(70) ? .guest : .host)
                : nil
        }
    }

    /// Services of the lab's own in place of Azure's, some of them inside a network.
    private mutating func labPlatform() -> PlatformAddresses {
        let host = chance(50) ? prefixes("10.0.0.53", "fd00:0::35") : prefixes("192.0.2.16", "2001:db8:53::1")
        return PlatformAddresses(
            dns: chance(50) ? host : prefixes("198.51.100.53", "2001:db8:53::2"),
            imds: chance(50) ? host : prefixes("169.254.169.254"), wireServer: host,
            probe: chance(50) ? host : prefixes("10.0.1.250", "203.0.113.250"),
            kms: chance(50) ? prefixes("198.51.100.16/30", "2001:db8:7::10") : [])
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
