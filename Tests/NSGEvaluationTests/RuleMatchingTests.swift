import NSGEvaluation
import NSGModel
import NetworkTypes
import Testing

/// S1: which rule of one list decides.
@Suite struct RuleMatchingTests {
    /// Flows towards 10.1.0.4 or fd00:1::4 through one rule `r` at 100 that denies, or whatever follows it.
    struct Case: Sendable, CustomTestStringConvertible {
        var rule: SecurityRule
        var flow: String
        var matches: Bool
        var testDescription: String { "\(rule.protocol.rawValue) \(rule.destinationPorts): \(flow)" }

        init(_ rule: SecurityRule, _ flow: String, _ matches: Bool) {
            (self.rule, self.flow, self.matches) = (rule, flow, matches)
        }
    }

    private static func r(
        _ proto: RuleProtocol, _ ports: String = "*", from source: AddressScope = .any, sourcePorts: String = "*",
        to destination: AddressScope = .any
    ) -> SecurityRule {
        rule("r", 100, .inbound, .deny, proto, from: source, sourcePorts: sourcePorts, to: destination, ports: ports)
    }

    static let protocols: [Case] = [
        Case(r(.tcp, "443"), "TCP 10.1.0.5 5000 10.1.0.4 443", true),
        Case(r(.tcp, "443"), "TCP 10.1.0.5 5000 10.1.0.4 444", false),
        Case(r(.tcp, "443"), "UDP 10.1.0.5 5000 10.1.0.4 443", false),
        Case(r(.tcp), "SCTP 10.1.0.5 5000 10.1.0.4 443", false),
        Case(r(.any, "443"), "SCTP 10.1.0.5 5000 10.1.0.4 443", true),
        Case(r(.any, "443"), "UDPLITE 10.1.0.5 5000 10.1.0.4 443", true),
        // FACTS c6, c12: ports that are not any match only protocols that have ports.
        Case(r(.any, "443"), "ICMP 10.1.0.5 10.1.0.4 8", false),
        Case(r(.any, "0-65534"), "GRE 10.1.0.5 10.1.0.4", false),
        Case(r(.any, "0-65535"), "GRE 10.1.0.5 10.1.0.4", true),
        Case(r(.any, "0-99,100-65535"), "ESP 10.1.0.5 10.1.0.4", true),
        Case(r(.any), "AH 10.1.0.5 10.1.0.4", true),
        Case(r(.esp), "ESP 10.1.0.5 10.1.0.4", true),
        Case(r(.esp, "500"), "ESP 10.1.0.5 10.1.0.4", false),
        Case(r(.ah), "ESP 10.1.0.5 10.1.0.4", false),
        Case(r(.icmp), "ICMP 10.1.0.5 10.1.0.4 8", true),
        Case(r(.icmp, "8"), "ICMP 10.1.0.5 10.1.0.4 8", true),
        Case(r(.icmp, "8"), "ICMP 10.1.0.5 10.1.0.4 0", false),
        Case(r(.icmp, "0-65534"), "ICMP 10.1.0.5 10.1.0.4 255", true),
        Case(r(.icmp, "256-300"), "ICMP 10.1.0.5 10.1.0.4 0", false),
        Case(r(.icmp, sourcePorts: "8"), "ICMP 10.1.0.5 10.1.0.4 8", true),
        Case(r(.icmp, "0", sourcePorts: "8"), "ICMP 10.1.0.5 10.1.0.4 8", false),
        // ICMPv6 cannot be named; `*` covers it.
        Case(r(.icmp), "ICMPv6 fd00:1::5 fd00:1::4 128", false),
        Case(r(.any), "ICMPv6 fd00:1::5 fd00:1::4 128", true),
        Case(r(.tcp, sourcePorts: "5000"), "TCP 10.1.0.5 5000 10.1.0.4 443", true),
        Case(r(.tcp, sourcePorts: "5001"), "TCP 10.1.0.5 5000 10.1.0.4 443", false),
        Case(r(.udp, "0"), "UDP 10.1.0.5 5000 10.1.0.4 0", true),
        Case(r(.udp, "65535"), "UDP 10.1.0.5 5000 10.1.0.4 65535", true),
    ]

    static let addresses: [Case] = [
        Case(r(.any), "TCP fd00:1::5 5000 fd00:1::4 443", true),
        Case(r(.any, from: .at("0.0.0.0/0")), "TCP fd00:1::5 5000 fd00:1::4 443", false),
        Case(r(.any, from: .at("0.0.0.0/0")), "TCP 10.1.0.5 5000 10.1.0.4 443", true),
        Case(r(.any, from: .at("::/0")), "TCP 10.1.0.5 5000 10.1.0.4 443", false),
        Case(r(.any, from: .at("::/0")), "TCP fd00:1::5 5000 fd00:1::4 443", true),
        Case(r(.any, from: .at("10.1.0.5")), "TCP 10.1.0.5 5000 10.1.0.4 443", true),
        Case(r(.any, from: .at("10.1.0.5/32")), "TCP 10.1.0.6 5000 10.1.0.4 443", false),
        Case(r(.any, from: .at("10.1.0.0/24", "10.9.0.0/16")), "TCP 10.9.255.255 5000 10.1.0.4 443", true),
        Case(r(.any, from: .at("10.1.0.0/24", "10.9.0.0/16")), "TCP 10.10.0.0 5000 10.1.0.4 443", false),
        Case(r(.any, to: .at("10.1.0.4")), "TCP 10.1.0.5 5000 10.1.0.4 443", true),
        Case(r(.any, to: .at("10.1.0.5")), "TCP 10.1.0.5 5000 10.1.0.4 443", false),
    ]

    @Test("one rule matches", arguments: protocols + addresses)
    func matches(_ test: Case) throws {
        var lab = Lab()
        lab.group("g", test.rule, rule("rest", 4096, .inbound, .allow))
        lab.interface("a", "10.1.0.4", group: "g")
        #expect(lab.ruleName(try flow(test.flow), at: "a", .inbound) == (test.matches ? "r" : "rest"))
    }

    /// A query that leaves a port open matches only rules for all ports (K5).
    @Test("an open port")
    func openPort() throws {
        var lab = Lab()
        lab.group(
            "g", rule("most", 100, .inbound, .allow, .tcp, ports: "0-65534"), rule("all", 200, .inbound, .deny, .tcp))
        lab.interface("a", "10.1.0.4", group: "g")
        var open = try flow("TCP 10.1.0.5 5000 10.1.0.4 443")
        open.destinationPort = nil
        #expect(lab.ruleName(open, at: "a", .inbound) == "all")
    }

    @Test("ascending priority, whatever the order of the document; the other direction's rules are not asked")
    func order() throws {
        var lab = Lab()
        lab.group(
            "g", rule("late", 300, .inbound, .allow), rule("early", 200, .inbound, .deny),
            rule("out", 100, .outbound, .allow))
        lab.interface("a", "10.1.0.4", group: "g")
        #expect(lab.ruleName(try flow("TCP 10.1.0.5 1 10.1.0.4 2"), at: "a", .inbound) == "early")
    }

    @Test("six default rules stand at the end (FACTS b)")
    func defaults() {
        var lab = Lab()
        lab.group("g", rule("written", 4096, .inbound, .deny))
        let group = lab.estate.networkSecurityGroups.values.first
        #expect(
            group?.rules(.inbound).map { "\($0.priority) \($0.name)" } == [
                "4096 written", "65000 AllowVnetInBound", "65001 AllowAzureLoadBalancerInBound", "65500 DenyAllInBound",
            ])
        #expect(
            group?.rules(.outbound).map { "\($0.priority) \($0.name)" } == [
                "65000 AllowVnetOutBound", "65001 AllowInternetOutBound", "65500 DenyAllOutBound",
            ])
        #expect(group?.rules(.inbound).last?.qualifiedName == "defaultSecurityRules/DenyAllInBound")
        #expect(group?.rules(.inbound).first?.flowLogName == "UserRule_written")
    }

    @Test("what each condition of each rule said, up to the match")
    func trials() throws {
        var lab = Lab()
        lab.group(
            "g", rule("udp", 100, .inbound, .deny, .udp, ports: "443"),
            rule("web", 200, .inbound, .allow, .tcp, ports: "443"), rule("never", 300, .inbound, .deny))
        lab.interface("a", "10.1.0.4", group: "g")
        let trials = Evaluator(PolicyBook(lab.estate)).trials(
            of: try flow("TCP 10.1.0.5 1 10.1.0.4 443"), at: Lab.nic("a"), .inbound)
        #expect(trials.map { $0.map(\.rule.name) } == [["udp", "web"]])
        #expect(trials.first?.map(\.matched) == [false, true])
        #expect(trials.first?.first?.protocolMatched == false)
        #expect(trials.first?.first?.destinationPortMatched == true)
    }
}
