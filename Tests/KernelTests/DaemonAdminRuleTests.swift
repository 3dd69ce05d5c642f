import JSONText
import TestSupport
import Testing

/// Security admin rules before the groups' rules. S8, S2, FACTS f.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonAdminRuleTests {
    private typealias Rule = EstateDocuments.Rule
    private static let managers = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/lab/providers"

    /// A rule of a collection.
    private static func rule(
        _ name: String, _ priority: Int, _ access: String, _ transport: String, _ port: String,
        _ direction: String = "Inbound", source: (type: String, prefix: String) = ("IPPrefix", "*")
    ) -> JSONValue {
        [
            "name": JSONValue(name), "kind": "Custom",
            "properties": [
                "priority": JSONValue(priority), "access": JSONValue(access), "protocol": JSONValue(transport),
                "direction": JSONValue(direction),
                "sources": [
                    ["addressPrefix": JSONValue(source.prefix), "addressPrefixType": JSONValue(source.type)]
                ],
                "destinations": [["addressPrefix": "*", "addressPrefixType": "IPPrefix"]],
                "sourcePortRanges": ["0-65535"], "destinationPortRanges": [JSONValue(port)],
            ],
        ]
    }

    private static func collection(_ name: String, for group: String, _ rules: [JSONValue]) -> JSONValue {
        [
            "name": JSONValue(name),
            "properties": [
                "appliesToGroups": [["networkGroupId": JSONValue(group)]], "rules": JSONValue(rules),
            ],
        ]
    }

    private static func manager(
        _ name: String, scopes: JSONValue, groups: [(name: String, members: [String])], _ collections: [JSONValue]
    ) -> JSONValue {
        let groupList = groups.map { group -> JSONValue in
            let members = group.members.map { member -> JSONValue in
                [
                    "name": JSONValue(member),
                    "properties": [
                        "resourceId": JSONValue("\(managers)/Microsoft.Network/virtualNetworks/\(member)")
                    ],
                ]
            }
            return ["name": JSONValue(group.name), "properties": ["staticMembers": JSONValue(members)]]
        }
        return [
            "name": JSONValue(name),
            "properties": [
                "networkManagerScopes": scopes, "networkGroups": JSONValue(groupList),
                "securityAdminConfigurations": [
                    ["name": "config", "properties": ["ruleCollections": JSONValue(collections)]]
                ],
            ],
        ]
    }

    /// Guests `a` and `g` of `lab`, `g` in a subnet that admin rules leave alone; `o` of another network.
    private static let estate: EstateDocuments = {
        var estate = EstateDocuments()
        let lists: [Rule] = [
            .deny("DenyOver", 100, "Tcp", "9100-9300"), .deny("DenyMore", 110, "Tcp", "8000"),
            .deny("DenyTime", 115, "Udp", "123"), .allow("AllowRest", 120),
            .deny("DenyTimeOut", 100, "Udp", "123").outbound, .allow("AllowOut", 120).outbound,
        ]
        estate.groups = ["subnet": lists, "nic": lists]
        estate.subnets = ["front": (0, "subnet"), "AzureBastionSubnet": (1, "subnet")]
        estate.interfaces = [
            .init(name: "a", addresses: ["10.1.0.4", "fd00:1::4"], subnet: "front", group: "nic", device: "va"),
            .init(
                name: "g", addresses: ["10.1.1.4", "fd00:1:0:1::4"], subnet: "AzureBastionSubnet", group: "nic",
                device: "vg"),
            .init(name: "o", addresses: ["10.2.0.4"], subnet: "other/front", group: "nic", device: "vo"),
        ]
        let subscriptions: JSONValue = ["subscriptions": ["/subscriptions/00000000-0000-0000-0000-000000000000"]]
        let management: JSONValue = [
            "managementGroups": ["/providers/Microsoft.Management/managementGroups/root"]
        ]
        estate.resources = [
            (
                "virtualNetworks",
                [
                    [
                        "name": "other",
                        "properties": [
                            "addressSpace": ["addressPrefixes": ["10.2.0.0/16"]],
                            "subnets": [["name": "front", "properties": ["addressPrefix": "10.2.0.0/24"]]],
                        ],
                    ]
                ]
            ),
            (
                "networkManagers",
                [
                    manager(
                        "one", scopes: subscriptions, groups: [("all", ["lab", "other"]), ("apps", ["lab"])],
                        [
                            collection(
                                "for-all", for: "all",
                                [
                                    rule("DenySsh", 100, "Deny", "Tcp", "22"),
                                    rule("DenyTelnet", 110, "Deny", "Tcp", "23"),
                                    rule("DenyMdns", 120, "Deny", "Udp", "5353", "Outbound"),
                                ]),
                            collection(
                                "for-apps", for: "apps",
                                [
                                    rule("AllowSsh", 10, "Allow", "Tcp", "22"),
                                    rule("AlwaysAllowAgent", 20, "AlwaysAllow", "Tcp", "9100"),
                                    rule("AllowMore", 30, "Allow", "Tcp", "8000"),
                                    rule("AlwaysAllowTime", 40, "AlwaysAllow", "Udp", "123", "Outbound"),
                                    rule("AlwaysAllowOne", 1, "AlwaysAllow", "Tcp", "9200"),
                                    rule(
                                        "AlwaysAllowApps", 50, "AlwaysAllow", "Tcp", "9300",
                                        source: ("NetworkGroup", "apps")),
                                ]),
                        ]),
                    manager(
                        "two", scopes: management, groups: [("lab", ["lab"])],
                        [collection("top", for: "lab", [rule("DenyTop", 4000, "Deny", "Tcp", "9200")])]),
                ]
            ),
        ]
        return estate
    }()

    @Test("Deny ends, AlwaysAllow skips every group, Allow goes on to them; exceptions, scopes, exempt subnets (S8)")
    func adminRules() throws {
        try TestNetwork.with(Self.estate) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9", "2001:db8::9"], behind: "uplink")
            let (a, g, o) = (network["a"], network["g"], network["o"])
            for machine in [a, g, o] { try machine.serve("tcp", 22, 23, 80, 8000, 9100, 9200, 9300) }
            for machine in [outside, o] { try machine.serve("udp", 123, 5353, 53) }
            let daemon = try network.startDaemon()
            let both = { (ports: [Int]) in
                ports.flatMap { port -> [Attempt] in [.tcp("10.1.0.4", port), .tcp("fd00:1::4", port)] }
            }
            try outside.expect(
                passing: both([22, 9100, 80]) + [.tcp("10.1.1.4", 23), .tcp("fd00:1:0:1::4", 22)]
                    + [.ping("10.1.0.4"), .tcp("10.2.0.4", 80)],
                refused: both([23, 8000, 9200, 9300]) + [
                    .tcp("10.1.1.4", 9100), .tcp("10.2.0.4", 22), .tcp("10.2.0.4", 23), .tcp("10.2.0.4", 9100),
                ])
            // Guests of the group's networks are a source; o's own rules decide at o.
            try g.expect(passing: [.tcp("10.1.0.4", 9300)], refused: [.tcp("10.1.0.4", 9200)])
            try o.expect(passing: [.tcp("10.1.0.4", 9100)], refused: [.tcp("10.1.0.4", 9300)])
            try a.expect(
                passing: [
                    .udp("203.0.113.9", 123), .udp("2001:db8::9", 123), .udp("203.0.113.9", 53),
                    .udp("10.2.0.4", 53),
                ],
                refused: [
                    .udp("203.0.113.9", 5353), .udp("2001:db8::9", 5353), .udp("10.2.0.4", 5353),
                    // Past all rules at a, but not past those at o.
                    .udp("10.2.0.4", 123),
                ])
            try g.expect(passing: [.udp("203.0.113.9", 5353)], refused: [.udp("203.0.113.9", 123)])

            let inbound = "subnet/AllowRest Allow, nic/AllowRest Allow"
            try network.expectDecisions(to: "10.1.0.4", 22, ["a Inbound Allow: admin/AllowSsh Allow, \(inbound)"])
            try network.expectDecisions(to: "fd00:1::4", 80, ["a Inbound Allow: admin/ Allow, \(inbound)"])
            try network.expectDecisions(
                to: "fd00:1::4", 9100, ["a Inbound Allow: admin/AlwaysAllowAgent AlwaysAllow"])
            try network.expectDecisions(
                to: "10.1.0.4", 23, ["a Inbound Deny: admin/DenyTelnet Deny, \(inbound)"])
            try network.expectDecisions(to: "10.1.1.4", 23, ["g Inbound Allow: \(inbound)"])
            let counters = try network.router.counters()
            #expect((counters["admin/for-all/inbound/DenySsh"]?.packets ?? 0) >= 1)
            #expect((counters["admin/top/inbound/DenyTop"]?.packets ?? 0) >= 3)
            #expect(counters["admin/for-apps/inbound/AlwaysAllowOne"]?.packets == 0)
            #expect(try daemon.reload().result == "unchanged")
        }
    }

    @Test(
        "admin rules come and go with a reload, without touching private endpoints or connections that are open (S8, S5)"
    )
    func reloads() throws {
        var estate = Self.estate
        let endpoint = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateEndpoints/e"
        estate.interfaces.append(
            .init(
                name: "e", addresses: ["10.1.0.9"], subnet: "front", device: "ve",
                properties: [("privateEndpoint", ["id": JSONValue(endpoint)])]))
        let managers = estate.resources.removeLast()
        try TestNetwork.with(estate) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            for name in ["a", "e"] { try network[name].serve("tcp", 22, 23, 9100) }
            let daemon = try network.startDaemon()
            try outside.expect(
                passing: [.tcp("10.1.0.4", 22), .tcp("10.1.0.4", 23), .tcp("10.1.0.9", 9100)],
                refused: [.tcp("10.1.0.4", 9100)])
            #expect(try outside.connect(1, to: "10.1.0.4", 23) == "open")

            estate.resources.append(managers)
            try network.write(estate)
            #expect(try daemon.reload().result == "applied")
            try outside.expect(
                passing: [.tcp("10.1.0.4", 22), .tcp("10.1.0.4", 9100), .tcp("10.1.0.9", 23)],
                refused: [.tcp("10.1.0.4", 23)])
            #expect(try outside.exchange(1) == "same")

            estate.resources.removeLast()
            try network.write(estate)
            #expect(try daemon.reload().result == "applied")
            try outside.expect(passing: [.tcp("10.1.0.4", 23)], refused: [.tcp("10.1.0.4", 9100)])
            #expect(try network.router.run(["nft", "list", "table", "inet", "nsgd"]).contains("admin/") == false)
        }
    }
}
