import JSONText
import TestSupport
import Testing

/// Application security groups: addresses of members, on members. S11.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonMembershipTests {
    private typealias Rule = EstateDocuments.Rule

    /// `w` has two addresses a family, the first in `web`; `d` is in `db`, `x` in what is given, `u` is bound nowhere.
    private static func estate(x memberships: [String] = [], w: [String] = ["web"]) -> EstateDocuments {
        var estate = EstateDocuments()
        estate.groups = [
            "tiers": [
                Rule.allow("AllowStream", 100, "Udp", "9000-9009"), Rule.deny("DenyStream", 110, "Udp", "7000-7009"),
                Rule.allow("AllowWeb", 120, "Tcp", "80").to(groups: "web"),
                Rule.allow("AllowSql", 125, "Tcp", "5432").from(groups: "web").to(groups: "db"),
                Rule.allow("AllowEmpty", 130, "Tcp", "81").to(groups: "empty"),
                Rule.allow("AllowFromEmpty", 140, "Tcp", "82").from(groups: "empty"), Rule.deny("DenyRest", 4000),
                Rule.deny("DenyWebOut", 100, "Udp", "9").from(groups: "web").outbound,
                Rule.deny("DenyEmptyOut", 110, "Udp", "10").from(groups: "empty").outbound,
            ]
        ]
        estate.subnets = ["front": (0, "tiers")]
        estate.interfaces = [
            .init(
                name: "w", addresses: ["10.1.0.10", "10.1.0.11", "fd00:1::10", "fd00:1::11"], subnet: "front",
                device: "vw", memberships: [0: w, 2: w]),
            .init(
                name: "d", addresses: ["10.1.0.12", "fd00:1::12"], subnet: "front", device: "vd",
                memberships: [0: ["db"], 1: ["db"]]),
            .init(
                name: "x", addresses: ["10.1.0.13", "fd00:1::13"], subnet: "front", device: "vx",
                memberships: [0: memberships, 1: memberships]),
        ]
        estate.resources = [
            (
                "applicationSecurityGroups",
                [["name": "web"], ["name": "db"], ["name": "empty"]]
            ),
            (
                "networkInterfaces",
                [
                    [
                        "name": "u",
                        "properties": [
                            "ipConfigurations": [
                                [
                                    "name": "one",
                                    "properties": [
                                        "privateIPAddress": "10.1.0.20", "subnet": "lab/front",
                                        "applicationSecurityGroups": ["web"],
                                    ],
                                ]
                            ]
                        ],
                    ]
                ]
            ),
        ]
        return estate
    }

    @Test("a rule with a group means its members' addresses, and on its own side only holds on members (S11)")
    func members() throws {
        try TestNetwork.with(Self.estate()) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9", "2001:db8::9"], behind: "uplink")
            let u = try network.addMachine("u", ["10.1.0.20", "10.1.0.21"], behind: "vu")
            for name in ["w", "d", "x"] { try network[name].serve("tcp", 80, 81, 82, 5432) }
            try outside.serve("udp", 9, 10)
            try network.startDaemon()
            let tcp = { (host: Int, port: Int) -> [Attempt] in
                [.tcp("10.1.0.\(host)", port), .tcp("fd00:1::\(host)", port)]
            }
            try outside.expect(
                passing: tcp(10, 80),
                refused: tcp(11, 80) + tcp(12, 80) + tcp(13, 80) + tcp(12, 5432) + [10, 12, 13].flatMap { tcp($0, 81) }
                    + [10, 12, 13].flatMap { tcp($0, 82) })
            try network["w"].expect(
                passing: [
                    .tcp("10.1.0.12", 5432, from: "10.1.0.10"), .tcp("fd00:1::12", 5432, from: "fd00:1::10"),
                    .udp("203.0.113.9", 9, from: "10.1.0.11"), .udp("2001:db8::9", 9, from: "fd00:1::11"),
                    .udp("203.0.113.9", 10, from: "10.1.0.10"),
                ],
                refused: [
                    .tcp("10.1.0.12", 5432, from: "10.1.0.11"), .tcp("fd00:1::12", 5432, from: "fd00:1::11"),
                    .udp("203.0.113.9", 9, from: "10.1.0.10"), .udp("2001:db8::9", 9, from: "fd00:1::10"),
                    .tcp("10.1.0.13", 5432, from: "10.1.0.10"),
                ])
            try network["x"].expect(passing: [.udp("203.0.113.9", 9)], refused: tcp(12, 5432))
            // Enforced elsewhere, but a member.
            try u.expect(
                passing: [.tcp("10.1.0.12", 5432, from: "10.1.0.20")],
                refused: [.tcp("10.1.0.12", 5432, from: "10.1.0.21")])
        }
    }

    @Test("members come and go by reload, and no packet meets anything but the old or the new policy (S11, E1)")
    func membershipChanges() throws {
        try TestNetwork.with(Self.estate()) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            let x = network["x"]
            for name in ["w", "x"] { try network[name].serve("tcp", 80) }
            let daemon = try network.startDaemon()
            try x.countArrivals(ports: [9000, 7000])
            try outside.flood(x.address, ports: [9000, 7000], rate: 2000)
            for turn in 0..<4 {
                let isMember = turn % 2 == 0
                try network.write(Self.estate(x: isMember ? ["web"] : [], w: isMember ? [] : ["web"]))
                #expect(try daemon.reload().result == "applied")
                let (members, others) = isMember ? ("10.1.0.13", "10.1.0.10") : ("10.1.0.10", "10.1.0.13")
                try outside.expect(passing: [.tcp(members, 80)], refused: [.tcp(others, 80)])
            }
            let sent = try outside.calm()
            let allArrived = try eventually { try x.arrivals(port: 9000) == sent[0] }
            let arrived = try x.arrivals(port: 9000)
            #expect(allArrived && sent[0] > 500, "\(sent[0]) sent, \(arrived) arrived")
            #expect(try x.arrivals(port: 7000) == 0)
        }
    }
}
