import NSGEvaluation
import NSGModel
import NetworkTypes
import TestSupport
import Testing

/// S11: application security groups.
@Suite struct ApplicationGroupTests {
    @Test("a group without members matches nothing, as source or destination")
    func withoutMembers() throws {
        var lab = Lab()
        lab.group(
            "g", rule("from", 100, .inbound, .deny, from: .asg("nobody")),
            rule("to", 110, .inbound, .deny, to: .asg("nobody")), rule("rest", 120, .inbound, .allow))
        lab.interface("a", "10.1.0.4", group: "g")
        #expect(lab.ruleName(try flow("TCP 10.1.0.9 1 10.1.0.4 2"), at: "a", .inbound) == "rest")
    }

    @Test("on the interface's own side a rule applies on members only")
    func ownSide() throws {
        var lab = Lab()
        lab.group(
            "g", rule("in", 100, .inbound, .deny, to: .asg("web")),
            rule("out", 100, .outbound, .deny, from: .asg("web")),
            rule("in-rest", 200, .inbound, .allow), rule("out-rest", 200, .outbound, .allow))
        lab.interface("member", "10.1.0.4", group: "g", asgs: "web")
        lab.interface("other", "10.1.0.5", group: "g")
        let toMember = try flow("TCP 10.1.0.9 1 10.1.0.4 2")
        let fromMember = try flow("TCP 10.1.0.4 1 10.1.0.9 2")
        #expect(lab.ruleName(toMember, at: "member", .inbound) == "in")
        #expect(lab.ruleName(fromMember, at: "member", .outbound) == "out")
        // A packet to a member's address that meets another interface.
        #expect(lab.ruleName(toMember, at: "other", .inbound) == "in-rest")
        #expect(lab.ruleName(fromMember, at: "other", .outbound) == "out-rest")
        // Not every address behind a member is its own.
        #expect(lab.ruleName(try flow("TCP 10.1.0.9 1 10.1.0.77 2"), at: "member", .inbound) == "in-rest")
    }

    @Test("on the far side it is the members' addresses, bound or not; several groups are one set")
    func farSide() throws {
        var lab = Lab()
        lab.group(
            "g", rule("peers", 100, .inbound, .allow, from: .asg("web", "app")), rule("none", 200, .inbound, .deny))
        lab.interface("a", "10.1.0.4", group: "g")
        lab.interface("w", "10.1.0.20", asgs: "web")
        lab.interface("p", "10.1.0.30", asgs: "app")
        for (source, expected) in [("10.1.0.20", "peers"), ("10.1.0.30", "peers"), ("10.1.0.21", "none")] {
            #expect(lab.ruleName(try flow("UDP \(source) 1 10.1.0.4 2"), at: "a", .inbound) == expected)
        }
    }

    @Test("a Deny of a platform service takes it from those it applies to alone (S9, S11)")
    func platformService() throws {
        var lab = Lab()
        lab.group("g", rule("nodns", 100, .outbound, .deny, from: .asg("web"), to: .tag("AzurePlatformDNS")))
        lab.interface("member", "10.1.0.4", group: "g", asgs: "web")
        lab.interface("other", "10.1.0.5", group: "g", asgs: "app")
        let query = try flow("UDP 10.1.0.4 4000 168.63.129.16 53")
        let member = lab.decision(query, at: "member", .outbound)
        #expect(member.platform == nil && member.deciding?.rule.name == "nodns" && !member.passes)
        let other = lab.decision(try flow("UDP 10.1.0.5 4000 168.63.129.16 53"), at: "other", .outbound)
        #expect(other.platform == .service(.dns) && other.passes)
    }

    /// Microsoft's example of the overview page: a network of web, logic and database servers under one group.
    static let threeTier: [(source: String, target: String, port: UInt16, rule: String)] = [
        ("203.0.113.9", "web", 80, "Allow-HTTP-Inbound-Internet"), ("203.0.113.9", "web", 443, "DenyAllInBound"),
        ("203.0.113.9", "logic", 80, "DenyAllInBound"), ("203.0.113.9", "db", 80, "DenyAllInBound"),
        ("203.0.113.9", "db", 1433, "Deny-Database-All"), ("10.1.0.11", "web", 80, "AllowVnetInBound"),
        ("10.1.0.11", "logic", 8080, "AllowVnetInBound"), ("10.1.0.11", "db", 1433, "Allow-Database-BusinessLogic"),
        ("10.1.0.10", "db", 1433, "Deny-Database-All"), ("10.1.0.12", "db", 1433, "Deny-Database-All"),
        ("10.1.0.99", "db", 1433, "Deny-Database-All"), ("10.1.0.10", "db", 22, "AllowVnetInBound"),
        ("10.1.0.10", "logic", 1433, "AllowVnetInBound"), ("10.1.0.10", "web", 1433, "AllowVnetInBound"),
        ("168.63.129.16", "web", 8080, "AllowVnetInBound"),
    ]

    @Test("three tiers", arguments: threeTier)
    func threeTiers(source: String, target: String, port: UInt16, expected: String) throws {
        let estate = Estate.threeTier
        let interface = try #require(estate.networkInterfaces.values.first { $0.name == target })
        let address = try #require(interface.addresses.first)
        let decision = Evaluator(PolicyBook(estate)).decision(
            for: try flow("TCP \(source) 50000 \(address) \(port)"), at: interface.id, .inbound)
        #expect(decision.deciding?.rule.name == expected)
        #expect((decision.access == .deny) == expected.hasPrefix("Deny"))
    }
}
