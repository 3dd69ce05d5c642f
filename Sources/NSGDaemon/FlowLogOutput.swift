import Dispatch
import FlowLog
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import SystemServices

/// A record as it was written, with what a follower filters by.
struct LogLine: Sendable {
    var text: String
    var isDenied: Bool
    var networkInterface: ResourceID?
}

/// Where records go: lines at once, Azure's files by the interval, and those who follow over the control socket. What
/// goes to files is put together here and written by `LogWriter`.
struct FlowLogOutput: ~Copyable {
    private let writer: LogWriter
    private var denials = DenialAggregator()
    private var securityGroups: NSGFlowLogAggregator
    private var virtualNetworks: VNetFlowLogAggregator
    private var writesLines: Bool
    private var writesVirtualNetworks: Bool
    private var retention: RetentionLimits
    private var ownRetention: [String: RetentionLimits]
    var traffic: TrafficCollector
    private var lastExpiry = LogHour(hoursSince1970: 0)
    private let systemID: UUID
    private let journal: Journal

    /// What the log did not take since it was last asked for.
    private var unwritten: Unwritten?
    private(set) var recordsLost: UInt64 = 0
    /// What the last thousand lines were made of.
    private var recentEntries: [LogEntry] = []
    var recent: [LogLine] { recentEntries.suffix(1000).map(LogLine.init) }
    private var lineWriter = LineWriter()
    /// Lines on their way to the writer, and what they tell.
    private var lines: [UInt8] = []
    private var lineCount: UInt64 = 0
    private var tally = DecisionTally()
    /// Bytes of lines since the accounts were last put into the log's checkpoint.
    private(set) var unaccounted = 0
    /// Records that are left once refused packets are folded; kept for its memory.
    private var folded: [FlowRecord] = []
    private static let mostBuffered = 1 << 20
    /// Each gives false once it wants no more.
    var followers: [UInt64: @Sendable (LogLine) -> Bool] = [:]

    /// Lines that the writer did not take.
    struct Unwritten {
        var since: Timestamp
        var decisions = DecisionTally()
        var lines: UInt64 = 0
    }

    init(writer: LogWriter, systemID: UUID, policy: Policy, analytics: TrafficAnalytics, journal: Journal) {
        self.writer = writer
        traffic = TrafficCollector(analytics, policy: policy)
        self.systemID = systemID
        self.journal = journal
        let settings = policy.configuration.settings.flowLogs
        securityGroups = NSGFlowLogAggregator(settings: policy.nsgFlowLogSettings(systemID: systemID))
        virtualNetworks = VNetFlowLogAggregator(settings: policy.vnetFlowLogSettings)
        writesLines = settings.writesJSONLines
        writesVirtualNetworks = settings.vnetVersion != nil
        retention = RetentionLimits(settings)
        ownRetention = policy.ownRetention
    }

    mutating func adopt(_ policy: Policy) {
        let settings = policy.configuration.settings.flowLogs
        securityGroups.settings = policy.nsgFlowLogSettings(systemID: systemID)
        virtualNetworks.settings = policy.vnetFlowLogSettings
        writesLines = settings.writesJSONLines
        writesVirtualNetworks = settings.vnetVersion != nil
        retention = RetentionLimits(settings)
        ownRetention = policy.ownRetention
        traffic.adopt(policy)
    }

    /// Takes up what an earlier run had logged and not yet put into Azure's files.
    mutating func resume(_ replay: LogReplay, now: Timestamp) {
        for record in replay.flushing { aggregate(record, now: now) }
        let blocks = securityGroups.flushAll(now: now) + virtualNetworks.flushAll(now: now)
        writer.executor.queue.sync { writer.assumeIsolated { $0.complete(blocks) } }
        for record in replay.pending { aggregate(record, now: now) }
    }

    // MARK: Writing

    mutating func write(_ records: [FlowRecord], now: Timestamp) {
        guard !records.isEmpty else { return }
        traffic.add(records)
        folded.removeAll(keepingCapacity: true)
        for record in records { denials.add(record, to: &folded) }
        put(folded.lazy.map(LogEntry.flow), now: now)
    }

    mutating func write(_ gaps: [GapRecord], now: Timestamp) {
        traffic.add(gaps)
        put(gaps.lazy.map(LogEntry.gap), now: now)
    }

    /// What time alone makes due: ends of folding windows, records of elapsed intervals, expired files.
    mutating func tick(now: Timestamp) {
        traffic.tick(now: now)
        put(denials.tick(now: now).lazy.map(LogEntry.flow), now: now)
        flush(securityGroups.flush(now: now) + virtualNetworks.flush(now: now), at: now)
        if LogHour(now) != lastExpiry {
            lastExpiry = LogHour(now)
            _ = writer.put(.expire(retention, own: ownRetention, now: now))
        }
    }

    mutating func finish(now: Timestamp) {
        traffic.handOver(now: now)
        put(denials.flush().lazy.map(LogEntry.flow), now: now)
        flushAll(now: now)
    }

    /// Puts down what everything that was written by now comes to.
    mutating func checkpoint(_ accounts: DecisionLedger.Accounts, isFinal: Bool = false) {
        // Of lines that are lost they tell as of lines that are there.
        guard unwritten == nil else { return }
        unaccounted = 0
        _ = writer.put(.accounts(accounts, isFinal: isFinal))
    }

    /// Adds the refused packets that are counted and in no line yet.
    func addWaiting(to tally: inout DecisionTally) { denials.addWaiting(to: &tally) }

    /// A tick on which flows get their C begins, or has come to its end.
    func continuation(hasEnded: Bool) { _ = writer.put(.continuation(hasEnded: hasEnded)) }

    /// What did not get into the log, once there is room for a line that says so.
    mutating func takeUnwritten() -> Unwritten? {
        guard let unwritten, writer.hasRoom else { return nil }
        self.unwritten = nil
        return unwritten
    }

    private mutating func put(_ entries: some RandomAccessCollection<LogEntry>, now: Timestamp) {
        guard !entries.isEmpty else { return }
        for entry in entries {
            if writesLines {
                lineWriter.write(entry, into: &lines)
                lines.append(UInt8(ascii: "\n"))
                lineCount += 1
            }
            if case .flow(let record) = entry {
                tally.add(record)
                aggregate(record, now: now)
            }
            if lines.count >= Self.mostBuffered { putLines(now: now) }
        }
        putLines(now: now)
        remember(entries)
    }

    private mutating func aggregate(_ record: FlowRecord, now: Timestamp) {
        var blocks = securityGroups.add(record)
        if writesVirtualNetworks { blocks += virtualNetworks.add(record) }
        // One of them is full: what waits anywhere goes at once, so that the checkpoint needs one position alone.
        if !blocks.isEmpty { flush(blocks + takeAll(now: now), at: .distantFuture, now: now) }
    }

    private mutating func takeAll(now: Timestamp) -> [LogBlock] {
        securityGroups.flushAll(now: now) + virtualNetworks.flushAll(now: now)
    }

    private mutating func flushAll(now: Timestamp) { flush(takeAll(now: now), at: .distantFuture, now: now) }

    private mutating func flush(_ blocks: [LogBlock], at time: Timestamp) { flush(blocks, at: time, now: time) }

    /// - Parameter time: intervals that were over by then are complete.
    private mutating func flush(_ blocks: [LogBlock], at time: Timestamp, now: Timestamp) {
        guard !blocks.isEmpty else { return }
        // The lines that the blocks were made of come before them.
        putLines(now: now)
        guard !writer.put(.blocks(blocks, time: time)) else { return }
        let count = blocks.reduce(0) { $0 + UInt64($1.tupleCount) }
        recordsLost += count
        journal.log(.error, "\(count) records of Azure's logs are lost: the log cannot be written", id: "blocks")
    }

    /// What has been put together by now.
    private mutating func putLines(now: Timestamp) {
        defer {
            lineCount = 0
            tally.removeAll()
        }
        guard !lines.isEmpty else { return }
        defer { lines = [] }
        unaccounted += lines.count
        // Behind a loss nothing is written until that is told of: then the log is complete again from there on.
        if unwritten == nil, writer.put(.lines(lines)) { return }
        var lost = unwritten ?? Unwritten(since: now)
        lost.decisions.add(tally)
        lost.lines += lineCount
        unwritten = lost
        recordsLost += lineCount
        journal.log(.error, "flow records are lost: the log cannot be written", id: "lines")
    }

    private mutating func remember(_ entries: some RandomAccessCollection<LogEntry>) {
        recentEntries += entries.suffix(1000)
        if recentEntries.count > 8000 { recentEntries.removeFirst(recentEntries.count - 1000) }
        guard !followers.isEmpty else { return }
        let lines = entries.map(LogLine.init)
        followers = followers.filter { _, follower in lines.allSatisfy(follower) }
    }
}

extension LogLine {
    init(_ entry: LogEntry) {
        text = entry.jsonLine
        switch entry {
        case .flow(let record):
            isDenied = record.access == .deny
            networkInterface = record.interface.networkInterface
        case .gap:
            isDenied = false
            networkInterface = nil
        }
    }
}
