import ControlProtocol
import FlowLog
import Glibc
import JSONText
import NSGModel
import NetworkTypes
import Testing
import TrafficReport

/// 2026-11-20T14:00:00Z
private let start: UInt64 = 1_795_183_200

private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

private func group(_ name: String) -> String {
    "/subscriptions/s/resourceGroups/lab/providers/Microsoft.Network/networkSecurityGroups/\(name)"
}

private func rule(
    _ name: String, _ access: String, priority: Int?, hits: UInt64?, flows: UInt64 = 0, in owner: String = "web",
    direction: Direction = .inbound
) -> TrafficSummary.Rule {
    TrafficSummary.Rule(
        group: group(owner), name: name, type: "User Defined", direction: direction, priority: priority, access: access,
        hits: hits, flows: flows, bytes: flows * 1000)
}

/// A day of traffic.
private func day() throws -> TrafficSummary {
    var summary = TrafficSummary(from: Timestamp(seconds: start), to: Timestamp(seconds: start + 86_400))
    summary.totals.allowed = 48_213
    summary.totals.denied = 9_420
    summary.totals.packets = 8_120_334
    summary.totals.bytes = 6_442_450_944
    summary.totals.talkers = 412
    summary.totals.missing = 40
    summary.timeline.step = 1800
    for index in UInt64(0)..<48 where index != 20 {
        let wave = index < 24 ? index : 48 - index
        summary.timeline.points.append(
            TrafficSummary.Timeline.Point(
                start: Timestamp(seconds: start + index * 1800), allowed: 200 + wave * wave * 6 + index * 37 % 211,
                denied: index == 31 ? 1900 : 60 + index * 53 % 97, bytes: index * 1_000_000))
    }
    let pairs: [(String, String, String, String, String, UInt64, UInt64)] = [
        ("10.1.0.4", "10.2.0.9", "web1", "db1", "InterVNet", 3_221_225_472, 0),
        ("203.0.113.9", "10.1.0.4", "", "web1", "ExternalPublic", 1_610_612_736, 12),
        ("10.1.0.5", "20.60.1.1", "web2", "", "AzurePublic", 805_306_368, 0),
        ("fd00:1::5", "2001:db8:4321:8765:aaaa:bbbb:cccc:dddd", "web2", "", "ExternalPublic", 104_857_600, 0),
        ("198.51.100.7", "10.1.0.5", "", "web2", "S2S", 15_728_640, 3),
        ("10.1.0.4", "10.1.0.5", "web1", "web2", "IntraVNet", 1, 0),
    ]
    for (source, destination, one, other, type, bytes, denied) in pairs {
        summary.talkers.append(
            TrafficSummary.Talker(
                source: try address(source), destination: try address(destination), sourceName: one,
                destinationName: other, flowType: type, flows: bytes / 900_000 + 1, denied: denied,
                packets: bytes / 800, bytes: bytes))
    }
    let ports: [(UInt16, IPProtocol)] = [
        (22, .tcp), (3389, .tcp), (445, .tcp), (23, .tcp), (5060, .udp), (0, .icmp), (8088, .tcp),
    ]
    for host in UInt64(0)..<9 {
        for (index, (port, transport)) in ports.enumerated() where (host + UInt64(index)) % 3 != 2 {
            summary.matrix.cells.append(
                TrafficSummary.DenialMatrix.Cell(
                    source: try address(host == 8 ? "2001:db8:1:2:3:4:5:6" : "203.0.113.\(20 + host)"),
                    protocol: transport, port: port, flows: 3000 / ((host + 1) * (UInt64(index) + 1) * (host + 1)) + 1))
        }
    }
    summary.matrix.sources = 340
    summary.matrix.ports = 29
    summary.denials = try ["22", "3389", "445"].enumerated().map { index, port in
        TrafficSummary.Denial(
            source: try address("203.0.113.\(20 + index)"), destination: try address("10.1.0.4"), protocol: .tcp,
            port: try #require(UInt16(port)), direction: .inbound, group: group("web"), rule: "DenyAllInBound",
            flows: 3000 / UInt64(index + 1), last: Timestamp(seconds: start + 86_000))
    }
    summary.rules = [
        rule("AllowHttps", "Allow", priority: 100, hits: 41_220, flows: 40_100),
        rule("DenyAllInBound", "Deny", priority: 65500, hits: 9_412, flows: 9_400),
        rule(
            "AllowSqlFromWebTierOfTheOtherRegionAndTheBackupSite", "Allow", priority: 200, hits: 6_020, flows: 5_900,
            in: "database-of-record"),
        rule("AllowVnetOutBound", "Allow", priority: 65000, hits: 913, flows: 910, direction: .outbound),
        rule("OldSsh", "Allow", priority: nil, hits: nil, flows: 12),
    ]
    summary.neverFired = [
        rule("AllowLegacyFtp", "Allow", priority: 300, hits: 0), rule("DenyTelnet", "Deny", priority: 310, hits: 0),
    ]
    summary.ruleCount = 21
    summary.neverFiredCount = 7
    summary.gaps = [
        TrafficSummary.Gap(
            from: Timestamp(seconds: start + 3600), to: Timestamp(seconds: start + 3660), missing: 40,
            reason: "capture overrun", group: group("web"), rule: "DenyAllInBound")
    ]
    return summary
}

private func page(
    _ summary: TrafficSummary, host: String = "edge-router-03", policy: String = "web, db on 3 interfaces"
) -> String {
    HTMLReport(summary, host: host, policy: policy, version: "1.0", created: Timestamp(seconds: start + 86_460)).page
}

/// Written where `NSGD_REPORT` says, for a look in a browser.
private func keep(_ page: String, _ name: String) {
    guard let folder = unsafe getenv("NSGD_REPORT").map({ unsafe String(cString: $0) }),
        let file = unsafe fopen("\(folder)/\(name).html", "w")
    else { return }
    unsafe fputs(page, file)
    unsafe fclose(file)
}

/// The names of elements that are not closed, or closed in another order than they were opened.
private func unbalanced(_ page: String) -> [String] {
    let empty: Set<Substring> = ["meta", "!DOCTYPE"]
    var open: [Substring] = []
    var wrong: [String] = []
    for piece in page.split(separator: "<").dropFirst(0) where piece.contains(">") {
        let tag = piece.prefix { $0 != ">" }
        let name = tag.prefix { $0 != " " && $0 != "/" }
        if tag.hasPrefix("/") {
            if open.popLast() != tag.dropFirst() { wrong.append(String(tag)) }
        } else if !tag.hasSuffix("/"), !empty.contains(name) {
            open.append(name)
        }
    }
    return wrong + open.map(String.init)
}

@Suite("The report")
struct TrafficReportTests {
    @Test("the answer of the daemon comes back as it was")
    func roundTrip() throws {
        let summary = try day()
        #expect(TrafficSummary(try JSONValue(parsing: summary.json.text(), dialect: .json)) == summary)
        let method = try #require(ControlInterface.definition.methods["Traffic"])
        #expect(ControlInterface.definition.departure(of: ["traffic": summary.json], from: method.output) == nil)
        #expect(TrafficSummary(["from": "2026-11-20T14:00:00Z"]) == nil)
        let query = TrafficQuery(since: Timestamp(seconds: start), networkInterface: "web1", limit: 7, parts: [.rules])
        #expect(try TrafficQuery(query.json) == query)
        #expect(ControlInterface.definition.departure(of: query.json, from: method.input) == nil)
        #expect(throws: TrafficQuery.Problem.self) { try TrafficQuery(["since": "yesterday"]) }
        #expect(try TrafficQuery(["since": "2026-11-20T14:00:00Z", "limit": 1_000_000]).limit == TrafficQuery.mostRows)
    }

    @Test("a page needs nothing but itself, and says what the figures lack")
    func selfContained() throws {
        let page = page(try day())
        keep(page, "day")
        #expect(unbalanced(page) == [])
        for word in ["http:", "https:", "<script", "url(", "@import", "src="] {
            #expect(!page.contains(word), "\(word)")
        }
        #expect(page.contains("prefers-color-scheme: dark"))
        #expect(page.contains("40 decisions declared missing") && page.contains("capture overrun"))
        #expect(page.contains("7 of 21") && page.contains("never fired") && page.contains("AllowLegacyFtp"))
        #expect(
            page.contains("The first 6 of 412 pairs") && page.contains("9 of 340 sources by 7 of 29 destination ports"))
        #expect(page.contains("2026-11-20 14:00 to 2026-11-21 14:00 UTC"))
    }

    @Test("a period without traffic, and one of a single flow, are pages too")
    func empty() throws {
        let nothing = page(TrafficSummary(from: Timestamp(seconds: start), to: Timestamp(seconds: start)))
        keep(nothing, "empty")
        #expect(unbalanced(nothing) == [] && nothing.contains("No traffic in this period."))
        #expect(nothing.contains("Nothing was refused.") && !nothing.contains("class=\"notice\""))

        var summary = TrafficSummary(from: Timestamp(seconds: start), to: Timestamp(seconds: start + 30))
        summary.timeline.step = 600
        summary.totals.allowed = 1
        summary.timeline.points = [
            TrafficSummary.Timeline.Point(start: Timestamp(seconds: start), allowed: 1, denied: 0, bytes: 0)
        ]
        let single = page(summary)
        keep(single, "single")
        #expect(unbalanced(single) == [])
    }

    @Test("names from documents stay text")
    func hostileNames() throws {
        var summary = try day()
        let evil = "</text><script>alert(1)</script>\"'&\u{202e}\u{0}"
        summary.rules[0].name = evil
        summary.rules[0].group = evil
        summary.talkers[0].sourceName = evil
        summary.denials[0].rule = evil
        summary.gaps[0].reason = evil
        let page = page(summary, host: evil, policy: evil)
        #expect(!page.contains("<script") && !page.contains("\u{202e}") && !page.contains("\u{0}"))
        #expect(unbalanced(page) == [])
    }

    @Test(
        "numbers as people read them",
        arguments: [
            (0, "0", "0", "0 B"), (999, "999", "999", "999 B"), (1000, "1,000", "1k", "1000 B"),
            (1023, "1,023", "1k", "1023 B"), (1024, "1,024", "1k", "1 KiB"), (1536, "1,536", "1.5k", "1.5 KiB"),
            (999_999, "999,999", "1M", "977 KiB"), (1_048_575, "1,048,575", "1M", "1 MiB"),
            (.max, "18,446,744,073,709,551,615", "18E", "16 EiB"),
        ] as [(UInt64, String, String, String)])
    func figures(value: UInt64, grouped: String, short: String, bytes: String) {
        #expect(Figures.grouped(value) == grouped)
        #expect(Figures.short(value) == short)
        #expect(Figures.bytes(value) == bytes)
    }

    @Test("counts that no scale holds do no harm")
    func extremes() throws {
        var summary = try day()
        summary.timeline.points[3].allowed = .max
        summary.timeline.points[4].denied = .max
        summary.talkers[0].bytes = .max
        summary.rules[0].hits = .max
        summary.matrix.cells[0].flows = .max
        #expect(unbalanced(page(summary)) == [])
    }
}
