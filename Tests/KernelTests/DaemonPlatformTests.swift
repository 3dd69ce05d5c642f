import JSONText
import TestSupport
import Testing

/// What the platform lets pass before any rule, and what it holds back. S9, S14.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonPlatformTests {
    private typealias Rule = EstateDocuments.Rule

    private static func prefixes(_ addresses: String...) -> JSONValue { JSONValue(addresses.map { JSONValue($0) }) }

    private static let platform: [(String, JSONValue)] = [
        ("dns", prefixes("10.9.0.53", "fd00:9::53", "10.1.0.53", "169.254.1.1", "10.9.1.53")),
        ("imds", prefixes("10.9.0.169", "fd00:9::169")),
        ("wireServer", prefixes("10.9.0.16")), ("probe", prefixes("10.9.0.16", "fd00:9::16")),
        ("kms", prefixes("10.9.0.88", "fd00:9::88")),
    ]

    private static func guest(_ name: String, _ number: Int, _ group: String) -> EstateDocuments.Interface {
        .init(
            name: name, addresses: ["10.1.0.\(number)", "fd00:1::\(number)"], subnet: "front", group: group,
            device: "v\(name)")
    }

    private static let estate: EstateDocuments = {
        var estate = EstateDocuments()
        let closed = Rule.deny("DenyOut", 4000).outbound
        let denies = { (tag: String, rest: Rule) in [Rule.deny("DenyTag", 200, to: [tag]).outbound, rest] }
        let open = Rule.allow("AllowOut", 4000).outbound
        estate.groups = [
            "closed": [closed], "noprobe": [.deny("DenyProbe", 100, from: ["AzureLoadBalancer"])],
            "nodns": denies("AzurePlatformDNS", closed), "noimds": denies("AzurePlatformIMDS", closed),
            "nokms": denies("AzurePlatformLKM", closed), "nodnsopen": denies("AzurePlatformDNS", open),
            "service": [.allow("AllowA", 100, from: ["10.1.0.4"]), .deny("DenyRest", 4000)],
        ]
        estate.subnets = ["front": (0, nil)]
        estate.interfaces = [
            guest("a", 4, "closed"), guest("b", 5, "nodns"), guest("c", 6, "noimds"), guest("d", 7, "nokms"),
            guest("e", 8, "nodnsopen"), guest("g", 10, "noprobe"), guest("s", 53, "service"),
            // Of a network of its own, as the route makes `VirtualNetwork` the whole of IPv4.
            .init(
                name: "h", addresses: ["10.2.0.4", "fd00:2::4"], subnet: "other/diverted", group: "closed", device: "vh"
            ),
            .init(
                name: "vm", addresses: ["10.1.0.100"], subnet: "front", group: "closed", device: "nic0",
                attachment: "host"),
        ]
        estate.resources = [
            (
                "virtualNetworks",
                [
                    [
                        "name": "other",
                        "properties": [
                            "addressSpace": ["addressPrefixes": ["10.2.0.0/16", "fd00:2::/48"]],
                            "subnets": [
                                [
                                    "name": "diverted",
                                    "properties": [
                                        "addressPrefixes": ["10.2.0.0/24", "fd00:2::/64"], "routeTable": "forced",
                                    ],
                                ]
                            ],
                        ],
                    ]
                ]
            ),
            (
                "routeTables",
                [
                    [
                        "name": "forced",
                        "properties": [
                            "routes": [
                                [
                                    "name": "all",
                                    "properties": [
                                        "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance",
                                        "nextHopIpAddress": "10.1.0.200",
                                    ],
                                ]
                            ]
                        ],
                    ]
                ]
            ),
        ]
        estate.platform = platform
        return estate
    }()

    private static let dns: [Attempt] = [
        .udp("10.9.0.53", 53), .tcp("10.9.0.53", 53), .udp("fd00:9::53", 53), .tcp("fd00:9::53", 53),
    ]
    private static let imds: [Attempt] = [.tcp("10.9.0.169", 80), .tcp("fd00:9::169", 80)]
    private static let wireServer: [Attempt] = [80, 443, 32526].map { .tcp("10.9.0.16", $0) }
    private static let kms: [Attempt] = [.tcp("10.9.0.88", 1688), .tcp("fd00:9::88", 1688)]

    @Test("the platform's services pass rules that deny everything, each until a Deny names it (S9)")
    func services() throws {
        try TestNetwork.with(Self.estate) { network in
            let lab = try network.addMachine(
                "lab",
                [
                    "10.9.0.53", "10.9.0.169", "10.9.0.16", "10.9.0.88", "10.9.0.99", "fd00:9::53", "fd00:9::169",
                    "fd00:9::16", "fd00:9::88", "fd00:9::99",
                ], behind: "plat")
            try lab.serve("tcp", 22, 53, 54, 80, 443, 1688, 1689, 32526)
            try lab.serve("udp", 53, 54, 67, 68, 80, 1688)
            try network["s"].serve("udp", 53, 54)
            for name in ["a", "g"] { try network[name].serve("tcp", 8080) }
            let resolver = try network.addMachine("resolver", ["10.9.1.53"], behind: "nic0")
            try network.router.shell("ip addr add 10.1.0.100/32 dev nic0")
            for machine in [network.router, resolver] { try machine.serve("udp", 53, 54) }
            try network.startDaemon()

            let dhcp = [Attempt.udp("10.9.0.16", 67, from: "", 68)]
            let others: [Attempt] = [
                .udp("10.9.0.53", 54), .tcp("10.9.0.53", 80), .tcp("fd00:9::53", 443), .tcp("10.9.0.169", 443),
                .udp("10.9.0.169", 80), .udp("fd00:9::169", 53), .udp("10.9.0.16", 53), .tcp("10.9.0.16", 22),
                .udp("10.9.0.16", 80), .udp("10.9.0.16", 68), .tcp("10.9.0.88", 1689), .udp("10.9.0.88", 1688),
                .udp("10.9.0.99", 53), .tcp("10.9.0.99", 80), .udp("fd00:9::99", 53), .ping("10.9.0.53"),
                .ping("10.9.0.169"), .udp("10.9.0.16", 67), .udp("10.9.0.16", 67, from: "", 69),
            ]
            try network["a"].expect(
                passing: Self.dns + Self.imds + Self.wireServer + Self.kms + dhcp, refused: others)
            #expect((try network.router.counter("nsg/closed/outbound/DenyOut")?.packets ?? 0) >= others.count)
            try network["b"].expect(
                passing: Self.imds + Self.wireServer + Self.kms + dhcp, refused: Self.dns + [.udp("10.9.0.99", 53)])
            try network["c"].expect(passing: Self.dns + Self.wireServer + Self.kms, refused: Self.imds)
            try network["d"].expect(passing: Self.dns + Self.wireServer + Self.imds, refused: Self.kms)
            // The tag stands for one port of the address; the rest is the next rule's.
            try network["e"].expect(passing: [.udp("10.9.0.53", 54), .tcp("10.9.0.53", 80)], refused: Self.dns)
            // The route table sends everything to an appliance: Azure's activation is not asked past it.
            try network["h"].expect(passing: Self.dns + Self.wireServer + Self.imds, refused: Self.kms)

            // Probes are filtered like any traffic: allowed by a default rule, and only those.
            try lab.expect(
                passing: [
                    .tcp("10.1.0.4", 8080, from: "10.9.0.16"), .tcp("fd00:1::4", 8080, from: "fd00:9::16"),
                ],
                refused: [
                    .tcp("10.1.0.4", 8080, from: "10.9.0.53"), .tcp("10.1.0.10", 8080, from: "10.9.0.16"),
                    .tcp("fd00:1::10", 8080, from: "fd00:9::16"),
                ])

            // Services that this machine offers, or asks for, or stands between.
            try network["a"].expect(
                passing: [.udp("169.254.1.1", 53), .udp("10.9.1.53", 53)],
                refused: [.udp("169.254.1.1", 54), .udp("10.9.1.53", 54)])
            try network.router.expect(passing: [.udp("10.9.1.53", 53)], refused: [.udp("10.9.1.53", 54)])

            // A service that is a guest itself: its own rules are asked.
            try network["a"].expect(passing: [.udp("10.1.0.53", 53)], refused: [.udp("10.1.0.53", 54)])
            try network["h"].expect(passing: [], refused: [.udp("10.1.0.53", 53), .udp("10.1.0.53", 54)])
            #expect(try network.router.counter("nsg/service/inbound/DenyRest")?.packets == 1)

            try network.expectDecisions(
                to: "fd00:9::169", 80,
                [
                    "a Outbound Allow: platform", "b Outbound Allow: platform", "c Outbound Deny: nic/DenyTag Deny",
                    "d Outbound Allow: platform", "h Outbound Allow: platform",
                ])
            try network.expectDecisions(
                to: "10.1.0.53", 53,
                [
                    "a Outbound Allow: platform", "h Outbound Allow: platform",
                    "s Inbound Allow: nic/AllowA Allow", "s Inbound Deny: nic/DenyRest Deny",
                ])
        }
    }

    @Test("mail to the Internet is blocked past all rules, other mail is not (S14)")
    func mail() throws {
        var estate = EstateDocuments.guests(
            "a", "b", rules: [], outbound: [.allow("AllowOut", 100).outbound])
        estate.platform = [("blockOutboundSmtp", true)]
        // Public space on premises is in the network's tag, and is no Internet.
        estate.settings = [("onPremisesPrefixes", ["lab": ["198.51.100.0/24", "2001:db8:7::/48"]])]
        try TestNetwork.with(estate) { network in
            let outside = try network.addMachine(
                "outside",
                ["203.0.113.9", "10.200.0.9", "25.0.0.9", "2001:db8::9", "fd77::9", "198.51.100.9", "2001:db8:7::9"],
                behind: "uplink")
            for machine in [outside, network["b"]] {
                try machine.serve("tcp", 25, 587)
                try machine.serve("udp", 25)
            }
            let daemon = try network.startDaemon()
            try network["a"].expect(
                passing: [
                    .tcp("203.0.113.9", 587), .tcp("2001:db8::9", 587), .udp("203.0.113.9", 25),
                    .tcp("10.200.0.9", 25), .tcp("25.0.0.9", 25), .tcp("fd77::9", 25),
                    .tcp(network["b"].address, 25), .tcp("fd00:1::5", 25), .tcp("198.51.100.9", 25),
                    .tcp("2001:db8:7::9", 25),
                ],
                refused: [.tcp("203.0.113.9", 25), .tcp("2001:db8::9", 25)])
            #expect((try network.router.counter("platform/smtp")?.packets ?? 0) >= 2)
            try network.expectDecisions(
                to: "2001:db8::9", 25, ["a Outbound Deny: platform"])

            estate.platform = [("blockOutboundSmtp", false)]
            try network.write(estate)
            try daemon.reload()
            try network["a"].expect(passing: [.tcp("203.0.113.9", 25), .tcp("2001:db8::9", 25)])
        }
    }

    @Test("a subnet's policies say whether its private endpoints are filtered, not its other interfaces (S14)")
    func privateEndpoints() throws {
        var estate = EstateDocuments()
        estate.groups = ["closed": [.deny("DenyIn", 100), .deny("DenyOut", 100).outbound]]
        let policies = ["Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled", nil]
        let endpoint: (String, JSONValue) = (
            "privateEndpoint",
            ["id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateEndpoints/e"]
        )
        for (number, policy) in policies.enumerated() {
            estate.subnets["subnet\(number)"] = (number, "closed")
            if let policy {
                estate.subnetProperties["subnet\(number)"] = [
                    ("privateEndpointNetworkPolicies", JSONValue(policy))
                ]
            }
            estate.interfaces.append(
                .init(
                    name: "e\(number)", addresses: ["10.1.\(number).4", "fd00:1:0:\(number)::4"],
                    subnet: "subnet\(number)", device: "ve\(number)", properties: [endpoint]))
        }
        estate.interfaces.append(
            .init(name: "vm", addresses: ["10.1.0.5", "fd00:1::5"], subnet: "subnet0", device: "vvm"))
        try TestNetwork.with(estate) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9", "2001:db8::9"], behind: "uplink")
            for interface in estate.interfaces { try network[interface.name].serve("tcp", 443) }
            try network.startDaemon()
            let attempts = { (numbers: [Int], host: Int) in
                numbers.flatMap { number -> [Attempt] in
                    [.tcp("10.1.\(number).\(host)", 443), .tcp("fd00:1:0:\(number)::\(host)", 443)]
                }
            }
            try outside.expect(passing: attempts([0, 3, 4], 4), refused: attempts([1, 2], 4) + attempts([0], 5))
        }
    }
}
