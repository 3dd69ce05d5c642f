import JSONText
import NetworkTypes
import PacketLog
import TestSupport
import Testing

/// Rules see private addresses whatever other tables translate: behind destination NAT, before source NAT, of a pool
/// the client and the backend. S7, S15, KERNEL 1.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonTranslationTests {
    private typealias Rule = EstateDocuments.Rule

    /// Backends `b1` and `b2`, and a guest `c` with two addresses a family.
    private static let estate: EstateDocuments = {
        var estate = EstateDocuments()
        estate.groups = [
            "back": [
                .deny("DenyPublic", 100, "Tcp", "22", to: ["198.51.100.10"]),
                .deny("DenyPublic6", 101, "Tcp", "22", to: ["2001:db8:f::10"]),
                .deny("DenyFrontendPort", 102, "Tcp", "80"),
                .allow("AllowClient", 110, "Tcp", "8080", from: ["203.0.113.9"], to: ["10.1.0.4", "10.1.0.5"]),
                .allow("AllowClient6", 111, "Tcp", "8080", from: ["2001:db8::9"], to: ["fd00:1::4", "fd00:1::5"]),
                .allow("AllowSsh", 120, "Tcp", "22", to: ["10.1.0.4"]),
                .allow("AllowSsh6", 121, "Tcp", "22", to: ["fd00:1::4"]),
                .deny("DenyRest", 4000),
            ],
            "out": [
                .allow("AllowOne", 100, "Tcp", "443", from: ["10.1.0.6"]).outbound,
                .allow("AllowOne6", 101, "Tcp", "443", from: ["fd00:1::6"]).outbound,
                .deny("DenyRest", 4000).outbound,
            ],
        ]
        estate.subnets = ["front": (0, nil)]
        estate.interfaces = [
            .init(name: "b1", addresses: ["10.1.0.4", "fd00:1::4"], subnet: "front", group: "back", device: "vb1"),
            .init(name: "b2", addresses: ["10.1.0.5", "fd00:1::5"], subnet: "front", group: "back", device: "vb2"),
            .init(
                name: "c", addresses: ["10.1.0.6", "10.1.0.7", "fd00:1::6", "fd00:1::7"], subnet: "front", group: "out",
                device: "vc"),
        ]
        return estate
    }()

    /// A frontend, 198.51.100.10 and 2001:db8:f::10, that leads to the backends, and masquerade towards `uplink`.
    private static let translation = {
        let pool = { (port: Int, backend: Int) in
            """
            ip daddr 198.51.100.10 tcp dport \(port) dnat ip to numgen inc mod 2 map { 0 : 10.1.0.4, 1 : 10.1.0.5 } : \(backend)
            ip6 daddr 2001:db8:f::10 tcp dport \(port) dnat ip6 to numgen inc mod 2 map { 0 : fd00:1::4, 1 : fd00:1::5 } : \(backend)

            """
        }
        let forwarded = { (port: Int, backend: Int) in
            """
            ip daddr 198.51.100.10 tcp dport \(port) dnat ip to 10.1.0.4:\(backend)
            ip6 daddr 2001:db8:f::10 tcp dport \(port) dnat ip6 to [fd00:1::4]:\(backend)

            """
        }
        let all = pool(80, 8080) + pool(81, 8081) + pool(8080, 80) + forwarded(2222, 22) + forwarded(2223, 23)
        return """
            table inet lab {
            chain prerouting {
            type nat hook prerouting priority -100
            \(all)
            }
            chain output {
            type nat hook output priority -100
            \(all)
            }
            chain postrouting {
            type nat hook postrouting priority 100
            oifname uplink ip saddr 10.1.0.0/16 masquerade
            oifname uplink ip6 saddr fd00:1::/48 masquerade
            }
            }

            """
    }()

    @Test("destination NAT, load balancing and masquerade of another table (S7, S15, KERNEL 1)")
    func translations() throws {
        try TestNetwork.with(Self.estate) { network in
            let outside = try network.addMachine(
                "outside", ["203.0.113.9", "203.0.113.10", "2001:db8::9", "2001:db8::a"], behind: "uplink")
            let router = network.router
            try router.shell(
                """
                ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8:1::1/128 dev lo
                ip route add 198.51.100.10 dev uplink src 192.0.2.1
                ip route add 2001:db8:f::10 dev uplink src 2001:db8:1::1
                """)
            try router.run(["nft", "-f", "-"], input: Self.translation)
            for name in ["b1", "b2"] { try network[name].serve("tcp", 22, 23, 80, 8080, 8081) }
            try outside.serve("tcp", 443)
            try network.startDaemon()

            let (four, six) = ("198.51.100.10", "2001:db8:f::10")
            // The pool's port is the backends'; other clients, and ports that only the frontend has, are refused.
            try outside.expect(
                passing: (0..<4).flatMap { _ in
                    [Attempt.tcp(four, 80, from: "203.0.113.9"), .tcp(six, 80, from: "2001:db8::9")]
                } + [.tcp(four, 2222), .tcp(six, 2222)],
                refused: (0..<2).flatMap { _ in
                    [Attempt.tcp(four, 80, from: "203.0.113.10"), .tcp(six, 80, from: "2001:db8::a")]
                } + [
                    .tcp(four, 81), .tcp(six, 81), .tcp(four, 8080), .tcp(six, 8080), .tcp(four, 2223),
                    .tcp(six, 2223),
                ])
            for (backend, address) in [
                ("b1", "10.1.0.4"), ("b2", "10.1.0.5"), ("b1", "fd00:1::4"), ("b2", "fd00:1::5"),
            ] {
                let rule = address.contains(":") ? "AllowClient6" : "AllowClient"
                try network.expectDecisions(
                    to: address, 8080,
                    ["\(backend) Inbound Allow: nic/\(rule) Allow", "\(backend) Inbound Deny: nic/DenyRest Deny"])
            }
            // KERNEL 1: `output` saw the uplink as these packets' device.
            try router.expect(
                passing: [.tcp(four, 2222), .tcp(six, 2222)],
                refused: [.tcp(four, 2223), .tcp(six, 2223), .tcp(four, 80), .tcp(six, 80)])

            let wires = try Wires(network, "outside")
            try network["c"].expect(
                passing: [
                    .tcp("203.0.113.9", 443, from: "10.1.0.6"), .tcp("2001:db8::9", 443, from: "fd00:1::6"),
                ],
                refused: [
                    .tcp("203.0.113.9", 443, from: "10.1.0.7"), .tcp("2001:db8::9", 443, from: "fd00:1::7"),
                ])
            let sources = Set(
                wires.received(by: "outside").compactMap { PacketHeader($0[...]) }.filter { $0.destinationPort == 443 }
                    .map(\.source.description))
            #expect(sources == ["169.254.1.1", "2001:db8:1::1"])
            try network.expectDecisions(
                to: "203.0.113.9", 443,
                ["c Outbound Allow: nic/AllowOne Allow", "c Outbound Deny: nic/DenyRest Deny"])
            let counters = try router.counters()
            for rule in ["DenyPublic", "DenyPublic6"] {
                #expect(counters["nsg/back/inbound/\(rule)"]?.packets == 0, "\(rule)")
            }
            #expect((counters["nsg/back/inbound/DenyFrontendPort"]?.packets ?? 0) >= 2)
        }
    }
}
