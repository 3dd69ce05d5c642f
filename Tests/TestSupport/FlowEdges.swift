package import NSGModel
package import NetworkTypes

/// Where decisions can change: the first and last address and port of every range that an estate names, and one beyond
/// each.
package struct FlowEdges: Sendable {
    package private(set) var four: [IPAddress] = []
    package private(set) var six: [IPAddress] = []
    private var ports: [UInt16] = []

    package init(of estate: Estate) {
        let rules = estate.networkSecurityGroups.values.flatMap(\.securityRules)
        let networks = estate.virtualNetworks.values
        var prefixes: [IPPrefix] = networks.flatMap { $0.tagPrefixes(probe: estate.platform.probe) }
        prefixes += estate.serviceTags.values.flatMap(\.self)
        for rule in rules {
            for case .prefixes(let named) in [rule.source, rule.destination] { prefixes += named }
        }
        var found: Set<IPAddress> = []
        for prefix in Set(prefixes) { Self.add(edgesOf: prefix, to: &found) }
        for interface in estate.networkInterfaces.values { found.formUnion(interface.addresses) }
        found.formUnion(
            ["25.0.0.1", "198.51.100.7", "168.63.129.16", "8.8.8.8", "2001:4860:4860::8888"].compactMap {
                IPAddress($0)
            })
        four = found.filter { $0.family == .ipv4 }.sorted()
        six = found.filter { $0.family == .ipv6 }.sorted()

        var edges: Set<UInt16> = [0, 1, 255, 256, 65535]
        for range in rules.flatMap({ $0.sourcePorts + $0.destinationPorts }).map(\.bounds) {
            edges.formUnion([range.lowerBound, range.upperBound])
            if range.lowerBound > 0 { edges.insert(range.lowerBound - 1) }
            if range.upperBound < .max { edges.insert(range.upperBound + 1) }
        }
        ports = edges.sorted()
    }

    private static func add(edgesOf prefix: IPPrefix, to found: inout Set<IPAddress>) {
        let first = prefix.address
        let set = AddressSet(CollectionOfOne(prefix))
        let last: IPAddress? =
            set.v4.ranges.first.map { .v4(IPv4Address($0.upperBound)) }
            ?? set.v6.ranges.first.map { .v6(IPv6Address($0.upperBound)) }
        found.insert(first)
        if let before = first.predecessor { found.insert(before) }
        if let last {
            found.insert(last)
            if let after = last.advanced(by: 1) { found.insert(after) }
        }
    }

    private static let protocols: [IPProtocol] = [
        .tcp, .tcp, .tcp, .udp, .udp, .icmp, .icmp, .sctp, .gre, .esp, .ah, .udplite, .dccp,
    ]

    /// A first packet on an edge, of any protocol.
    package func flow(using random: inout SplitMix64) -> FlowTuple {
        let isIPv6 = Int.random(in: 0..<10, using: &random) < 3
        let pool = isIPv6 ? six : four
        let address = { (random: inout SplitMix64) in pool[Int.random(in: 0..<pool.count, using: &random)] }
        var number = Self.protocols[Int.random(in: 0..<Self.protocols.count, using: &random)]
        if isIPv6, number == .icmp { number = .icmpv6 }
        let port = { (random: inout SplitMix64) in
            number.hasPorts ? ports[Int.random(in: 0..<ports.count, using: &random)] : nil
        }
        let types = ports.compactMap { UInt8(exactly: $0) }
        return FlowTuple(
            protocol: number, source: address(&random), destination: address(&random), sourcePort: port(&random),
            destinationPort: port(&random),
            icmpType: number == .icmp || number == .icmpv6
                ? types[Int.random(in: 0..<types.count, using: &random)] : nil)
    }
}

extension FlowTuple {
    /// First packets on the edges of an estate's rules.
    package static func nearEdges(of estate: Estate, count: Int, using random: inout SplitMix64) -> [FlowTuple] {
        let edges = FlowEdges(of: estate)
        return (0..<count).map { _ in edges.flow(using: &random) }
    }
}
