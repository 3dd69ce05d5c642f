import ConntrackKernel
import NetworkTypes
import PacketLog
import TestSupport
import Testing

@testable import NSGDaemon

/// The connection of a logged packet: attached by the kernel (`NFULNL_CFG_F_CONNTRACK`) or, where that cannot, asked
/// for. F2, E4.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct LoggedConnectionTests {
    private static let label = ConnLabel(bits: 1 << 3 | 1 << 120)

    /// Labels and logs what leaves in the same rule, as the chain `allowed` does, where the destination is final and
    /// the source is not yet.
    private static func logged(group: UInt16, _ rule: String, _ traffic: () throws -> Void) throws -> [LoggedPacket] {
        try run(
            ["nft", "-f", "-"],
            input: """
                table inet logged_connections {
                    chain translation {
                        type nat hook output priority -100
                        udp dport 7001 redirect to :7002
                    }
                    chain decisions {
                        type filter hook postrouting priority 20
                        \(rule) ct state new ct label set 3 ct label set 120 log group \(group) snaplen 128
                    }
                }

                """)
        defer { _ = try? run(["nft", "delete", "table", "inet", "logged_connections"]) }
        let packets = Gathered<LoggedPacket>()
        let reader = try PacketLogReader(group: group) { packets.append(contentsOf: $0.packets) }
        reader.start()
        try traffic()
        let hasCome = eventually { !packets.all.isEmpty }
        #expect(hasCome)
        withExtendedLifetime(reader) {}
        return packets.all
    }

    @Test(
        "every protocol's connection comes with its id, its label and both tuples",
        arguments: [
            (76, "meta nfproto ipv4 tcp dport 8081"), (78, "udp dport 5454"), (79, "udp dport 7002"),
            (80, "icmp type echo-request"), (81, "icmpv6 type echo-request"), (82, "meta nfproto ipv6 udp dport 5455"),
        ] as [(UInt16, String)])
    func connections(group: UInt16, rule: String) throws {
        let packets = try Self.logged(group: group, rule) {
            switch group {
            case 76: LoopbackTraffic.connection(to: 8081, from: 41_100)
            case 78: LoopbackTraffic.datagrams(to: 5454, from: [41_101])
            case 79: LoopbackTraffic.datagrams(to: 7001, from: [41_102])
            case 80: try run(["ping", "-c", "1", "127.0.0.1"])
            case 81: try run(["ping", "-c", "1", "::1"])
            default: try run(["bash", "-c", "echo x > /dev/udp/::1/5455"])
            }
        }
        let packet = try #require(packets.first)
        var table = try ConntrackTable()
        let header = try #require(packet.header.flatMap { ConntrackTable.PacketTuple($0) })
        let asked = try #require(try table.entries(of: [header, header])[1], "asked for")
        let connection = packet.connection ?? asked
        #expect(asked.id == connection.id)
        let entry = try #require(try table.dump().first { $0.id == connection.id }, "\(connection)")
        #expect(connection.label == Self.label && entry.label == Self.label)
        #expect(connection.protocol == entry.protocol && connection.original == entry.original)
        #expect(connection.reply.source == entry.reply.source && connection.reply.sourcePort == entry.reply.sourcePort)
        #expect(connection.zone == entry.zone)
        if group == 79 {
            #expect(connection.original.destinationPort == 7001 && connection.reply.sourcePort == 7002)
            #expect(packet.header?.destinationPort == 7002 && packet.header?.sourcePort == 41_102)
        }
        try run(["conntrack", "-F"])
    }
}
