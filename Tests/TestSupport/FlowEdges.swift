package import NSGModel
package import NetworkTypes

/// Where decisions can change: the first and last address and port of every range that an estate names, one beyond
/// each, and what the platform treats by itself.
package struct FlowEdges: Sendable {
    /// What documents name, rules apart from wide tags.
    package private(set) var four: [IPAddress] = []
    package private(set) var six: [IPAddress] = []
    private var ports: [UInt16] = []
    private var rules: [RuleEdges] = []
    private let platform: [ServiceEdges]
    private let own: [IPAddress]

    /// What one rule can be met with.
    private struct RuleEdges {
        var `protocol`: RuleProtocol
        /// Empty for any.
        var source: [IPAddress]
        var destination: [IPAddress]
        var sourcePorts: [UInt16]
        var destinationPorts: [UInt16]
    }

    private struct ServiceEdges {
        var addresses: [IPAddress]
        var endpoints: [(IPProtocol, UInt16)]
    }

    package init(of estate: Estate) {
        let scopes = ScopeEdges(estate)
        let written = estate.networkSecurityGroups.values.sorted { $0.id < $1.id }.flatMap(\.securityRules)
        let admin = estate.networkManagers.values.sorted { $0.id < $1.id }.flatMap(\.configurations)
            .flatMap(\.collections).flatMap(\.rules)
        rules = (written + admin).map { rule in
            RuleEdges(
                protocol: rule.protocol, source: scopes.edges(of: rule.source),
                destination: scopes.edges(of: rule.destination), sourcePorts: Self.edges(of: rule.sourcePorts),
                destinationPorts: Self.edges(of: rule.destinationPorts))
        }
        own = estate.networkInterfaces.values.flatMap(\.addresses).sorted()
        platform = Self.services(of: estate)
        var found = Set(own)
        found.formUnion(scopes.edges(of: estate.virtualNetworks.values.flatMap { $0.tagPrefixes(probe: []) }))
        found.formUnion(scopes.edges(of: estate.serviceTags.values.flatMap(\.self)))
        for rule in written {
            for case .prefixes(let named) in [rule.source, rule.destination] {
                found.formUnion(scopes.edges(of: named))
            }
        }
        found.formUnion(platform.flatMap(\.addresses))
        found.formUnion(
            ["25.0.0.1", "198.51.100.7", "168.63.129.16", "8.8.8.8", "2001:4860:4860::8888"].compactMap {
                IPAddress($0)
            })
        four = found.filter { $0.family == .ipv4 }.sorted()
        six = found.filter { $0.family == .ipv6 }.sorted()
        ports = Set([0, 1, 255, 256, 65535] + rules.flatMap { $0.sourcePorts + $0.destinationPorts }).sorted()
    }

    /// Every address that flows may have, those of link traffic aside.
    package var addresses: Set<IPAddress> {
        Set(four + six + rules.flatMap { $0.source + $0.destination } + platform.flatMap(\.addresses))
    }

    /// The services of the platform and mail.
    private static func services(of estate: Estate) -> [ServiceEdges] {
        let edges = { (prefixes: [IPPrefix]) in ScopeEdges(estate).edges(of: prefixes) }
        let platform = estate.platform
        let own = estate.virtualNetworks.values.flatMap { $0.tagPrefixes(probe: []) }
        return [
            ServiceEdges(addresses: edges(platform.dns), endpoints: [(.udp, 53), (.tcp, 53)]),
            ServiceEdges(
                addresses: edges(platform.wireServer),
                endpoints: [(.udp, 67), (.tcp, 80), (.tcp, 443), (.tcp, 32526)]),
            ServiceEdges(addresses: edges(platform.imds), endpoints: [(.tcp, 80)]),
            ServiceEdges(addresses: edges(platform.kms), endpoints: [(.tcp, 1688)]),
            // Of the Internet some is a network's own, and none for it.
            ServiceEdges(addresses: edges(PlainOracle.internet) + edges(own) + edges(own), endpoints: [(.tcp, 25)]),
        ]
    }

    private static func edges(of ranges: [PortRange]) -> [UInt16] {
        var edges: Set<UInt16> = []
        for range in ranges.map(\.bounds) {
            edges.formUnion([range.lowerBound, range.upperBound])
            if range.lowerBound > 0 { edges.insert(range.lowerBound - 1) }
            if range.upperBound < .max { edges.insert(range.upperBound + 1) }
        }
        return edges.sorted()
    }

    // MARK: Flows

    /// A first packet on an edge, of any protocol.
    package func flow(using random: inout SplitMix64) -> FlowTuple {
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<10: rules.isEmpty ? anyFlow(using: &random) : flow(near: random.pick(rules), using: &random)
        case 10..<14: platformFlow(using: &random)
        case 14: linkFlow(using: &random)
        default: anyFlow(using: &random)
        }
    }

    private static let protocols: [IPProtocol] = [
        .tcp, .tcp, .tcp, .udp, .udp, .icmp, .icmp, .sctp, .gre, .esp, .ah, .udplite, .dccp,
    ]

    private func anyFlow(using random: inout SplitMix64) -> FlowTuple {
        flow(
            near: RuleEdges(protocol: .any, source: [], destination: [], sourcePorts: ports, destinationPorts: ports),
            using: &random)
    }

    /// Most of it as the rule wants it, on an edge.
    private func flow(near rule: RuleEdges, using random: inout SplitMix64) -> FlowTuple {
        let family: IPFamily = random.chance(30) ? .ipv6 : .ipv4
        let pool = family == .ipv4 ? four : six
        func address(_ wanted: [IPAddress]) -> IPAddress {
            let fitting = wanted.filter { $0.family == family }
            return random.pick(fitting.isEmpty || random.chance(10) ? pool : fitting)
        }
        var number = random.chance(10) ? nil : rule.protocol.number
        if rule.protocol == .any || number == nil { number = random.pick(Self.protocols) }
        var kind = number ?? .tcp
        if family == .ipv6, kind == .icmp { kind = .icmpv6 }
        func port(_ wanted: [UInt16]) -> UInt16 { random.pick(random.chance(10) ? ports : wanted) }
        let types = (rule.destinationPorts + rule.sourcePorts + ports).compactMap { UInt8(exactly: $0) }
        let isICMP = kind == .icmp || kind == .icmpv6
        return FlowTuple(
            protocol: kind, source: address(rule.source), destination: address(rule.destination),
            sourcePort: kind.hasPorts ? port(rule.sourcePorts) : nil,
            destinationPort: kind.hasPorts ? port(rule.destinationPorts) : nil,
            icmpType: isICMP ? random.pick(types) : nil)
    }

    /// A service, or just not it: of each condition one in six is missed by one.
    private func platformFlow(using random: inout SplitMix64) -> FlowTuple {
        let service = random.pick(platform.filter { !$0.addresses.isEmpty })
        let destination = random.pick(service.addresses)
        var (number, port) = random.pick(service.endpoints)
        if random.chance(10) { number = number == .tcp ? .udp : .tcp }
        if random.chance(16) { port = random.chance(50) ? port - 1 : port + 1 }
        let sources = (random.chance(70) ? own : four + six).filter { $0.family == destination.family }
        let source = random.pick(sources.isEmpty ? (destination.family == .ipv4 ? four : six) : sources)
        return FlowTuple(
            protocol: number, source: source, destination: destination,
            sourcePort: port == 67 && random.chance(50) ? 68 : random.pick(ports), destinationPort: port)
    }

    /// What keeps a link alive (S12, S13), and its neighbours.
    private func linkFlow(using random: inout SplitMix64) -> FlowTuple {
        let isIPv6 = random.chance(60)
        let sources =
            isIPv6
            ? ["::", "::1", "fe80::4", "fe7f:ffff::1", "febf:ffff::1", "fec0::1"]
            : ["0.0.0.0", "0.0.0.1", "169.254.0.9", "255.255.255.255"]
        let destinations =
            isIPv6
            ? ["ff02::1", "fe80::1", "feff::1"] : ["224.0.0.0", "223.255.255.255", "239.255.255.255", "240.0.0.0"]
        let mine = own.filter { ($0.family == .ipv6) == isIPv6 }
        let source = random.pick(sources.compactMap { IPAddress($0) } + mine)
        let destination = random.pick(destinations.compactMap { IPAddress($0) } + mine)
        if random.chance(50) {
            let near: [UInt16] = isIPv6 && random.chance(80) ? [545, 546, 547, 548] : [66, 67, 68, 69]
            return FlowTuple(
                protocol: random.chance(90) ? .udp : .tcp, source: source, destination: destination,
                sourcePort: random.pick(near), destinationPort: random.pick(near))
        }
        if !isIPv6 { return FlowTuple(protocol: .igmp, source: source, destination: destination) }
        return FlowTuple(
            protocol: .icmpv6, source: source, destination: destination,
            icmpType: random.pick(Array(128...138) + [142, 143, 144]))
    }
}

/// The edges of what scopes stand for.
private struct ScopeEdges {
    let estate: Estate

    init(_ estate: Estate) { self.estate = estate }

    /// Empty for any.
    func edges(of scope: AddressScope) -> [IPAddress] {
        switch scope {
        case .any: []
        case .prefixes(let prefixes): edges(of: prefixes)
        case .serviceTag(let tag): edges(of: prefixes(of: tag))
        case .applicationSecurityGroups(let groups):
            edges(
                of: estate.networkInterfaces.values.flatMap(\.ipConfigurations).filter {
                    !Set(groups).isDisjoint(with: $0.applicationSecurityGroups)
                }.compactMap(\.address).map { IPPrefix($0) })
        case .networkGroup(let id):
            edges(
                of: estate.networkManagers.values.flatMap(\.networkGroups).filter { $0.id == id }.flatMap(\.members)
                    .compactMap { estate.virtualNetworks[$0] }.flatMap(\.addressSpace))
        case .either(let scopes): Set(scopes.flatMap { edges(of: $0) }).sorted()
        }
    }

    private func prefixes(of tag: ServiceTag) -> [IPPrefix] {
        switch tag {
        case .virtualNetwork: estate.virtualNetworks.values.flatMap { $0.tagPrefixes(probe: estate.platform.probe) }
        case .internet: PlainOracle.internet
        case .azureLoadBalancer: estate.platform.probe
        case .azurePlatformDNS: estate.platform.dns
        case .azurePlatformIMDS: estate.platform.imds
        case .azurePlatformLKM: estate.platform.kms
        default: estate.serviceTags[tag.key] ?? []
        }
    }

    /// First and last address of each prefix, and one beyond.
    func edges(of prefixes: [IPPrefix]) -> [IPAddress] {
        var found: Set<IPAddress> = []
        for prefix in Set(prefixes) {
            let first = prefix.address
            let last = first.last(of: prefix.length)
            found.formUnion([first, last])
            if let before = first.predecessor { found.insert(before) }
            if let after = last.advanced(by: 1) { found.insert(after) }
        }
        return found.sorted()
    }
}

extension IPAddress {
    /// The last address of the prefix of that length.
    fileprivate func last(of length: Int) -> IPAddress {
        switch self {
        case .v4(let address): .v4(IPv4Address(address.value | UInt32.max >> UInt32(length)))
        case .v6(let address): .v6(IPv6Address(address.value | UInt128.max >> UInt128(length)))
        }
    }
}

extension SplitMix64 {
    package mutating func pick<Element>(_ options: [Element]) -> Element {
        options[Int.random(in: 0..<options.count, using: &self)]
    }

    /// True in so many of a hundred cases.
    package mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

extension FlowTuple {
    /// First packets on the edges of an estate's rules.
    package static func nearEdges(of estate: Estate, count: Int, using random: inout SplitMix64) -> [FlowTuple] {
        let edges = FlowEdges(of: estate)
        return (0..<count).map { _ in edges.flow(using: &random) }
    }
}
