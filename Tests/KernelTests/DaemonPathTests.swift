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

    private static func always(_ name: String, _ priority: Int, _ transport: String, _ port: String) -> Rule {
        Rule(name: name, priority: priority, access: "AlwaysAllow", transport: transport, port: port)
    }
}
