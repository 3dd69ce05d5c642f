import NetworkTypes
import TestSupport
import Testing

/// Protocols with and without ports, errors about flows, and what keeps links alive. S1, S4, S12, FACTS c6, c10.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonProtocolTests {
    private typealias Rule = EstateDocuments.Rule
    private typealias Packet = (String, [UInt8])

    /// Guests `a`, `b`, …, each with rules of its own.
    private static func estate(_ rules: [[Rule]]) -> EstateDocuments {
        var estate = EstateDocuments()
        estate.subnets = ["front": (0, nil)]
        for (index, rules) in rules.enumerated() {
            let name = ["a", "b", "c", "d"][index]
            estate.groups["of-\(name)"] = rules
            estate.interfaces.append(
                .init(
                    name: name, addresses: ["10.1.0.\(4 + index)", "fd00:1::\(4 + index)"], subnet: "front",
                    group: "of-\(name)", device: "v\(name)"))
        }
        return estate
    }

    /// Packets from outside to a guest, by number of the guest: protocol, IPv6 or not, port or ICMP type.
    private static func packets(
        _ guest: Int, _ list: [(IPProtocol, isIPv6: Bool, port: UInt16)]
    ) throws -> [Packet] {
        try list.enumerated().map { index, item in
            let (source, target) =
                item.isIPv6 ? ("2001:db8::9", "fd00:1::\(4 + guest)") : ("203.0.113.9", "10.1.0.\(4 + guest)")
            return (
                "\(item.0) \(item.isIPv6 ? "IPv6 " : "")\(item.port)",
                try RawPackets.first(item.0, source, UInt16(3000 + index), target, item.port)
            )
        }
    }

    @Test("rules for a protocol, for ports and for everything meet TCP, UDP, SCTP, GRE, ESP, AH and ICMP (S1)")
    func protocols() throws {
        let rules: [[Rule]] = [
            [
                .allow("AllowEsp", 100, "Esp"), .allow("AllowPing", 110, "Icmp", "8"),
                .allow("AllowPort", 120, "*", "500"),
                .deny("DenyRest", 4000),
            ],
            [.allow("AllowAh", 100, "Ah"), .allow("AllowIcmp", 110, "Icmp"), .deny("DenyRest", 4000)],
            [.deny("DenyPort", 100, "*", "8"), .allow("AllowRest", 4000)],
            [.allow("AllowFour", 100, "*", from: ["0.0.0.0/0"]), .deny("DenyRest", 4000)],
        ]
        try TestNetwork.with(Self.estate(rules)) { network in
            try network.addMachine("outside", ["203.0.113.9", "2001:db8::9"], behind: "uplink")
            try network.startDaemon()
            let wires = try Wires(network, "outside", "a", "b", "c", "d")
            wires.expect(
                passing: try Self.packets(
                    0,
                    [
                        (.esp, false, 0), (.esp, true, 0), (.icmp, false, 8), (.tcp, false, 500), (.udp, true, 500),
                        (.sctp, false, 500), (.sctp, true, 500), (.udp, false, 500),
                    ]),
                refused: try Self.packets(
                    0,
                    [
                        (.ah, false, 0), (.gre, false, 0), (.gre, true, 0), (.icmp, false, 13), (.icmpv6, true, 128),
                        (.tcp, false, 501), (.udp, true, 501), (.sctp, false, 501), (.sctp, true, 501),
                    ]), from: "outside", to: "a")
            wires.expect(
                passing: try Self.packets(1, [(.ah, false, 0), (.icmp, false, 8), (.icmp, false, 13)]),
                refused: try Self.packets(
                    1, [(.esp, false, 0), (.esp, true, 0), (.gre, false, 0), (.icmpv6, true, 128), (.udp, false, 51)]),
                from: "outside", to: "b")
            // A port under any protocol is no ICMP type.
            wires.expect(
                passing: try Self.packets(
                    2,
                    [
                        (.icmp, false, 8), (.icmpv6, true, 128), (.gre, false, 0), (.esp, true, 0), (.sctp, false, 9),
                        (.udp, true, 9),
                    ]),
                refused: try Self.packets(
                    2, [(.udp, false, 8), (.udp, true, 8), (.tcp, false, 8), (.sctp, true, 8)]), from: "outside",
                to: "c")
            wires.expect(
                passing: try Self.packets(3, [(.icmp, false, 8), (.gre, false, 0), (.udp, false, 8)]),
                refused: try Self.packets(3, [(.icmpv6, true, 128), (.gre, true, 0), (.udp, true, 8)]),
                from: "outside", to: "d")
        }
    }

    @Test("errors about an allowed flow pass rules that deny everything, either way; others do not (S4, PITFALL 4)")
    func pathErrors() throws {
        let rules: [Rule] = [
            .allow("AllowIn", 100, "Udp", "6000"), .deny("DenyIn", 4000),
            .allow("AllowOut", 100, "Udp", "7000").outbound, .deny("DenyOut", 4000).outbound,
        ]
        try TestNetwork.with(Self.estate([rules])) { network in
            let outside = try network.addMachine(
                "outside", ["203.0.113.9", "203.0.113.1", "2001:db8::9", "2001:db8::1"], behind: "uplink")
            try network.startDaemon()
            // Nobody says by himself that nobody listens.
            let mute = """
                table inet mute {
                chain output {
                type filter hook output priority 0
                icmp type destination-unreachable drop
                icmpv6 type destination-unreachable drop
                }
                }

                """
            for machine in [outside, network["a"]] { try machine.run(["nft", "-f", "-"], input: mute) }
            let wires = try Wires(network, "outside", "a")
            for (guest, far, hop) in [
                ("10.1.0.4", "203.0.113.9", "203.0.113.1"), ("fd00:1::4", "2001:db8::9", "2001:db8::1"),
            ] {
                let sent = ("sent", try RawPackets.udp(guest, 4000, far, 7000))
                wires.expect(
                    passing: [sent], refused: [("other", try RawPackets.udp(guest, 4000, far, 7001))], from: "a",
                    to: "outside")
                let tooBig = { (packet: [UInt8]) in try RawPackets.error(hop, about: packet, isTooBig: true) }
                wires.expect(
                    passing: [("too big", try tooBig(sent.1))],
                    refused: [("about nothing", try tooBig(try RawPackets.udp(guest, 4001, far, 7000)))],
                    from: "outside", to: "a")
                let came = ("came", try RawPackets.udp(far, 4002, guest, 6000))
                wires.expect(passing: [came], from: "outside", to: "a")
                let unreachable = { (packet: [UInt8]) in
                    try RawPackets.error(guest, about: packet, isTooBig: false)
                }
                wires.expect(
                    passing: [("port unreachable", try unreachable(came.1))],
                    refused: [("about nothing", try unreachable(try RawPackets.udp(far, 4003, guest, 6000)))],
                    from: "a", to: "outside")
            }
            #expect(try network.router.counter("nic/a/invalid")?.packets == 4)

            // And what this machine itself says, for a link behind it.
            try network.router.shell("ip link set uplink mtu 1280")
            let a = network["a"]
            for address in ["203.0.113.9", "2001:db8::9"] {
                _ = try a.outcomes(of: [.udp(address, 7000, size: 1400)], enough: 1, within: 0.2)
                let isLearnt = try eventually { try a.run(["ip", "route", "get", address]).contains("mtu 1280") }
                #expect(isLearnt, "\(address)")
            }
        }
    }

    @Test(
        "links live on under rules that deny everything, longer than their neighbours are remembered (S12, PITFALL 4)")
    func linksLiveOn() throws {
        let closed: [Rule] = [.deny("DenyIn", 100), .deny("DenyOut", 100).outbound]
        var estate = Self.estate([[.allow("AllowIn", 100), .deny("DenyOut", 100).outbound]])
        estate.groups["host"] = estate.groups["of-a"]
        estate.interfaces.append(
            .init(
                name: "vm", addresses: ["10.1.0.9", "fd00:1::9"], subnet: "front", group: "host", device: "nic0",
                attachment: "host"))
        try TestNetwork.with(estate) { network in
            let peer = try network.addMachine("peer", ["203.0.113.9", "2001:db8::9"], behind: "nic0")
            let (router, a) = (network.router, network["a"])
            try router.shell("ip addr add 10.1.0.9/32 dev nic0; ip addr add fd00:1::9/128 dev nic0 nodad")
            for machine in [a, router] { try machine.serve("tcp", 80) }
            try router.serve("udp", 67, 68, 69, 547, 548)
            let daemon = try network.startDaemon()
            let ends = [(router, "10.1.0.4"), (router, "fd00:1::4"), (peer, "10.1.0.9"), (peer, "fd00:1::9")]
            for (id, end) in ends.enumerated() { #expect(try end.0.connect(id, to: end.1, 80) == "open", "\(end.1)") }
            for name in ["of-a", "host"] { estate.groups[name] = closed }
            try network.write(estate)
            #expect(try daemon.reload().result == "applied")
            for machine in [router, a, peer] {
                try machine.shell(
                    "for dev in $(ls /proc/sys/net/ipv4/neigh); do ip neigh flush dev $dev; ip -6 neigh flush dev $dev; done"
                )
            }
            // Neighbours on both sides of both links have to be found again.
            for id in ends.indices { #expect(try ends[id].0.exchange(id) == "same", "\(ends[id].1)") }
            for (machine, address) in ends {
                try machine.expect(passing: [], refused: [.tcp(address, 80), .ping(address)])
            }
            try a.expect(
                passing: [.udp("169.254.1.1", 67, from: "", 68), .udp("fe80::1%eth0", 547, from: "", 546)],
                refused: [
                    .udp("169.254.1.1", 67, from: "", 69), .udp("169.254.1.1", 69, from: "", 68),
                    .udp("fe80::1%eth0", 548, from: "", 546), .udp("169.254.1.1", 68, from: "", 67),
                ])
            try peer.expect(
                passing: [.udp("169.254.1.1", 68, from: "", 67)], refused: [.udp("169.254.1.1", 67, from: "", 68)])
        }
    }

    @Test("a datagram in fragments is judged as one, whatever the stack cuts (FACTS c10)")
    func fragments() throws {
        try TestNetwork.with(Self.estate([[.allow("AllowOne", 100, "Udp", "6000"), .deny("DenyRest", 4000)]])) {
            network in
            let outside = try network.addMachine("outside", ["203.0.113.9", "2001:db8::9"], behind: "uplink")
            try network["a"].serve("udp", 6000, 6001)
            try network.startDaemon()
            let large = { (port: Int) in network["a"].addresses.map { Attempt.udp($0, port, size: 4000) } }
            try outside.expect(passing: large(6000), refused: large(6001))
            #expect(try network.router.counter("nsg/of-a/inbound/DenyRest")?.packets == 2)
        }
    }
}
