import NSGModel
import NetworkTypes
import Nftables
import TestSupport

/// First packets on the edges of a policy, each with its way through a router, such that no two share a connection.
///
/// A guest's own side has the guest's addresses, unless it routes; a few addresses of others are there too, which must
/// not get through (S13). On the other side stands whatever the policy names.
struct TrafficPlan {
    private(set) var routes: [IPAddress: RouterLab.Route] = [:]
    private(set) var packets: [TestPacket] = []
    private let policy: CompiledPolicy
    private let pools: [IPFamily: [IPAddress]]
    /// Devices of guests that are held to their addresses.
    private let guarded: [String]
    /// The devices behind which any address may be.
    private let open: [String]
    private var connections: Set<FlowTuple> = []

    init(_ policy: CompiledPolicy, unbound: String, count: Int, using random: inout SplitMix64) {
        self.policy = policy
        let edges = FlowEdges(of: policy.book.estate)
        pools = Dictionary(grouping: edges.addresses.filter(\.isRoutable).sorted(), by: \.family)
        let estate = policy.book.estate
        guarded = estate.bindings.filter { estate.guardedAddresses(of: $0) != nil }.map(\.device)
        open = estate.bindings.map(\.device).filter { [guarded] in !guarded.contains($0) } + [unbound]
        place(using: &random)
        for _ in 0..<count * 4 where packets.count < count {
            let flow = edges.flow(using: &random)
            if let packet = packet(like: flow, using: &random), isAlone(packet.flow) { packets.append(packet) }
        }
    }

    /// Interfaces' addresses where they are bound; of the rest some at the router itself, and the others anywhere.
    private mutating func place(using random: inout SplitMix64) {
        for address in [IPFamily.ipv4, .ipv6].flatMap({ pools[$0] ?? [] }) {
            let isMisplaced = random.chance(5) && !guarded.isEmpty
            routes[address] = random.chance(10) ? .local : .device(random.pick(isMisplaced ? guarded : open))
        }
        for binding in policy.book.estate.bindings {
            for address in policy.book.estate.networkInterfaces[binding.networkInterface]?.addresses ?? [] {
                routes[address] = binding.attachment == .host ? .local : .device(binding.device)
            }
        }
    }

    // MARK: One packet

    private func packet(like flow: FlowTuple, using random: inout SplitMix64) -> TestPacket? {
        var flow = flow
        let family = flow.source.family
        guard let pool = pools[family] else { return nil }
        // A third of all goes to an interface of the estate, a third comes from one.
        let bound = policy.book.estate.bindings.compactMap { policy.book.estate.networkInterfaces[$0.networkInterface] }
            .flatMap(\.addresses).filter { $0.family == family }
        func end(_ wanted: IPAddress) -> IPAddress {
            if random.chance(33), !bound.isEmpty { return random.pick(bound) }
            return routes[wanted] == nil ? random.pick(pool) : wanted
        }
        (flow.source, flow.destination) = (end(flow.source), end(flow.destination))
        // AH before IPv6 is a header like others to all but rules (OddPacketTests).
        guard flow.source != flow.destination, !(flow.protocol == .ah && family == .ipv6) else { return nil }
        let exit: String? = if case .device(let device)? = routes[flow.destination] { device } else { nil }
        let entry: String?
        switch routes[flow.source] {
        case .device(let device)?:
            entry = open.contains(device) ? random.pick(open) : device
        case .local?, nil: entry = nil
        }
        let path: TestPacket.Path = entry == nil ? .output : exit == nil ? .input : .forward
        if path == .output, exit == nil { return nil }
        let state = flow.firstState
        return TestPacket(path, from: entry, to: exit, flow, state: state, label: state == .new ? 0 : nil)
    }

    /// Whether no packet before belongs to the same connection, either way round; then none later may.
    private mutating func isAlone(_ flow: FlowTuple) -> Bool {
        var key = flow
        // Conntrack knows no ports of DCCP on some kernels; packets of ICMP differ in their identifiers.
        if ![.tcp, .udp, .icmp, .icmpv6].contains(flow.protocol) { (key.sourcePort, key.destinationPort) = (nil, nil) }
        return connections.insert(key).inserted && connections.insert(key.reversed).inserted
    }
}

extension FlowTuple {
    var reversed: FlowTuple {
        FlowTuple(
            protocol: self.protocol, source: destination, destination: source, sourcePort: destinationPort,
            destinationPort: sourcePort, icmpType: icmpType)
    }

    /// What conntrack calls a first packet: of ICMP only questions begin a connection, an answer to none is invalid;
    /// neighbour and listener discovery are not tracked.
    var firstState: ConnectionState {
        switch (self.protocol, icmpType ?? 0) {
        case (.icmp, 8), (.icmp, 13), (.icmp, 15), (.icmp, 17), (.icmpv6, 128), (.icmpv6, 139): .new
        case (.icmpv6, 130...136), (.icmpv6, 143): .untracked
        case (.icmp, _), (.icmpv6, _): .invalid
        default: .new
        }
    }
}

extension IPAddress {
    /// The kernel forwards to and from it: neither this network, loopback, multicast nor reserved; of IPv6 neither
    /// link-local.
    fileprivate var isRoutable: Bool {
        switch self {
        case .v4(let address): (1...223).contains(address.value >> 24) && address.value >> 24 != 127
        case .v6(let address): (1..<0xfe).contains(address.value >> 120)
        }
    }
}
