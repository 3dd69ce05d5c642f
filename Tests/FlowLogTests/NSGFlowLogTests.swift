import FlowLog
import JSONText
import NSGModel
import NetworkTypes
import TestSupport
import Testing

@Suite("NSG flow logs (F3, FACTS i1)")
struct NSGFlowLogTests {
    private let minuteLater = Fixture.after(62)

    private func aggregator(
        _ byDefault: FlowLogging<NSGFlowLogVersion> = .enabled(.two), interval: UInt64 = 60,
        resources: [ResourceID: FlowLogging<NSGFlowLogVersion>] = [:],
        capacity: Int = 1000
    ) throws -> NSGFlowLogAggregator {
        let systemID = try Fixture.uuid("9a8b7c6d-0000-4000-8000-0123456789ab")
        return NSGFlowLogAggregator(
            settings: NSGFlowLogSettings(
                systemID: systemID, interval: interval, byDefault: byDefault, resources: resources), capacity: capacity
        )
    }

    private func blocks(_ records: [FlowRecord], _ version: NSGFlowLogVersion = .two) throws -> [LogBlock] {
        var log = try aggregator(.enabled(version))
        for record in records { #expect(log.add(record) == []) }
        return log.flushAll(now: minuteLater)
    }

    @Test("a record of version 2 is Azure's, byte for byte")
    func versionTwo() throws {
        let counters = FlowCounters(packetsSent: 5, bytesSent: 1450, packetsReceived: 4, bytesReceived: 3900)
        var log = try aggregator()
        for record in try [
            Fixture.web(.ended(.counted(counters)), at: Fixture.after(5)), Fixture.web(.began),
            Fixture.refused(at: Fixture.after(1)),
            Fixture.refused(.deniedAgain(9), at: Fixture.after(30)),
        ] { #expect(log.add(record) == []) }
        #expect(log.flush(now: Fixture.after(57)) == [])
        let blocks = log.flush(now: Timestamp(nanoseconds: 1_795_183_442_788_714_999))
        #expect(
            blocks.map(\.text) == [
                """
                {"time":"2026-11-20T14:04:02.7887149Z","systemId":"9a8b7c6d-0000-4000-8000-0123456789ab",\
                "macAddress":"000D3A144D1C","category":"NetworkSecurityGroupFlowEvent","resourceId":"/SUBSCRIPTIONS/\
                11111111-2222-3333-4444-555555555555/RESOURCEGROUPS/LAB/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/SNET-NSG",\
                "operationName":"NetworkSecurityGroupFlowEvents","properties":{"Version":2,"flows":[\
                {"rule":"DefaultRule_DenyAllInBound","flows":[{"mac":"000D3A144D1C","flowTuples":[\
                "1795183383,203.0.113.77,10.1.0.4,40000,22,T,I,D,B,,,,"]}]},\
                {"rule":"DefaultRule_AllowInternetOutBound","flows":[{"mac":"000D3A144D1C","flowTuples":[\
                "1795183382,10.1.0.4,203.0.113.9,50030,443,T,O,A,B,,,,",\
                "1795183387,10.1.0.4,203.0.113.9,50030,443,T,O,A,E,5,1450,4,3900"]}]}]}}
                """
            ])
        #expect(
            blocks.map(\.path) == [
                """
                insights-logs-networksecuritygroupflowevent/resourceId=/SUBSCRIPTIONS/11111111-2222-3333-4444-555555555555/\
                RESOURCEGROUPS/LAB/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/SNET-NSG/y=2026/m=11/d=20/h=14/m=00/\
                macAddress=000D3A144D1C/PT1H.json
                """
            ])
        #expect(blocks.map(\.tupleCount) == [3])
        #expect(log.flushAll(now: Fixture.after(100)) == [])
    }

    @Test("version 1 has eight fields, and begin and deny only")
    func versionOne() throws {
        let block = try #require(
            blocks([Fixture.web(.began), Fixture.web(.ended(.uncounted)), Fixture.refused()], .one).first)
        let json = try JSONValue(parsing: block.text, dialect: .json)
        #expect(json["properties"]?["Version"]?.int == 1)
        #expect(
            json.flowTuples == [
                "1795183382,203.0.113.77,10.1.0.4,40000,22,T,I,D", "1795183382,10.1.0.4,203.0.113.9,50030,443,T,O,A",
            ])
    }

    @Test(
        "tuples of single records",
        arguments: [
            (
                .udp, "fd00:db8::4", "fd00:db8::35",
                .continued(.counted(FlowCounters(packetsSent: 1, bytesReceived: 9))),
                "1795183382,fd00:db8::4,fd00:db8::35,50030,53,U,O,A,C,1,0,0,9"
            ),
            (.tcp, "10.1.0.4", "10.1.0.5", .ended(.uncounted), "1795183382,10.1.0.4,10.1.0.5,50030,53,T,O,A,E,0,0,0,0"),
            (.tcp, "10.1.0.4", "10.1.0.5", .deniedAgain(3), nil), (.sctp, "10.1.0.4", "10.1.0.5", .began, nil),
        ] as [(IPProtocol, String, String, FlowChange, String?)])
    func tuples(protocol: IPProtocol, source: String, destination: String, change: FlowChange, expected: String?) throws
    {
        var record = try Fixture.web(change)
        record.flow = try Fixture.tuple(`protocol`, source, 50030, destination, 53)
        #expect(record.nsgFlowTuple(.two) == expected)
    }

    @Test("ICMP, platform traffic and traffic that no group judged are not logged")
    func leftOut() throws {
        var ping = try Fixture.web(.began)
        ping.flow = try Fixture.tuple(.icmp, "10.1.0.4", nil, "10.1.0.5", nil, icmpType: 8)
        var platform = try Fixture.web(.began)
        platform.facts.isPlatform = true
        var unjudged = try Fixture.web(.began)
        unjudged.facts.stages = []
        var blockedByPlatform = try Fixture.web(.denied)  // S14: the groups allow it
        blockedByPlatform.flow.destinationPort = 25
        #expect(try blocks([ping, platform, unjudged, blockedByPlatform]) == [])
    }

    @Test("an allowed flow is the last group's, a refused one is that of the group that refused")
    func attribution() throws {
        var inbound = try Fixture.refused(.began)
        inbound.facts.stages[0].access = .allow
        var later = try Fixture.refused()
        later.facts.stages = [Fixture.stage(.subnet, "all", .allow), Fixture.stage(.nic, "no-ssh", .deny)]
        let names = { (record: FlowRecord) in
            record.decidingStage.map { "\($0.rule.group.name) \($0.rule.name)" }
        }
        #expect(try names(Fixture.web(.began)) == "snet-nsg AllowInternetOutBound")
        #expect(try names(Fixture.refused()) == "snet-nsg DenyAllInBound")
        #expect(names(inbound) == "web-nsg ssh")
        #expect(names(later) == "web-nsg no-ssh")
    }

    @Test(
        "a record never mixes hours, also where the interval does not divide the hour",
        arguments: [60, 420, 3600, 90_000, 0])
    func hours(interval: UInt64) throws {
        var log = try aggregator(interval: interval)
        let end = Timestamp(seconds: 1_795_183_200 / 3600 * 3600 + 3600)  // 15:00:00
        for offset in [-2, -1, 0, 1] {
            let time = Timestamp(seconds: UInt64(Int(end.seconds) + offset))
            #expect(log.add(try Fixture.web(.began, at: time)) == [])
        }
        let blocks = log.flush(now: end.adding(seconds: 100_000))
        for block in blocks {
            #expect(LogHour(path: block.path) == block.hour)
            for tuple in try JSONValue(parsing: block.text, dialect: .json).flowTuples {
                #expect(
                    tuple.split(separator: ",").first.flatMap { UInt64($0) }.map { $0 / 3600 }
                        == block.hour.hoursSince1970)
            }
        }
        #expect(blocks.reduce(0) { $0 + $1.tupleCount } == 4)
        #expect(Set(blocks.map(\.path)).count == 2)
    }

    @Test("a MAC address that is not known is twelve zeros; each address has a file")
    func unknownMAC() throws {
        let blocks = try blocks([Fixture.web(.began), Fixture.web(.began, mac: nil)])
        #expect(
            blocks.map { $0.path.split(separator: "/").suffix(2).joined(separator: "/") } == [
                "macAddress=000000000000/PT1H.json", "macAddress=000D3A144D1C/PT1H.json",
            ])
        #expect(try JSONValue(parsing: blocks[0].text, dialect: .json)["macAddress"]?.string == "000000000000")
    }

    @Test("flowLogs resources decide per group")
    func settings() throws {
        let records = try [Fixture.web(.began), Fixture.refused(.began)]
        var onlyWeb = try aggregator(.disabled, resources: [Fixture.webGroup: .enabled(.one)])
        var allButWeb = try aggregator(resources: [Fixture.webGroup: .disabled])
        for record in records {
            _ = onlyWeb.add(record)
            _ = allButWeb.add(record)
        }
        #expect(onlyWeb.flushAll(now: minuteLater).map(\.path).allSatisfy { $0.contains("/WEB-NSG/") })
        #expect(allButWeb.flushAll(now: minuteLater).map(\.path).allSatisfy { $0.contains("/SNET-NSG/") })
    }

    @Test("a full table is written before its time")
    func capacity() throws {
        var log = try aggregator(capacity: 3)
        var blocks: [LogBlock] = []
        for second in 0..<7 { blocks += log.add(try Fixture.web(.began, at: Fixture.after(UInt64(second)))) }
        #expect(blocks.map(\.tupleCount) == [3, 3])
        #expect(log.flushAll(now: minuteLater).map(\.tupleCount) == [1])
    }

    @Test("when the clock is set back, what waits is not held back")
    func clockSetBack() throws {
        var log = try aggregator()
        _ = log.add(try Fixture.web(.began, at: Fixture.after(86_400)))
        #expect(log.flush(now: Fixture.time).map(\.hour) == [LogHour(Fixture.after(86_400))])
    }

    @Test("no name leads out of the log folder", arguments: ["..", ".", "a\u{0}b", "../../etc", "A\nB"])
    func pathsStayInside(name: String) throws {
        var record = try Fixture.web(.began)
        record.facts.stages[1].rule.owner = ResourceID("/subscriptions/\(name)/resourceGroups/\(name)")
        let path = try #require(blocks([record]).first).path
        #expect(!path.split(separator: "/").contains { $0 == ".." || $0 == "." })
        #expect(!path.unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test("increments of B, C … E add up to the flow's totals, and every block is JSON", arguments: UInt64(0)..<64)
    func incrementsAddUp(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var log = try aggregator(interval: UInt64.random(in: 1...400, using: &random))
        var totals = FlowCounters()
        var written = totals
        var time = Fixture.time
        var blocks = log.add(try Fixture.web(.began, at: time))
        let steps = Int.random(in: 1...40, using: &random)
        for step in 1...steps {
            totals.packetsSent += UInt64.random(in: 0...9, using: &random)
            totals.bytesSent += UInt64.random(in: 0...(1 << 40), using: &random)
            totals.packetsReceived += UInt64.random(in: 0...9, using: &random)
            totals.bytesReceived += UInt64.random(in: 0...1500, using: &random)
            time = time.adding(seconds: UInt64.random(in: 0...300, using: &random))
            let traffic = Traffic.counted(totals.increment(since: written))
            blocks += log.add(try Fixture.web(step == steps ? .ended(traffic) : .continued(traffic), at: time))
            written = totals
            blocks += log.flush(now: time)
        }
        blocks += log.flushAll(now: time)
        let tuples = try blocks.flatMap { try JSONValue(parsing: $0.text, dialect: .json).flowTuples }
        let fields = tuples.map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        #expect(fields.allSatisfy { $0.count == 13 })
        let states = fields.map { String($0[8]) }.joined()
        #expect(states == "B" + String(repeating: "C", count: steps - 1) + "E")
        func sum(_ field: Int) -> UInt64 {
            var sum: UInt64 = 0
            for tuple in fields { sum += UInt64(tuple[field]) ?? 0 }
            return sum
        }
        let sums: [UInt64] = [sum(9), sum(10), sum(11), sum(12)]
        #expect(sums == [totals.packetsSent, totals.bytesSent, totals.packetsReceived, totals.bytesReceived])
    }

    @Test("counters that were reset count from zero")
    func resetCounters() {
        let before = FlowCounters(packetsSent: 10, bytesSent: 1000, packetsReceived: 10, bytesReceived: 1000)
        let now = FlowCounters(packetsSent: 2, bytesSent: 120, packetsReceived: 12, bytesReceived: 1001)
        #expect(
            now.increment(since: before)
                == FlowCounters(packetsSent: 2, bytesSent: 120, packetsReceived: 2, bytesReceived: 1))
    }
}
