import JSONText
import TestSupport
import Testing

/// Who is asked about a packet: both ends on this host, whichever way they are attached. S3, S2.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonPathTests {
    private typealias Rule = EstateDocuments.Rule

    @Test("between two guests of one subnet its group is asked twice, outbound and inbound (S3)")
    func sameSubnet() throws {
        let rules: [Rule] = [
            .deny("DenyIn", 100, "Tcp", "82"), .deny("DenyOut", 100, "Tcp", "81").outbound,
        ]
        try TestNetwork.with(.guests("a", "b", rules: rules)) { network in
            for name in ["a", "b"] { try network[name].serve("tcp", 80, 81, 82) }
            try network.startDaemon()
            for (from, to) in [("a", "b"), ("b", "a")] {
                let attempts = { (port: Int) in network[to].addresses.map { Attempt.tcp($0, port) } }
                try network[from].expect(passing: attempts(80), refused: attempts(81) + attempts(82))
            }
            let address = network["b"].address
            try network.expectDecisions(
                to: address, 80,
                [
                    "a Outbound Allow: subnet/AllowVnetOutBound Allow",
                    "b Inbound Allow: subnet/AllowVnetInBound Allow",
                ])
            try network.expectDecisions(to: address, 81, ["a Outbound Deny: subnet/DenyOut Deny"])
            try network.expectDecisions(
                to: "fd00:1::5", 82,
                ["a Outbound Allow: subnet/AllowVnetOutBound Allow", "b Inbound Deny: subnet/DenyIn Deny"])
        }
    }

    @Test("a path through a host's interface and on to a guest meets the rules of both, either way (S3, C3)")
    func hostAndGuest() throws {
        var estate = EstateDocuments()
        estate.groups = [
            "host": [
                .allow("AllowIn", 100, "Tcp", "80-81"), .deny("DenyIn", 4000),
                .deny("DenyOut", 100, "Udp", "54").outbound, .deny("DenyMoreOut", 110, "Udp", "56-57").outbound,
                .allow("AllowOut", 200).outbound,
            ],
            "guest": [
                .deny("DenyGuestIn", 100, "Tcp", "81"), .deny("DenyMore", 110, "Tcp", "83-84"),
                .allow("AllowGuestIn", 200),
                .deny("DenyGuestOut", 100, "Udp", "55").outbound, .deny("DenyMoreOut", 110, "Udp", "56-57").outbound,
                .allow("AllowGuestOut", 200).outbound,
            ],
        ]
        estate.adminRules = [
            .allow("Allow", 100, "Tcp", "84"), .allow("AllowOut", 101, "Udp", "57").outbound,
            Self.always("Always", 110, "Tcp", "83"), Self.always("AlwaysOut", 111, "Udp", "56").outbound,
            .deny("DenyAdmin", 120, "Tcp", "85"),
        ]
        estate.subnets = ["front": (0, nil)]
        estate.interfaces = [
            .init(
                name: "vm", addresses: ["10.1.0.4", "fd00:1::4"], subnet: "front", group: "host", device: "nic0",
                attachment: "host"),
            .init(name: "g", addresses: ["10.1.0.5", "fd00:1::5"], subnet: "front", group: "guest", device: "vg"),
        ]
        try TestNetwork.with(estate) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9", "2001:db8::9"], behind: "nic0")
            let (router, g) = (network.router, network["g"])
            try router.shell("ip addr add 10.1.0.4/32 dev nic0; ip addr add fd00:1::4/128 dev nic0 nodad")
            try g.serve("tcp", 80, 81, 82, 83, 84, 85)
            try outside.serve("udp", 53, 54, 55, 56, 57)
            try network.startDaemon()
            let tcp = { (ports: [Int]) in ports.flatMap { port in g.addresses.map { Attempt.tcp($0, port) } } }
            let udp = { (ports: [Int]) in ports.flatMap { port in outside.addresses.map { Attempt.udp($0, port) } } }
            // Of the admin rules AlwaysAllow leads past the groups of both, each in its place.
            try outside.expect(passing: tcp([80, 83]), refused: tcp([81, 82, 84, 85]))
            try g.expect(passing: udp([53, 56]), refused: udp([54, 55, 57]))
            // From the host itself only the guest's rules are asked.
            try router.expect(
                passing: [.tcp("10.1.0.5", 82), .tcp("10.1.0.5", 83)],
                refused: [.tcp("10.1.0.5", 81), .tcp("10.1.0.5", 84), .tcp("10.1.0.5", 85)])
            for (rule, least) in [
                ("guest/inbound/DenyGuestIn", 3), ("guest/outbound/DenyGuestOut", 2), ("host/inbound/DenyIn", 2),
                ("host/outbound/DenyOut", 2),
            ] {
                #expect((try router.counter("nsg/\(rule)")?.packets ?? 0) >= least, "\(rule)")
            }
            try network.expectDecisions(
                to: "10.1.0.5", 80,
                [
                    "vm Inbound Allow: admin/ Allow, nic/AllowIn Allow",
                    "g Inbound Allow: admin/ Allow, nic/AllowGuestIn Allow",
                ])
            try network.expectDecisions(
                to: "10.1.0.5", 83,
                ["vm Inbound Allow: admin/Always AlwaysAllow", "g Inbound Allow: admin/Always AlwaysAllow"])
            try network.expectDecisions(
                to: "2001:db8::9", 53,
                [
                    "g Outbound Allow: admin/ Allow, nic/AllowGuestOut Allow",
                    "vm Outbound Allow: admin/ Allow, nic/AllowOut Allow",
                ])
        }
    }

    /// Both ways between a and b lead through r, 10.1.0.7 and fd00:1::7, which forwards.
    private func withRouter(_ rules: [Rule], _ body: (TestNetwork) throws -> Void) throws {
        var estate = EstateDocuments()
        let everything = [Rule.allow("AllowIn", 4000), .allow("AllowOut", 4000).outbound]
        estate.groups = ["open": everything, "of-b": rules + everything]
        estate.subnets = ["front": (0, nil)]
        for (name, host) in [("a", 4), ("b", 5), ("r", 7)] {
            estate.interfaces.append(
                .init(
                    name: name, addresses: ["10.1.0.\(host)", "fd00:1::\(host)"], subnet: "front",
                    group: name == "b" ? "of-b" : "open", device: "v\(name)",
                    properties: [("enableIPForwarding", JSONValue(name == "r"))]))
        }
        try TestNetwork.with(estate) { network in
            try network.router.shell(
                """
                ip rule add iif va to 10.1.0.5 lookup 100; ip rule add iif vb to 10.1.0.4 lookup 100
                ip route add default via 10.1.0.7 dev vr onlink table 100
                ip -6 rule add iif va to fd00:1::5 lookup 100; ip -6 rule add iif vb to fd00:1::4 lookup 100
                ip -6 route add default via fd00:1::7 dev vr onlink table 100
                """)
            try network["r"].shell(
                """
                sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 \
                    net.ipv4.conf.eth0.send_redirects=0
                """)
            try body(network)
        }
    }

    /// How often a connection was allowed, on its first pass and on later ones.
    private func allowed(in router: TestMachine) throws -> [Int] {
        let counters = try router.counters()
        return ["decisions/allowed", "decisions/allowed-again"].map { counters[$0]?.packets ?? -1 }
    }

    @Test(
        "an answer that the machine in between forges does not lead what it sends on past the rules (S3, KERNEL 4)",
        arguments: [("10.1.0.4", "10.1.0.5"), ("fd00:1::4", "fd00:1::5")])
    func forgedAnswer(a: String, b: String) throws {
        let rules: [Rule] = [.deny("DenyTcp", 100, "Tcp", "7002"), .deny("DenyUdp", 110, "Udp", "7002")]
        try withRouter(rules) { network in
            // What is sent on, and what answers, are the test's own packets.
            try network["r"].shell("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
            try network["a"].shell(
                "nft 'table inet quiet { chain own { type filter hook output priority 0; tcp flags rst drop; }; }'")
            try network.startDaemon()
            let wires = try Wires(network, "a", "b", "r")
            let marker = { (port: UInt16) in ("marker", try RawPackets.udp(a, port, b, 7000)) }
            let syn: UInt8 = 0x02, synAck: UInt8 = 0x12, ack: UInt8 = 0x10
            let tcp = { (port: UInt16, flags: UInt8, number: UInt32, back: UInt32) in
                try RawPackets.tcp(a, 4000, b, port, flags: flags, sequence: number, acknowledgement: back)
            }
            let ports: [UInt16] = [7001, 7002]
            let firsts = try ports.flatMap {
                [("UDP \($0)", try RawPackets.udp(a, 4000, b, $0)), ("TCP \($0)", try tcp($0, syn, 100, 0))]
            }
            wires.expect(passing: firsts, from: "a", to: "r")
            let answers = try ports.flatMap {
                [
                    ("UDP answer \($0)", try RawPackets.udp(b, $0, a, 4000)),
                    (
                        "TCP answer \($0)",
                        try RawPackets.tcp(b, $0, a, 4000, flags: synAck, sequence: 500, acknowledgement: 101)
                    ),
                ]
            }
            wires.expect(passing: answers, from: "r", to: "a")
            #expect(try allowed(in: network.router) == [4, 0])

            // Now they are established. What b allows passes, asked for once; what b denies is refused each time.
            let later = try ports.map { ("TCP \($0), acknowledged", try tcp($0, ack, 101, 501)) }
            for round in 0..<2 {
                wires.expect(
                    passing: [firsts[0], firsts[1], later[0], try marker(4100 + UInt16(round))],
                    refused: [firsts[2], firsts[3], later[1]], from: "r", to: "b")
                #expect(try allowed(in: network.router) == [5 + round, 2])
            }
            let counters = try network.router.counters()
            #expect(counters["nsg/of-b/inbound/DenyUdp"]?.packets == 2)
            #expect(counters["nsg/of-b/inbound/DenyTcp"]?.packets == 4)
            try network.expectDecisions(
                to: b, 7002,
                [
                    "a Outbound Allow: nic/AllowOut Allow", "r Inbound Allow: nic/AllowIn Allow",
                    "r Outbound Allow: nic/AllowOut Allow", "b Inbound Deny: nic/DenyTcp Deny",
                    "b Inbound Deny: nic/DenyUdp Deny",
                ])
        }
    }

    @Test("a connection through a machine that routes is judged once a pass, one to it once (S3, S4, KERNEL 4)")
    func judgedOnceAPass() throws {
        try withRouter([.deny("DenyIn", 100, "*", "7002")]) { network in
            let router = network.router
            for name in ["b", "r"] {
                try network[name].serve("tcp", 7000, 7002)
                try network[name].serve("udp", 7000)
            }
            try network.startDaemon()
            let exchanges = { (address: String) in
                #expect(try network["a"].connect(to: address, 7000) == "open")
                for _ in 0..<5 { #expect(try network["a"].exchange() == "same") }
                try network["a"].disconnect()
                for _ in 0..<5 {
                    #expect(try network["a"].isAnswered(address, 7000, from: 4000, expecting: true))
                }
            }
            // Through it, TCP and UDP; to it.
            for (index, address) in ["10.1.0.5", "fd00:1::5"].enumerated() {
                try exchanges(address)
                #expect(try allowed(in: router) == [2 * (index + 1), 2 * (index + 1)], "\(address)")
            }
            for (index, address) in ["10.1.0.7", "fd00:1::7"].enumerated() {
                try exchanges(address)
                #expect(try allowed(in: router) == [4 + 2 * (index + 1), 4], "\(address)")
            }
            try network["a"].expect(passing: [], refused: [.tcp("10.1.0.5", 7002), .tcp("fd00:1::5", 7002)])

            // Where it translates addresses no pass of the connection leads to its destination.
            try network["r"].shell(
                "nft 'table inet own { chain out { type nat hook postrouting priority 100; masquerade; }; }'")
            let before = try allowed(in: router)
            #expect(try network["a"].connect(to: "10.1.0.5", 7000) == "open")
            for _ in 0..<5 { #expect(try network["a"].exchange() == "same") }
            #expect(try allowed(in: router) == [before[0] + 2, before[1]])
        }
    }

    private static func always(_ name: String, _ priority: Int, _ transport: String, _ port: String) -> Rule {
        Rule(name: name, priority: priority, access: "AlwaysAllow", transport: transport, port: port)
    }
}
