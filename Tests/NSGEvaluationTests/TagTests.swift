import NSGModel
import NetworkTypes
import Testing

/// S10: what tags stand for (FACTS d1).
@Suite struct TagTests {
    static let edges: [(String, Bool)] = [
        ("8.8.8.8", true), ("24.255.255.255", true), ("25.0.0.0", false), ("25.255.255.255", false), ("26.0.0.0", true),
        ("198.51.100.7", true), ("203.0.113.7", true), ("192.0.2.1", false), ("168.63.129.16", true),
        ("0.255.255.255", false), ("1.0.0.0", true), ("10.0.0.0", false), ("9.255.255.255", true), ("11.0.0.0", true),
        ("100.63.255.255", true), ("100.64.0.0", false), ("100.127.255.255", false), ("100.128.0.0", true),
        ("127.0.0.1", false), ("169.254.169.254", false), ("172.15.255.255", true), ("172.16.0.0", false),
        ("172.31.255.255", false), ("172.32.0.0", true), ("192.168.255.255", false), ("198.17.255.255", true),
        ("198.18.0.0", false), ("198.19.255.255", false), ("198.20.0.0", true), ("223.255.255.255", true),
        ("224.0.0.0", false), ("255.255.255.255", false), ("1fff:ffff::1", false), ("2000::", true),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true), ("4000::", false), ("fd00::1", false),
    ]

    @Test("Internet is a fixed list", arguments: edges)
    func internet(address: String, isIn: Bool) throws {
        let address = try #require(IPAddress(address))
        #expect(InternetPrefixes.addresses.contains(address) == isIn)
    }

    @Test("Internet is Azure's 76 prefixes, from 1.0.0.0/8 to 208.0.0.0/4")
    func internetPrefixes() {
        let prefixes = InternetPrefixes.addresses.v4.prefixes
        #expect(prefixes.first?.description == "1.0.0.0/8")
        #expect(prefixes.last?.description == "208.0.0.0/4")
        // As recorded, save that Azure writes 198.0.0.0/12 and 172.0.0.0/12 just so.
        #expect(prefixes.contains { $0.description == "198.0.0.0/12" })
        #expect(prefixes.count == 76)
    }

    @Test(
        "168.63.129.16 is in all three computed tags", arguments: ["VirtualNetwork", "Internet", "AzureLoadBalancer"])
    func platformAddress(tag: String) throws {
        var lab = Lab()
        lab.group("g", rule("hit", 100, .inbound, .deny, from: .tag(tag)), rule("miss", 200, .inbound, .deny))
        lab.interface("a", "10.1.0.4", group: "g")
        #expect(lab.ruleName(try flow("TCP 168.63.129.16 5000 10.1.0.4 80"), at: "a", .inbound) == "hit")
    }

    /// Who may come in by the default rules alone, at 10.1.0.4.
    static let neighbours: [(peered: Bool, open: Bool, flow: String, rule: String)] = [
        (false, false, "TCP 10.1.9.9 1 10.1.0.4 2", "AllowVnetInBound"),
        (false, false, "TCP 10.2.0.4 1 10.1.0.4 2", "DenyAllInBound"),
        (true, true, "TCP 10.2.0.4 1 10.1.0.4 2", "AllowVnetInBound"),
        (true, false, "TCP 10.2.0.4 1 10.1.0.4 2", "DenyAllInBound"),
        (false, false, "TCP fd00:1::9 1 fd00:1::4 2", "AllowVnetInBound"),
        (false, false, "TCP fd00:2::9 1 fd00:1::4 2", "DenyAllInBound"),
        // The destination must lie in the network too.
        (false, false, "TCP 10.1.9.9 1 10.9.0.4 2", "DenyAllInBound"),
        // 168.63.129.16 is in the tag, so the first of the two rules has it.
        (false, false, "TCP 168.63.129.16 1 10.1.0.4 2", "AllowVnetInBound"),
        (false, false, "TCP 168.63.129.16 1 10.9.0.4 2", "AllowAzureLoadBalancerInBound"),
        (false, false, "TCP 203.0.113.9 1 10.1.0.4 2", "DenyAllInBound"),
    ]

    @Test("AllowVnetInBound: both ends in the network or an open peer", arguments: neighbours)
    func virtualNetwork(peered: Bool, open: Bool, text: String, expected: String) throws {
        var lab = Lab()
        lab.group("g")
        lab.interface("a", "10.1.0.4", group: "g")
        if peered {
            lab.estate.virtualNetworks[Lab.network("one")]?.peerings = [
                Peering(
                    name: "p", isOpen: open, remoteNetwork: Lab.network("two"),
                    remotePrefixes: [IPPrefix("10.2.0.0/16")].compactMap(\.self))
            ]
        }
        #expect(lab.ruleName(try flow(text), at: "a", .inbound) == expected)
    }

    @Test("one group means other prefixes in another network")
    func tagBelongsToTheNetwork() throws {
        var lab = Lab()
        lab.group("g")
        lab.interface("a", "10.1.0.4", group: "g")
        lab.interface("b", "10.2.0.4", in: "two", group: "g")
        let inside = try flow("TCP 10.2.0.9 1 10.2.0.4 2")
        #expect(lab.ruleName(inside, at: "b", .inbound) == "AllowVnetInBound")
        #expect(lab.ruleName(inside, at: "a", .inbound) == "DenyAllInBound")
    }

    static let leaving: [(String, String)] = [
        ("TCP 10.1.0.4 1 10.1.0.9 2", "AllowVnetOutBound"), ("TCP 10.1.0.4 1 203.0.113.9 2", "AllowInternetOutBound"),
        ("TCP 10.1.0.4 1 25.1.1.1 2", "DenyAllOutBound"), ("TCP 10.1.0.4 1 10.7.0.1 2", "DenyAllOutBound"),
        ("TCP fd00:1::4 1 2001:db8::1 2", "AllowInternetOutBound"),
        ("TCP 10.1.0.4 1 168.63.129.16 80", "AllowVnetOutBound"),
        ("TCP 10.1.0.4 1 169.254.169.254 80", "DenyAllOutBound"),
    ]

    @Test("default rules outbound", arguments: leaving)
    func defaultsOutbound(text: String, expected: String) throws {
        var lab = Lab()
        lab.group("g")
        lab.interface("a", "10.1.0.4", group: "g")
        #expect(lab.ruleName(try flow(text), at: "a", .outbound) == expected)
    }

    @Test("tags without case, classic spellings, own tags, empty ones")
    func spellings() throws {
        for name in ["INTERNET", "internet", "Internet"] { #expect(ServiceTag(name) == .internet) }
        #expect(ServiceTag("VIRTUAL_NETWORK") == .virtualNetwork)
        #expect(ServiceTag("AZURE_LOADBALANCER") == .azureLoadBalancer)
        var lab = Lab()
        lab.estate.serviceTags = ["lab.east": [IPPrefix("203.0.113.0/25")].compactMap(\.self), "corpnetsaw": []]
        lab.group(
            "g", rule("empty", 100, .inbound, .deny, from: .tag("CorpNetSaw")),
            rule("own", 110, .inbound, .allow, from: .tag("LAB.East")))
        lab.interface("a", "10.1.0.4", group: "g")
        #expect(lab.ruleName(try flow("TCP 203.0.113.127 1 10.1.0.4 2"), at: "a", .inbound) == "own")
        #expect(lab.ruleName(try flow("TCP 203.0.113.128 1 10.1.0.4 2"), at: "a", .inbound) == "DenyAllInBound")
    }
}
