import FlowLog
import NSGModel
import NetworkTypes
import Testing

@Suite("Lines of flows.jsonl, read back (F8)")
struct LogEntryReaderTests {
    private var reader = LogEntryReader {
        UUID(named: $0.name)
    } network: { _ in
        Fixture.network
    }

    private static func records() throws -> [FlowRecord] {
        let counters = FlowCounters(packetsSent: 5, bytesSent: 1450, packetsReceived: 4, bytesReceived: .max)
        var platform = try Fixture.web(.began)
        platform.facts.stages = []
        platform.facts.isPlatform = true
        var adopted = try Fixture.web(.began)
        adopted.facts.attribution = .adopted
        var passedOn = try Fixture.web(.ended(.counted(counters)), mac: nil)
        passedOn.facts.isPassedOn = true
        passedOn.flowID = nil
        passedOn.repeats = 41
        var continued = try Fixture.web(.continued(.counted(counters)))
        continued.total = FlowCounters(packetsSent: 50, bytesSent: 14_500, packetsReceived: 40, bytesReceived: .max)
        var ping = try Fixture.web(.began)
        ping.flow = try Fixture.tuple(.icmp, "10.1.0.4", nil, "10.1.0.5", nil, icmpType: 8)
        var esp = try Fixture.refused()
        esp.flow = try Fixture.tuple(.esp, "fd00::4", nil, "fd00::5", nil)
        var admin = try Fixture.refused()
        let collection = ResourceID(
            "\(Fixture.id("networkManagers", "hub"))/securityAdminConfigurations/base/ruleCollections/all")
        admin.facts.stages = [
            StageRecord(
                level: .admin, rule: RuleReference(owner: collection, name: "no ssh", kind: .admin),
                groupGUID: UUID(named: collection.name), priority: Priority(10), access: .deny)
        ]
        return [
            try Fixture.web(.began), try Fixture.refused(), try Fixture.refused(.deniedAgain(41)),
            try Fixture.refused(.deniedAgain(1)), platform, adopted,
            passedOn, continued, try Fixture.web(.ended(.uncounted)), ping, esp, admin,
        ]
    }

    @Test("what was written is read", arguments: try records())
    mutating func readsRecords(record: FlowRecord) throws {
        let entry = reader.entry(record.jsonLine.utf8)
        #expect(entry == .flow(record))
    }

    @Test("gaps, with the rules that let missing decisions pass")
    mutating func readsGaps() {
        let rule = CountedRule(
            rule: RuleReference(owner: Fixture.webGroup, name: "web", kind: .custom), direction: .inbound)
        let default_ = CountedRule(
            rule: RuleReference(owner: Fixture.subnetGroup, name: "AllowVnetInBound", kind: .default),
            direction: .outbound)
        for gap in [
            GapRecord(from: Fixture.time, to: Fixture.after(3), missing: 7, reason: .captureOverrun, rule: rule),
            GapRecord(
                from: Fixture.time, to: Fixture.after(3), missing: 0, reason: .writeFailed,
                passed: [
                    GapRecord.Passed(rule: default_, missing: 9), GapRecord.Passed(rule: .platform(.allow), missing: 1),
                ], records: 12),
            GapRecord(
                from: Fixture.time, to: Fixture.after(3), missing: 1, reason: .daemonStopped, rule: .platform(.deny)),
        ] {
            let entry = reader.entry(LogEntry.gap(gap).jsonLine.utf8)
            #expect(entry == .gap(gap))
        }
    }

    @Test("a line that was cut anywhere is none")
    mutating func refusesTornLines() throws {
        let line = Array(try Fixture.refused().jsonLine.utf8)
        for length in line.indices {
            let entry = reader.entry(line[..<length])
            #expect(entry == nil)
        }
        let strange = reader.entry(#"{"time":"2026-11-20T14:03:02.500Z","event":"decision","access":"Deny"}"#.utf8)
        #expect(strange == nil)
    }

    @Test(
        "times as RFC 3339",
        arguments: [
            ("2026-11-20T14:03:02.500Z", 1_795_183_382_500_000_000), ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T23:59:59.123456789Z", 1_709_251_199_123_456_789), ("2023-02-29T00:00:00Z", nil),
            ("2026-11-20T24:00:00Z", nil), ("2026-11-20T14:03:02.Z", nil), ("2026-11-20 14:03:02Z", nil),
            ("2026-11-20T14:03:02+00:00", nil), ("2600-01-01T00:00:00Z", nil), ("", nil),
        ] as [(String, UInt64?)])
    func readsTimes(text: String, nanoseconds: UInt64?) {
        #expect(Timestamp(rfc3339: text)?.nanoseconds == nanoseconds)
    }
}
