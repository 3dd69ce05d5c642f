import NSGModel
import NetworkTypes
import Nftables
import TestSupport

/// First packets on the edges of a policy, each with its way through a router, such that no two share a connection.
///
/// A guest's own side has the guest's addresses, unless it routes (S13); on the other side stands whatever the rules
/// name.
struct TrafficPlan {
    private(set) var routes: [IPAddress: RouterLab.Route] = [:]
    private(set) var packets: [TestPacket] = []
    private let policy: CompiledPolicy
    private let pools: [IPFamily: [IPAddress]]
    /// The devices behind which any address may be.
    private let open: [String]
    private var connections: Set<FlowTuple> = []

    init(_ policy: CompiledPolicy, unbound: String, count: Int, using random: inout SplitMix64) {
        self.policy = policy
        let edges = FlowEdges(of: policy.book.estate)
        pools = [.ipv4: edges.four.filter(\.isRoutable), .ipv6: edges.six.filter(\.isRoutable)]
        open =
            policy.book.estate.bindings.map(\.device).filter { Self.guest(behind: $0, in: policy) == nil } + [unbound]
        place(using: &random)
        for _ in 0..<count * 4 where packets.count < count {
            let flow = edges.flow(using: &random)
            if let packet = packet(like: flow, using: &random), isAlone(packet.flow) { packets.append(packet) }
        }
    }

    /// The interface of a guest that does not route.
    private static func guest(behind device: String, in policy: CompiledPolicy) -> NetworkInterface? {
        guard let binding = policy.binding(of: device), binding.attachment == .guest, !policy.isRouter(device) else {
            return nil
        }
        return policy.book.estate.networkInterfaces[binding.networkInterface]
    }

    /// Interfaces' addresses where they are bound; of the rest some at the router itself, and the others anywhere.
    private mutating func place(using random: inout SplitMix64) {
        for address in [IPFamily.ipv4, .ipv6].flatMap({ pools[$0] ?? [] }) {
            let isLocal = Int.random(in: 0..<10, using: &random) == 0
            routes[address] = isLocal ? .local : .device(open[Int.random(in: 0..<open.count, using: &random)])
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
        // Half of all goes to an interface of the estate, half comes from one.
        let bound = policy.book.estate.bindings.compactMap { policy.book.estate.networkInterfaces[$0.networkInterface] }
            .flatMap(\.addresses).filter { $0.family == family }
        func end(_ random: inout SplitMix64) -> IPAddress {
            let from = Bool.random(using: &random) && !bound.isEmpty ? bound : pool
            return from[Int.random(in: 0..<from.count, using: &random)]
        }
        (flow.source, flow.destination) = (end(&random), end(&random))
        // AH before IPv6 is a header like others to all but rules (OddPacketTests).
        guard flow.source != flow.destination, !(flow.protocol == .ah && family == .ipv6) else { return nil }
        let exit: String? = if case .device(let device)? = routes[flow.destination] { device } else { nil }
        let entry: String?
        switch routes[flow.source] {
        case .device(let device)?:
            entry = open.contains(device) ? open[Int.random(in: 0..<open.count, using: &random)] : device
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
