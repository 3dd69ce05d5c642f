import JSONText
import TestSupport
import Testing

/// Tags that Azure computes. S10, FACTS d1.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonTagTests {
    private static func network(_ name: String, _ prefixes: [String]) -> JSONValue {
        [
            "name": JSONValue(name),
            "properties": [
                "addressSpace": ["addressPrefixes": JSONValue(prefixes.map { JSONValue($0) })],
                "subnets": [
                    ["name": "front", "properties": ["addressPrefixes": JSONValue(prefixes.map { JSONValue($0) })]]
                ],
            ],
        ]
    }

    private static func peering(_ name: String, _ remote: String, state: String = "Connected", access: Bool = true)
        -> JSONValue
    {
        [
            "name": JSONValue(name),
            "properties": [
                "remoteVirtualNetwork": JSONValue(remote), "peeringState": JSONValue(state),
                "allowVirtualNetworkAccess": JSONValue(access),
            ],
        ]
    }

    /// `a` of `lab` and `s` of a peer, both with one group that has no rules of its own.
    private static let estate: EstateDocuments = {
        var estate = EstateDocuments()
        estate.groups = ["same": []]
        estate.subnets = ["front": (0, nil)]
        estate.subnetProperties = ["front": [("routeTable", "onward")]]
        estate.networkProperties = [
            (
                "virtualNetworkPeerings",
                [
                    peering("spoke", "spoke"), peering("cut", "cut", state: "Disconnected"),
                    peering("closed", "closed", access: false),
                ]
            )
        ]
        estate.interfaces = [
            .init(name: "a", addresses: ["10.1.0.4", "fd00:1::4"], subnet: "front", group: "same", device: "va"),
            .init(name: "s", addresses: ["10.2.0.4", "fd00:2::4"], subnet: "spoke/front", group: "same", device: "vs"),
        ]
        estate.resources = [
            (
                "virtualNetworks",
                [
                    network("spoke", ["10.2.0.0/16", "fd00:2::/64"]), network("cut", ["10.3.0.0/16", "fd00:3::/64"]),
                    network("closed", ["10.4.0.0/16", "fd00:4::/64"]),
                ]
            ),
            (
                "routeTables",
                [
                    [
                        "name": "onward",
                        "properties": [
                            "routes": [
                                [
                                    "name": "site",
                                    "properties": [
                                        "addressPrefix": "10.50.0.0/16", "nextHopType": "VirtualAppliance",
                                        "nextHopIpAddress": "10.1.0.200",
                                    ],
                                ]
                            ]
                        ],
                    ]
                ]
            ),
        ]
        estate.settings = [("onPremisesPrefixes", ["lab": ["172.20.0.0/16", "fd00:20::/32"]])]
        return estate
    }()

    @Test(
        "VirtualNetwork is the network, its open peers, sites and routes, and another on each network; Internet is a list"
    )
    func computedTags() throws {
        try TestNetwork.with(Self.estate) { network in
            let inside = ["10.2.9.9", "172.20.9.9", "10.50.9.9", "10.1.9.9", "fd00:2::9", "fd00:20::9"]
            let outside = [
                "10.3.9.9", "10.4.9.9", "10.60.9.9", "25.0.0.9", "198.51.100.9", "fd00:3::9", "fd00:4::9",
                "fd77::9", "2001:db8::9",
            ]
            let far = try network.addMachine("far", inside + outside, behind: "uplink")
            let (a, s) = (network["a"], network["s"])
            for machine in [a, s, far] { try machine.serve("udp", 7000) }
            try network.startDaemon()
            let to = { (machine: TestMachine, sources: [String]) in
                sources.map { source in
                    Attempt.udp(machine.addresses[source.contains(":") ? 1 : 0], 7000, from: source)
                }
            }
            try far.expect(passing: to(a, inside), refused: to(a, outside))
            // The peer has no peering of its own, and no site.
            let near = ["10.2.9.9", "fd00:2::9"]
            try far.expect(passing: to(s, near), refused: to(s, inside.filter { !near.contains($0) } + outside))
            try a.expect(passing: [], refused: [.udp("10.2.0.4", 7000), .udp("fd00:2::4", 7000)])
            #expect(try network.router.counter("nsg/same/inbound/DenyAllInBound") != nil)
            try s.expect(passing: [], refused: [.udp("10.1.0.4", 7000), .udp("fd00:1::4", 7000)])

            let all = { (addresses: [String]) in addresses.map { Attempt.udp($0, 7000) } }
            let internet = ["198.51.100.9", "2001:db8::9"]
            try a.expect(
                passing: all(inside + internet), refused: all(outside.filter { !internet.contains($0) }))
            try s.expect(
                passing: all(near + internet),
                refused: all((inside + outside).filter { !near.contains($0) && !internet.contains($0) }))
        }
    }

    @Test("a default route elsewhere, a peer that disconnects: the tag follows the documents (S10)")
    func changes() throws {
        var estate = Self.estate
        try TestNetwork.with(estate) { network in
            let far = try network.addMachine("far", ["10.2.9.9", "10.60.9.9", "fd00:2::9"], behind: "uplink")
            try network["a"].serve("udp", 7000)
            let daemon = try network.startDaemon()
            let (four, six) = ("10.1.0.4", "fd00:1::4")
            try far.expect(
                passing: [.udp(four, 7000, from: "10.2.9.9"), .udp(six, 7000, from: "fd00:2::9")],
                refused: [.udp(four, 7000, from: "10.60.9.9")])

            estate.networkProperties = [
                ("virtualNetworkPeerings", [Self.peering("spoke", "spoke", state: "Disconnected")])
            ]
            try network.write(estate)
            #expect(try daemon.reload().result == "applied")
            try far.expect(
                passing: [],
                refused: [
                    .udp(four, 7000, from: "10.2.9.9"), .udp(six, 7000, from: "fd00:2::9"),
                    .udp(four, 7000, from: "10.60.9.9"),
                ])

            // Forced tunnelling: everything of IPv4 is the virtual network's.
            let route: JSONValue = [
                "name": "all",
                "properties": ["addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualNetworkGateway"],
            ]
            estate.resources[1].1 = [["name": "onward", "properties": ["routes": [route]]]]
            try network.write(estate)
            #expect(try daemon.reload().result == "applied")
            try far.expect(
                passing: [.udp(four, 7000, from: "10.2.9.9"), .udp(four, 7000, from: "10.60.9.9")],
                refused: [.udp(six, 7000, from: "fd00:2::9")])
        }
    }
}
