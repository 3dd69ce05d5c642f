import AnalyticsStore
import FlowLog
import Glibc
import NSGModel
import NetworkTypes
import Testing
import TrafficReport

/// A store in a folder of its own, which goes with the value.
private final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/nsgd-store-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Problem() }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    struct Problem: Error {}

    deinit {
        for name in files { unsafe unlink("\(path)/\(name)") }
        unsafe rmdir(path)
    }

    var database: String { "\(path)/analytics.db" }

    var files: [String] {
        guard let stream = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    func write(_ text: String) throws {
        guard let file = unsafe fopen(database, "w") else { throw Problem() }
        unsafe fputs(text, file)
        unsafe fclose(file)
    }
}

private func id(_ type: String, _ name: String) -> ResourceID {
    ResourceID(subscription: "sub", resourceGroup: "lab", type: type, name: name)
}

/// 2026-11-20T14:00:00Z, where an interval begins.
private let start: UInt64 = 1_795_183_200
private let now = Timestamp(seconds: start + 1200)

/// A batch of flows on their way from a to b: out of the one, into the other.
private struct Flows {
    var batch = TrafficBatch()

    private func side(_ nic: String, _ direction: Direction, denied: Bool, _ rule: String) -> TrafficSide {
        TrafficSide(
            interface: LoggedInterface(networkInterface: id("networkInterfaces", nic), device: "veth-\(nic)"),
            direction: direction, isDenied: denied,
            rule: RuleReference(owner: id("networkSecurityGroups", "web"), name: rule, kind: .custom))
    }

    mutating func add(
        _ source: String, _ destination: String, _ port: UInt16, count: UInt64, bytes: UInt64 = 0, denied: Bool = false,
        from nic: String? = nil, to other: String? = nil, at moment: UInt64 = start
    ) throws {
        let ways = [nic.map { ($0, Direction.outbound) }, other.map { ($0, .inbound) }].compactMap(\.self)
        for (nic, direction) in ways {
            let refuses = denied && direction == .inbound
            let side = side(nic, direction, denied: refuses, refuses ? "DenySsh" : "AllowAll")
            let place = batch.sides.firstIndex { $0.side == side } ?? batch.sides.count
            if place == batch.sides.count { batch.sides.append((side, 600)) }
            var sums = TrafficSums(first: Timestamp(seconds: moment + 5))
            sums.flows = count
            sums.lastBegan = Timestamp(seconds: moment + 9)
            sums.traffic = FlowCounters(packetsSent: refuses ? 0 : count, bytesSent: refuses ? 0 : bytes)
            batch.rows[
                TrafficKey(
                    side: Int32(place), start: UInt32(moment), protocol: .tcp, port: port,
                    source: try #require(IPAddress(source)), destination: try #require(IPAddress(destination)))] = sums
        }
    }
}

@Suite("The file of traffic analytics")
struct AnalyticsStoreTests {
    private let atlas = AddressAtlas(Estate())

    private func everything(_ nic: String? = nil, points: Int = 96) -> TrafficQuery {
        TrafficQuery(since: Timestamp(seconds: start), networkInterface: nic, points: points)
    }

    @Test("parts of a row are added up, and are there after a restart")
    func upsert() throws {
        let folder = try Folder()
        var flows = Flows()
        try flows.add("203.0.113.9", "10.1.0.4", 443, count: 3, bytes: 300, to: "a")
        flows.batch.gaps = [
            GapRecord(
                from: Timestamp(seconds: start), to: Timestamp(seconds: start + 60), missing: 4, reason: .captureOverrun
            )
        ]
        for _ in 0..<3 {
            var store = AnalyticsStore(path: folder.database)
            try store.add(flows.batch, atlas: atlas)
            flows.batch.gaps = []
        }
        var store = AnalyticsStore(path: folder.database)
        let summary = try store.summary(everything(), now: now)
        #expect(summary.totals.allowed == 9 && summary.totals.bytes == 900 && summary.totals.packets == 9)
        #expect(summary.totals.missing == 4 && summary.gaps.map(\.reason) == ["capture overrun"])
        #expect(summary.talkers.count == 1 && summary.talkers.first?.flows == 9)
        #expect(summary.from == Timestamp(seconds: start) && summary.to == Timestamp(seconds: start + 600))
        #expect(summary.ports.map(\.name) == ["443/TCP https"])

        var status = stat()
        #expect(unsafe stat(folder.database, &status) == 0 && status.st_mode & 0o777 == 0o640)
        store.close()
        #expect(folder.files == ["analytics.db"], "the journal is written into the file")
    }

    @Test("a flow that passes two interfaces counts once; what the second refuses has not passed")
    func countedOnce() throws {
        let folder = try Folder()
        var store = AnalyticsStore(path: folder.database)
        var flows = Flows()
        try flows.add("10.1.0.4", "10.1.0.5", 80, count: 10, bytes: 1000, from: "a", to: "b")
        try flows.add("10.1.0.4", "10.1.0.5", 22, count: 4, bytes: 160, denied: true, from: "a", to: "b")
        try flows.add("10.1.0.4", "203.0.113.9", 443, count: 2, bytes: 50, from: "a", at: start + 600)
        try store.add(flows.batch, atlas: atlas)

        let summary = try store.summary(everything(), now: now)
        #expect(summary.totals.allowed == 12 && summary.totals.denied == 4 && summary.totals.bytes == 1050)
        #expect(summary.talkers.map(\.flows) == [10, 2] && summary.talkers.map(\.denied) == [4, 0])
        #expect(summary.denials.map(\.rule) == ["DenySsh"] && summary.denials.first?.flows == 4)
        #expect(summary.denials.first?.last == Timestamp(seconds: start + 9))
        #expect(summary.matrix.cells.map(\.flows) == [4] && summary.matrix.sources == 1)
        #expect(summary.timeline.points.map(\.allowed) == [10, 2] && summary.timeline.points.map(\.denied) == [4, 0])
        #expect(try store.summary(everything(points: 1), now: now).timeline.points.map(\.allowed) == [12])
        let decided = Dictionary(uniqueKeysWithValues: summary.rules.map { ("\($0.direction) \($0.name)", $0.flows) })
        #expect(decided == ["inbound AllowAll": 10, "inbound DenySsh": 4, "outbound AllowAll": 16])

        #expect(try store.summary(everything("A"), now: now).totals.allowed == 16, "what a let out")
        #expect(try store.summary(everything("b"), now: now).totals.denied == 4)
        #expect(try store.summary(everything("nobody"), now: now).talkers.isEmpty)
        let later = TrafficQuery(since: Timestamp(seconds: start + 601), limit: 1)
        #expect(try store.summary(later, now: now).talkers.map { "\($0.destination)" } == ["203.0.113.9"])
    }

    @Test("intervals beyond the retention go, a few at a time")
    func retention() throws {
        let folder = try Folder()
        var store = AnalyticsStore(path: folder.database)
        var flows = Flows()
        for day in UInt64(0)..<5 {
            try flows.add("10.1.0.4", "203.0.113.9", 443, count: 1, from: "a", at: start + day * 86_400)
        }
        try store.add(flows.batch, atlas: atlas)
        let limit = Timestamp(seconds: start + 3 * 86_400)
        var hasMore = try store.expire(before: limit, atMost: 2)
        #expect(hasMore)
        hasMore = try store.expire(before: limit, atMost: 2)
        #expect(!hasMore)
        let left = try store.summary(everything(), now: .distantFuture)
        #expect(left.totals.allowed == 2 && left.from == limit)
    }

    @Test(
        "a file that is none of ours is put aside, and a new one begun",
        arguments: [
            "no database at all, but long enough to be taken for one: " + String(repeating: "x", count: 8192), "short",
        ])
    func damage(text: String) throws {
        let folder = try Folder()
        try folder.write(text)
        var store = AnalyticsStore(path: folder.database)
        var flows = Flows()
        try flows.add("10.1.0.4", "203.0.113.9", 443, count: 1, from: "a")
        try store.add(flows.batch, atlas: atlas)
        let damage = store.takeDamage()
        #expect(damage?.contains("analytics.db.broken") == true)
        #expect(folder.files.contains("analytics.db.broken"))
        #expect(try store.summary(everything(), now: now).totals.allowed == 1)
        #expect(store.takeDamage() == nil)
    }

    @Test("what does not fit fails whole, and what is there stays; older intervals make room for newer ones")
    func full() throws {
        let folder = try Folder()
        var store = AnalyticsStore(path: folder.database, limits: AnalyticsStore.Limits(bytes: 128 << 10))
        func many(_ count: UInt32, at moment: UInt64) throws -> TrafficBatch {
            var flows = Flows()
            for number in 0..<count {
                try flows.add("\(IPv4Address(0xcb00_7100 + number))", "10.1.0.4", 443, count: 1, to: "a", at: moment)
            }
            return flows.batch
        }
        try store.add(many(200, at: start), atlas: atlas)
        let tooMuch = try many(2500, at: start)
        #expect(throws: StoreError.self) { try store.add(tooMuch, atlas: atlas) }
        #expect(try store.summary(everything(), now: now).totals.allowed == 200)

        for interval in UInt64(1)..<12 { try store.add(many(200, at: start + 600 * interval), atlas: atlas) }
        let summary = try store.summary(everything(), now: .distantFuture)
        #expect(summary.from > Timestamp(seconds: start) && summary.totals.allowed >= 200)
        #expect(summary.to == Timestamp(seconds: start + 600 * 12))
    }

    @Test("a question that takes too long is ended")
    func deadline() throws {
        let folder = try Folder()
        var store = AnalyticsStore(path: folder.database, limits: AnalyticsStore.Limits(nanoseconds: 0))
        var flows = Flows()
        for number in UInt16(1)...5000 { try flows.add("10.1.0.4", "203.0.113.9", number, count: 1, from: "a") }
        try store.add(flows.batch, atlas: atlas)
        let error = #expect(throws: StoreError.self) { try store.summary(everything(), now: now) }
        #expect(error?.isInterruption == true)
    }
}
