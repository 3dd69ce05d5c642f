import JSONText
import NetworkTypes
import PacketLog
import TestSupport
import Testing

/// Guests that keep to their addresses, and those that route. S13, KERNEL 4, KERNEL 8.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonAddressGuardTests {
    private typealias Rule = EstateDocuments.Rule
    private static let everything = [Rule.allow("AllowIn", 4000), Rule.allow("AllowOut", 4000).outbound]

    /// `routers` have `enableIPForwarding`.
    private static func estate(_ names: [String], routers: Set<String>, rules: [String: [Rule]] = [:])
        -> EstateDocuments
    {
        var estate = EstateDocuments()
        estate.subnets = ["front": (0, nil)]
        for (index, name) in names.enumerated() {
            estate.groups["of-\(name)"] = (rules[name] ?? []) + everything
            estate.interfaces.append(
                .init(
                    name: name, addresses: ["10.1.0.\(4 + index)", "fd00:1::\(4 + index)"], subnet: "front",
                    group: "of-\(name)", device: "v\(name)",
                    properties: [("enableIPForwarding", JSONValue(routers.contains(name)))]))
        }
        return estate
    }

    private typealias Packet = (name: String, bytes: [UInt8])

    /// The same UDP packet between machines of both families.
    private static func pair(
        _ name: String, _ four: (String, String), _ six: (String, String), _ source: UInt16, _ destination: UInt16
    ) throws -> [Packet] {
        [
            (name, try RawPackets.udp(four.0, source, four.1, destination)),
            (name + ", IPv6", try RawPackets.udp(six.0, source, six.1, destination)),
        ]
    }

    @Test(
        "a guest neither sends with a foreign source nor receives for a foreign destination; one that routes does both")
    func foreignAddresses() throws {
        try TestNetwork.with(Self.estate(["a", "b", "r"], routers: ["r"])) { network in
            let far = try network.addMachine("far", ["203.0.113.9", "2001:db8::9"], behind: "uplink")
            let router = network.router
            // What is for these goes to a guest whose it is not.
            try router.shell(
                """
                ip route add 192.0.2.78/32 via 10.1.0.4 dev va onlink; ip route add 192.0.2.77/32 via 10.1.0.6 dev vr onlink
                ip -6 route add fd00:7::78 via fd00:1::4 dev va onlink; ip -6 route add fd00:7::77 via fd00:1::6 dev vr onlink
                """)
            try far.serve("udp", 5000)
            let daemon = try network.startDaemon()
            // Flows of b, into which others will speak.
            for address in far.addresses {
                #expect(try network["b"].isAnswered(address, 5000, from: 4000, expecting: true))
            }
            let wires = try Wires(network, "a", "b", "r", "far")
            let (b4, b6) = ("10.1.0.5", "fd00:1::5")
            let own = try Self.pair("own", ("10.1.0.4", far.address), ("fd00:1::4", "2001:db8::9"), 4100, 5001)
            let forged =
                try Self.pair("new flow as b", (b4, far.address), (b6, "2001:db8::9"), 4101, 5001)
                + Self.pair("into a flow of b", (b4, far.address), (b6, "2001:db8::9"), 4000, 5000)
                + Self.pair("as nobody", ("10.1.0.99", far.address), ("fd00:1::99", "2001:db8::9"), 4102, 5001)
            wires.expect(passing: own, refused: forged, from: "a", to: "far")
            let answers = try Self.pair("answer to b", (far.address, b4), ("2001:db8::9", b6), 5000, 4000)
            let toB = try Self.pair("own", ("10.1.0.4", b4), ("fd00:1::4", b6), 4103, 5001)
            wires.expect(passing: toB, refused: answers, from: "a", to: "b")
            #expect(try router.counter("nic/a/foreign/outbound")?.packets == forged.count + answers.count)
            // The same from a guest that routes arrives.
            wires.expect(passing: forged, from: "r", to: "far")
            wires.expect(passing: answers, from: "r", to: "b")

            let (toA, toR) = (
                try Self.pair("for a foreign", (far.address, "192.0.2.78"), ("2001:db8::9", "fd00:7::78"), 4104, 5001),
                try Self.pair("for a foreign", (far.address, "192.0.2.77"), ("2001:db8::9", "fd00:7::77"), 4104, 5001)
            )
            let ownA = try Self.pair("own", (far.address, "10.1.0.4"), ("2001:db8::9", "fd00:1::4"), 4105, 5001)
            wires.expect(passing: ownA, refused: toA, from: "far", to: "a")
            wires.expect(passing: toR, from: "far", to: "r")
            // What this machine itself sends, too.
            try router.expect(passing: [], refused: [.udp("192.0.2.78", 5001), .udp("fd00:7::78", 5001)])
            #expect(try router.counter("nic/a/foreign/inbound")?.packets == toA.count + 2)
            #expect(try router.counter("nic/r/foreign/outbound") == nil)

            // Where all route nobody is held to anything; then a is again, but for flows that were allowed (S5).
            for (routers, port) in [(["a", "b", "r"], 4200), (["r"], 4201)] as [(Set<String>, UInt16)] {
                try network.write(Self.estate(["a", "b", "r"], routers: routers))
                #expect(try daemon.reload().result == "applied")
                let isHeld = !routers.contains("a")
                let later = try Self.pair(
                    "for a foreign", (far.address, "192.0.2.78"), ("2001:db8::9", "fd00:7::78"), port, 5001)
                wires.expect(passing: own + (isHeld ? [] : forged), refused: isHeld ? forged : [], from: "a", to: "far")
                wires.expect(passing: ownA + (isHeld ? [] : later), refused: isHeld ? later : [], from: "far", to: "a")
            }
        }
    }

    @Test("what a guest sends before it has an address, and to keep its link alive, passes (S13, S12)")
    func linkTraffic() throws {
        try TestNetwork.with(Self.estate(["a"], routers: [])) { network in
            let router = network.router
            try network.startDaemon()
            let wires = try Wires(network, "a")
            // A link-local address and a port by which packets are told from those of the machine's stack.
            let linkLocal = "fe80::5:5"
            let solicited = { (target: [UInt8]) in [UInt8](repeating: 0, count: 4) + target }
            let gateway: [UInt8] = [0xfe, 0x80] + Array(repeating: 0, count: 13) + [1]
            let group: [UInt8] = [0, 0, 0, 0, 0xff, 2] + Array(repeating: 0, count: 13) + [9]
            let cases: [(name: String, match: String, packet: [UInt8], passes: Bool)] = try [
                (
                    "dhcp", "ip saddr 0.0.0.0 udp sport 68 udp dport 67",
                    RawPackets.udp("0.0.0.0", 68, "255.255.255.255", 67), true
                ),
                (
                    "zero", "ip saddr 0.0.0.0 udp dport 69", RawPackets.udp("0.0.0.0", 68, "255.255.255.255", 69),
                    false
                ),
                (
                    "dad", "ip6 saddr :: icmpv6 type nd-neighbor-solicit",
                    RawPackets.icmpv6("::", "ff02::1:ff00:1", type: 135, solicited(gateway)), true
                ),
                (
                    "solicit", "ip6 saddr \(linkLocal) icmpv6 type nd-neighbor-solicit",
                    RawPackets.icmpv6(linkLocal, "ff02::1:ff00:1", type: 135, solicited(gateway)), true
                ),
                (
                    "listener", "ip6 saddr \(linkLocal) icmpv6 type mld-listener-done",
                    RawPackets.icmpv6(linkLocal, "ff02::2", type: 132, group), true
                ),
                (
                    "nothing6", "ip6 saddr :: icmpv6 type echo-request",
                    RawPackets.icmpv6("::", "ff02::1", type: 128, [0, 1, 0, 1]), false
                ),
                (
                    "dhcp6", "ip6 saddr \(linkLocal) udp dport 547", RawPackets.udp(linkLocal, 546, "fe80::1", 547),
                    true
                ),
                (
                    "local6", "ip6 saddr \(linkLocal) udp dport 548", RawPackets.udp(linkLocal, 546, "fe80::1", 548),
                    false
                ),
                (
                    "ping6", "ip6 saddr \(linkLocal) icmpv6 type echo-request",
                    RawPackets.icmpv6(linkLocal, "fe80::1", type: 128, [0, 1, 0, 1]), false
                ),
                ("leave", "ip saddr 0.0.0.0 meta l4proto igmp", Self.leave("0.0.0.0"), true),
                ("last", "ip saddr 10.1.0.4 udp dport 70", RawPackets.udp("10.1.0.4", 68, "169.254.1.1", 70), true),
            ]
            try router.run(
                ["nft", "-f", "-"],
                input: """
                    table inet seen {
                    \(cases.map { "counter \($0.name) { }" }.joined(separator: "\n"))
                    chain input {
                    type filter hook input priority 300
                    \(cases.map { "iifname va \($0.match) counter name \($0.name)" }.joined(separator: "\n"))
                    }
                    }

                    """)
            for packet in cases.map(\.packet) { wires.send(packet, from: "a") }
            let haveCome = try eventually { try router.counter("last", table: "seen")?.packets == 1 }
            let seen = try router.counters(table: "seen")
            for (name, _, _, passes) in cases {
                #expect(seen[name]?.packets == (passes ? 1 : 0), "\(name)")
            }
            #expect(haveCome)
            try offers(from: router, to: "a", wires)
            let refused = cases.filter { !$0.passes }.count
            #expect((try router.counter("nic/a/foreign/outbound")?.packets ?? 0) >= refused)
        }
    }

    @Test("a guest that announces itself as router is not heard, and its link goes on working (S12, KERNEL 9)")
    func routerAdvertisement() throws {
        try TestNetwork.with(Self.estate(["a", "r"], routers: ["r"])) { network in
            let far = try network.addMachine("far", ["203.0.113.9", "2001:db8::9"], behind: "uplink")
            let router = network.router
            // This machine forwards; with 2 it listens to routers nevertheless.
            try router.shell("sysctl -qw net.ipv6.conf.va.accept_ra=2 net.ipv6.conf.vr.accept_ra=2")
            let wires = try Wires(network, "a", "r")
            // A hop limit of 64, a lifetime of half an hour, no other times, and the option with the link address.
            let body: [UInt8] = [64, 0, 7, 8] + Array(repeating: 0, count: 8) + [1, 1, 2, 0, 0, 0, 0, 1]
            let announce = { (guest: String) in
                for target in ["ff02::1", "fe80::1"] {
                    wires.send(try RawPackets.icmpv6("fe80::5:5", target, type: 134, body), from: guest)
                }
            }
            let learnt = { try router.run(["ip", "-6", "route", "show", "proto", "ra"]) }

            // Without the daemon the same packets make each guest a way out of this machine.
            for guest in ["a", "r"] {
                try announce(guest)
                let isHeard = try eventually { try learnt().contains("default via fe80::5:5 dev v\(guest)") }
                #expect(isHeard, "\(guest)")
            }
            try router.run(["ip", "-6", "route", "flush", "proto", "ra"])
            #expect(try learnt().isEmpty)

            try network.startDaemon()
            // The link-local source is none of the addresses that a is held to.
            for (guest, counter) in [("a", "nic/a/foreign/outbound"), ("r", "dropped/router-advertisements")] {
                try announce(guest)
                let isCounted = try eventually { try router.counter(counter)?.packets == 2 }
                #expect(isCounted, "\(guest)")
                // Neither end knows the other's link address.
                try router.shell("ip -6 neigh flush dev v\(guest)")
                try network[guest].shell("ip -6 neigh flush dev eth0")
                #expect(network[guest].pings(far.addresses[1], expecting: true), "\(guest)")
            }
            let heard = try learnt()
            #expect(heard.isEmpty, "\(heard)")
        }
    }

    /// What a server and a router say to all on the link comes through; other broadcasts do not.
    private func offers(from router: TestMachine, to guest: String, _ wires: Wires) throws {
        _ = wires.received(by: guest)
        try router.run([
            "/usr/bin/python3", "-ISuc",
            """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"v\(guest)")
            s.bind(("", 67))
            for port in (69, 68):
                try: s.sendto(b"offer", ("255.255.255.255", port))
                except PermissionError: pass
            s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            s.sendto(bytes([134, 0, 0, 0]) + bytes(12), ("ff02::1", 0, 0, socket.if_nametoindex("v\(guest)")))
            """,
        ])
        var came: [PacketHeader] = []
        let haveCome = eventually {
            came += wires.received(by: guest).compactMap { PacketHeader($0[...]) }
            return came.contains { $0.icmpType == 134 } && came.contains { $0.destinationPort == 68 }
        }
        #expect(haveCome && !came.contains { $0.destinationPort == 69 }, "\(came)")
    }

    /// A leave message for 224.0.0.9, with the option Router Alert.
    private static func leave(_ source: String) throws -> [UInt8] {
        var message: [UInt8] = [0x17, 0, 0, 0, 224, 0, 0, 9]
        let sum = PacketFrame.checksum(message)
        message.replaceSubrange(2..<4, with: [UInt8(sum >> 8), UInt8(sum & 0xff)])
        return PacketFrame.packet(
            try RawPackets.address(source), try RawPackets.address("224.0.0.1"), 2, message, options: [148, 4, 0, 0])
    }

    @Test("through an appliance a packet is judged twice, and no forged answer opens the second pass (KERNEL 4)")
    func appliance() throws {
        let rules: [String: [Rule]] = [
            "a": [.deny("DenyA", 100, "Udp", "7004").outbound],
            "r": [
                .deny("DenyEntry", 100, "Udp", "7003"), .deny("DenyExit", 100, "Udp", "7001").outbound,
                .deny("DenyAlways", 110, "Udp", "7007").outbound,
            ],
            "b": [
                .deny("DenyB", 100, "Udp", "7002"), .deny("DenyAlways", 110, "Udp", "7006"),
                .deny("DenyOther", 120, "Udp", "7008"),
            ],
        ]
        var estate = Self.estate(["a", "b", "c", "r"], routers: ["r"], rules: rules)
        estate.adminRules = [
            .deny("DenyAdmin", 100, "Udp", "7005"), Self.always(.allow("AlwaysIn", 110, "Udp", "7006")),
            Self.always(.allow("AlwaysOut", 120, "Udp", "7007-7008").outbound),
        ]
        try TestNetwork.with(estate) { network in
            let router = network.router
            // Both ways through r, 10.1.0.7.
            try router.shell(
                """
                for way in "va 10.1.0.5" "vb 10.1.0.4"; do
                    set -- $way
                    ip rule add iif $1 to $2 lookup 100
                done
                ip route add default via 10.1.0.7 dev vr onlink table 100
                for way in "va fd00:1::5" "vb fd00:1::4"; do
                    set -- $way
                    ip -6 rule add iif $1 to $2 lookup 100
                done
                ip -6 route add default via fd00:1::7 dev vr onlink table 100
                """)
            let appliance = network["r"]
            try appliance.shell(
                """
                sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 \
                    net.ipv4.conf.eth0.send_redirects=0
                """)
            try network.startDaemon()
            let wires = try Wires(network, "a", "b", "c", "r")
            let four = ("10.1.0.4", "10.1.0.5"), six = ("fd00:1::4", "fd00:1::5")
            let packets = { (ports: [UInt16]) in try ports.flatMap { try Self.pair("to \($0)", four, six, 4000, $0) } }
            let marker = try packets([7000])
            // Of admin rules AlwaysAllow leads past the groups of the interface that is asked, on either pass.
            wires.expect(
                passing: try packets([7006, 7007]) + marker,
                refused: try packets([7001, 7002, 7003, 7004, 7005, 7008]),
                from: "a", to: "b")
            #expect(Self.ports(wires.received(by: "r")).contains(7000), "the way did not lead through r")
            let counters = try router.counters()
            for rule in [
                "nsg/of-a/outbound/DenyA", "nsg/of-r/inbound/DenyEntry", "nsg/of-r/outbound/DenyExit",
                "nsg/of-b/inbound/DenyB", "nsg/of-b/inbound/DenyOther", "admin/baseline/inbound/DenyAdmin",
            ] {
                #expect(counters[rule]?.packets == 2, "\(rule): \(counters[rule]?.packets ?? -1)")
            }

            // c speaks as b, and is stopped; r may speak as b, which opens nothing either, as the pass was refused.
            let answers = { (port: UInt16) in
                try Self.pair("as b", (four.1, four.0), (six.1, six.0), 7002, port)
            }
            let fromC = try Self.pair("own", ("10.1.0.6", four.0), ("fd00:1::6", six.0), 4200, 7000)
            let again = try Self.pair("to 7002 again", four, six, 4000, 7002)
            wires.expect(passing: fromC, refused: try answers(4000), from: "c", to: "a")
            #expect(try router.counter("nic/c/foreign/outbound")?.packets == 2)
            for (_, answer) in try answers(4000) { wires.send(answer, from: "r") }
            wires.expect(passing: marker, refused: again, from: "a", to: "b")

            // An answer between both passes, before the second was refused.
            try appliance.shell("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
            _ = wires.received(by: "r")
            let held = try Self.pair("held", four, six, 4001, 7002)
            for (_, packet) in held { wires.send(packet, from: "a") }
            var reached: [UInt16] = []
            let isHeld = eventually {
                reached += Self.ports(wires.received(by: "r"))
                return reached.filter { $0 == 7002 }.count == held.count
            }
            #expect(isHeld)
            wires.expect(passing: fromC, refused: try answers(4001), from: "c", to: "a")
            wires.expect(
                passing: try Self.pair("to 7000", four, six, 4001, 7000), refused: held, from: "r", to: "b")
        }
    }

    private static func always(_ rule: Rule) -> Rule {
        var rule = rule
        rule.access = "AlwaysAllow"
        return rule
    }

    private static func ports(_ packets: [[UInt8]]) -> [UInt16] {
        packets.compactMap { PacketHeader($0[...])?.destinationPort }
    }
}
