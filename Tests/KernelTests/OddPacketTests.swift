import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import NftablesKernel
import PacketLog
import TestSupport
import Testing

/// Packets that hide what rules look at: fragments, options, extension headers, halves of connections. S4, KERNEL 9.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct OddPacketTests {
    /// What comes of a packet to a port that is refused and to one that is not.
    enum Fate: Hashable, Sendable {
        /// By the rule for its port.
        case judged
        /// By a rule for all ports.
        case judgedWithoutPort
        /// To no connection that could begin: dropped without a record.
        case invalid
        /// Never whole.
        case lost
    }

    struct Oddity: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fate: Fate
        /// The packets that carry a UDP or TCP segment.
        let packets: @Sendable (FlowTuple) -> [[UInt8]]
        var isIPv6 = false
        var `protocol`: IPProtocol = .udp
    }

    static let oddities: [Oddity] = [
        Oddity(
            testDescription: "IPv4 options", fate: .judged,
            packets: { flow in
                [packet(flow, udp(flow), options: [1, 1, 1, 0])]
            }),
        Oddity(
            testDescription: "two IPv4 fragments, the ports in the first", fate: .judged,
            packets: { flow in
                [
                    packet(flow, udp(flow).prefix(8), fragment: 0x2000),
                    packet(flow, udp(flow).dropFirst(8), fragment: 1),
                ]
            }),
        Oddity(
            testDescription: "the last fragment first", fate: .judged,
            packets: { flow in
                [
                    packet(flow, udp(flow).dropFirst(8), fragment: 1),
                    packet(flow, udp(flow).prefix(8), fragment: 0x2000),
                ]
            }),
        Oddity(
            testDescription: "a last fragment alone", fate: .lost,
            packets: { flow in
                [packet(flow, udp(flow).dropFirst(8), fragment: 1)]
            }),
        Oddity(
            testDescription: "half a UDP header", fate: .invalid,
            packets: { flow in [packet(flow, udp(flow).prefix(4))] }),
        Oddity(
            testDescription: "IPv6 destination options", fate: .judged,
            packets: { flow in
                [packet(flow, [17, 0, 1, 4, 0, 0, 0, 0] + udp(flow), next: 60)]
            }, isIPv6: true),
        Oddity(
            testDescription: "an IPv6 fragment that is the whole", fate: .judged,
            packets: { flow in
                [packet(flow, [17, 0, 0, 0, 0, 0, 0, 9] + udp(flow), next: 44)]
            }, isIPv6: true),
        Oddity(
            testDescription: "two IPv6 fragments", fate: .judged,
            packets: { flow in
                [
                    packet(flow, [17, 0, 0, 1, 0, 0, 0, 8] + udp(flow).prefix(8), next: 44),
                    packet(flow, [17, 0, 0, 8, 0, 0, 0, 8] + udp(flow).dropFirst(8), next: 44),
                ]
            }, isIPv6: true),
        // Rules see AH (`IP6_FH_F_AUTH` of nft_set_pktinfo_ipv6), which has no ports; conntrack sees what is behind it.
        Oddity(
            testDescription: "AH before IPv6", fate: .judgedWithoutPort,
            packets: { flow in
                [packet(flow, [17, 4, 0, 0] + Array(repeating: 7, count: 20) + udp(flow), next: 51)]
            }, isIPv6: true),
        Oddity(
            testDescription: "TCP in the middle of a connection", fate: .judged,
            packets: { [PacketFrame.bytes(of: $0, number: 3)] }, protocol: .tcp),
        Oddity(
            testDescription: "TCP reset of no connection", fate: .invalid,
            packets: { flow in
                var segment = PacketFrame.transport(flow, 1)
                segment[13] = 0x04
                return [packet(flow, segment, next: 6)]
            }, protocol: .tcp),
        Oddity(
            testDescription: "TCP answer of no connection", fate: .invalid,
            packets: { flow in
                var segment = PacketFrame.transport(flow, 1)
                segment[13] = 0x12
                return [packet(flow, segment, next: 6)]
            }, protocol: .tcp),
    ]

    private static func udp(_ flow: FlowTuple) -> [UInt8] { PacketFrame.transport(flow, 1) }

    private static func packet(
        _ flow: FlowTuple, _ rest: some Sequence<UInt8>, next: UInt8 = 17, fragment: UInt16 = 0, options: [UInt8] = []
    ) -> [UInt8] {
        PacketFrame.packet(flow.source, flow.destination, next, Array(rest), fragment: fragment, options: options)
    }

    @Test("odd packets meet the rule for their port, or none", arguments: oddities)
    func fates(oddity: Oddity) throws {
        let lab = try RouterLab(devices: ["guest0", "other0"])
        let ends = oddity.isIPv6 ? ["fd00::4", "2001:db8::9"] : ["10.0.0.4", "203.0.113.9"]
        let (source, destination) = (try #require(IPAddress(ends[0])), try #require(IPAddress(ends[1])))
        try lab.setRoutes([source: .device("guest0"), destination: .device("other0")])
        let policy = CompiledPolicy(Self.estate, group: 85)
        let records = Gathered<LoggedPacket>()
        let reader = try RouterLab.read(group: 85, into: records)
        let store = try KernelRulesetStore()
        var enforcement = Enforcement(store: store)
        _ = try enforcement.apply(policy.ruleset)
        defer { try? enforcement.removeTable(policy.ruleset.table) }

        for port in [UInt16(9000), 9001] {
            let flow = FlowTuple(
                protocol: oddity.protocol, source: source, destination: destination, sourcePort: port - 5000,
                destinationPort: port)
            for packet in oddity.packets(flow) { lab.send(packet, through: "guest0") }
        }
        // Behind it on the same way: when this has come, what was before it has.
        let last = FlowTuple(
            protocol: .udp, source: source, destination: destination, sourcePort: 1, destinationPort: 9002)
        lab.send(PacketFrame.bytes(of: last, number: 9), through: "guest0")
        var arrived: [PacketHeader] = []
        let isDone = eventually {
            arrived += (lab.taps["other0"]?.receive() ?? []).compactMap { PacketHeader($0[...]) }
            return arrived.last?.destinationPort == 9002 && records.all.last?.header?.destinationPort == 9002
        }
        #expect(isDone)
        let marks = records.all.dropLast().map(\.prefix)
        withExtendedLifetime(reader) {}
        let invalid = try store.counters(table: policy.ruleset.table)[CounterName("nic/guest0/invalid")]?.packets
        switch oddity.fate {
        case .judged:
            #expect(marks.count == 2 && marks[0].hasPrefix("nsgd deny ") && marks[1] == "nsgd allow")
            // The first fragment of a refragmented packet has the ports.
            #expect(Set(arrived.dropLast().compactMap(\.destinationPort)) == [9001] && invalid == 0)
        case .judgedWithoutPort: #expect(marks == ["nsgd allow", "nsgd allow"] && arrived.count == 3)
        case .invalid:
            #expect(marks.isEmpty && arrived.count == 1 && invalid == 2, "\(marks) \(arrived) \(invalid ?? 0)")
        case .lost: #expect(marks.isEmpty && arrived.count == 1 && invalid == 0)
        }
    }

    /// A guest that may send anything but to port 9000.
    private static var estate: Estate {
        let group = testID("networkSecurityGroups", "odd")
        let network = testID("virtualNetworks", "lab")
        let prefixes = ["10.0.0.0/24", "fd00::/64"].compactMap { IPPrefix($0) }
        let subnet = Subnet(id: network.child("subnets", "s"), prefixes: prefixes, networkSecurityGroup: group)
        let rules = [(Access.deny, PortRange(9000...9000)), (.allow, .any)].enumerated().map { index, rule in
            SecurityRule(
                id: group.child("securityRules", "r\(index)"), name: "r\(index)", protocol: .any, source: .any,
                sourcePorts: [.any], destination: .any, destinationPorts: [rule.1], access: rule.0,
                priority: Priority(100 + index), direction: .outbound)
        }
        let guest = NetworkInterface(
            id: testID("networkInterfaces", "guest0"), networkSecurityGroup: nil,
            ipConfigurations: ["10.0.0.4", "fd00::4"].enumerated().map { index, address in
                IPConfiguration(name: "ip\(index)", address: IPAddress(address), subnet: subnet.id)
            })
        return Estate(
            networkSecurityGroups: [
                group: NetworkSecurityGroup(id: group, guid: UUID(named: "odd"), securityRules: rules)
            ],
            virtualNetworks: [
                network: VirtualNetwork(
                    id: network, guid: UUID(named: "lab"), addressSpace: prefixes, subnets: [subnet])
            ],
            networkInterfaces: [guest.id: guest],
            bindings: [Binding(networkInterface: guest.id, device: "guest0", attachment: .guest)])
    }
}
