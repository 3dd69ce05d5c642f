import FlowLog
import JSONText
import NSGModel
import NetworkTypes
import Testing

@Suite("Lines of flows.jsonl (F8)")
struct JSONLineTests {
    private let group =
        "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/Lab/providers/Microsoft.Network"

    @Test("an allowed first packet")
    func decision() throws {
        #expect(
            try LogEntry.flow(Fixture.web(.began)).jsonLine == """
                {"time":"2026-11-20T14:03:02.500Z","event":"decision","nic":"\(group)/networkInterfaces/web1-nic",\
                "interface":"veth-web1","macAddress":"000D3A144D1C","direction":"Outbound","protocol":"TCP","source":"10.1.0.4","sourcePort":50030,\
                "destination":"203.0.113.9","destinationPort":443,"access":"Allow","stages":[{"level":"nic",\
                "networkSecurityGroup":"\(group)/networkSecurityGroups/web-nsg","ruleName":"securityRules/web","priority":200,\
                "access":"Allow","file":"policy.d/web.json:12"},{"level":"subnet",\
                "networkSecurityGroup":"\(group)/networkSecurityGroups/snet-nsg",\
                "ruleName":"defaultSecurityRules/AllowInternetOutBound","priority":65001,"access":"Allow"}],"state":"B",\
                "packetsSent":0,"bytesSent":0,"packetsReceived":0,"bytesReceived":0,"flow":3405691582}
                """)
    }

    @Test("a refused packet and its repeats")
    func denials() throws {
        let stages = """
            "stages":[{"level":"subnet","networkSecurityGroup":"\(group)/networkSecurityGroups/snet-nsg",\
            "ruleName":"defaultSecurityRules/DenyAllInBound","priority":65500,"access":"Deny"},{"level":"nic",\
            "networkSecurityGroup":"\(group)/networkSecurityGroups/web-nsg","ruleName":"securityRules/ssh","priority":300,\
            "access":"Allow","derived":true}],"state":"D"
            """
        #expect(try Fixture.refused().jsonLine.hasSuffix(#""access":"Deny",\#(stages),"repeats":1}"#))
        #expect(
            try Fixture.refused(.deniedAgain(41)).jsonLine.hasSuffix(
                #""access":"Deny",\#(stages),"repeats":41,"again":true}"#))
        #expect(try Fixture.refused().jsonLine.contains(#""event":"decision""#))
    }

    @Test("news of a flow, with increments or without")
    func flowNews() throws {
        let counters = FlowCounters(packetsSent: 5, bytesSent: 1450, packetsReceived: 4, bytesReceived: .max)
        let ended = try Fixture.web(.ended(.counted(counters))).jsonLine
        #expect(ended.contains(#""event":"flow""#))
        #expect(
            ended.hasSuffix(
                #""state":"E","packetsSent":5,"bytesSent":1450,"packetsReceived":4,"bytesReceived":18446744073709551615,"#
                    + #""flow":3405691582}"#))
        #expect(
            try Fixture.web(.continued(.uncounted)).jsonLine.hasSuffix(
                #""state":"C","uncounted":true,"flow":3405691582}"#))
    }

    @Test("a flow without a packet that was seen is no decision", arguments: [Attribution.label, .adopted])
    func adopted(attribution: Attribution) throws {
        var record = try Fixture.web(.began)
        record.facts.attribution = attribution
        #expect(record.jsonLine.contains(#""event":"flow""#))
        #expect(record.jsonLine.contains(#""adopted":true"#) == (attribution == .adopted))
    }

    @Test("what Azure leaves out: ICMP by name, other protocols by number, platform traffic")
    func otherProtocols() throws {
        var record = try Fixture.web(.began)
        record.flow = try Fixture.tuple(.icmp, "10.1.0.4", nil, "10.1.0.5", nil, icmpType: 8)
        #expect(
            record.jsonLine.contains(
                #""protocol":"ICMP","source":"10.1.0.4","destination":"10.1.0.5","icmpType":8,"access""#))
        record.flow = try Fixture.tuple(.icmpv6, "fd00::4", nil, "fd00::5", nil)
        #expect(record.jsonLine.contains(#""protocol":58,"source":"fd00::4","destination":"fd00::5","access""#))
        record.facts.isPlatform = true
        record.facts.stages = []
        record.facts.interface.networkInterface = nil
        #expect(record.jsonLine.contains(#""stages":[],"state""#))
        #expect(record.jsonLine.hasSuffix(#""platform":true}"#))
        #expect(!record.jsonLine.contains(#""nic""#))
    }

    @Test("a gap")
    func gap() throws {
        let rule = CountedRule(
            rule: RuleReference(owner: Fixture.webGroup, name: "web", kind: .custom), direction: .inbound)
        var gap = GapRecord(
            from: Fixture.time, to: Fixture.after(3), missing: 1712, reason: .captureOverrun, rule: rule)
        #expect(
            LogEntry.gap(gap).jsonLine == """
                {"time":"2026-11-20T14:03:05.500Z","event":"gap","from":"2026-11-20T14:03:02.500Z",\
                "to":"2026-11-20T14:03:05.500Z","missing":1712,"reason":"capture overrun","rule":"securityRules/web",\
                "networkSecurityGroup":"\(group)/networkSecurityGroups/web-nsg","direction":"Inbound"}
                """)
        gap.rule = nil
        #expect(LogEntry.gap(gap).jsonLine.hasSuffix(#""reason":"capture overrun"}"#))
    }

    @Test(
        "names cannot break out of the line",
        arguments: [#"a"b"#, "a\\", "a\nb", "a\u{0}b", "\u{2028}é", "\",\"access\":\"Allow"])
    func hostileNames(name: String) throws {
        var record = try Fixture.refused()
        record.facts.interface.device = name
        record.facts.stages[0].rule.name = name
        let line = record.jsonLine
        #expect(!line.contains("\n"))
        let json = try JSONValue(parsing: line, dialect: .json)
        #expect(json["interface"]?.string == name)
        #expect(json["stages"]?[0]?["ruleName"]?.string == "defaultSecurityRules/" + name)
        #expect(json["access"]?.string == "Deny")
    }
}
