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

/// Where records go: JSON Lines at once, Azure's files by the interval, and those who follow over the control socket.
struct FlowLogOutput: ~Copyable {
    private var folder: FlowLogFolder
    private var denials = DenialAggregator()
    private var securityGroups: NSGFlowLogAggregator
    private var virtualNetworks: VNetFlowLogAggregator
    private var writesLines: Bool
    private var writesVirtualNetworks: Bool
    private var retention: RetentionLimits
    private var lastExpiry = LogHour(hoursSince1970: 0)
    /// Bytes of `flows.jsonl` before it is moved on.
    private static let mostLines: UInt64 = 256 << 20
    private let systemID: UUID
    private let journal: Journal

    /// Lines that could not be written, since when.
    private var unwritten: (since: Timestamp, count: UInt64)?
    private(set) var recordsLost: UInt64 = 0
    /// What the last thousand lines were made of.
    private var recentEntries: [LogEntry] = []
    var recent: [LogLine] { recentEntries.suffix(1000).map(LogLine.init) }
    private var writer = LineWriter()
    /// Lines on their way to the file; kept for its memory.
    private var lines: [UInt8] = []
    /// Records that are left once refused packets are folded; kept for its memory.
    private var folded: [FlowRecord] = []
    private static let mostBuffered = 1 << 20
    /// Each gives false once it wants no more.
    var followers: [UInt64: @Sendable (LogLine) -> Bool] = [:]

    init(folder: String, systemID: UUID, policy: Policy, journal: Journal) {
        self.folder = FlowLogFolder(folder)
        self.systemID = systemID
        self.journal = journal
        let settings = policy.configuration.settings.flowLogs
        securityGroups = NSGFlowLogAggregator(settings: policy.nsgFlowLogSettings(systemID: systemID))
        virtualNetworks = VNetFlowLogAggregator(settings: policy.vnetFlowLogSettings)
        writesLines = settings.writesJSONLines
        writesVirtualNetworks = settings.vnetVersion != nil
        retention = RetentionLimits(settings)
    }

    mutating func adopt(_ policy: Policy) {
        let settings = policy.configuration.settings.flowLogs
        securityGroups.settings = policy.nsgFlowLogSettings(systemID: systemID)
        virtualNetworks.settings = policy.vnetFlowLogSettings
        writesLines = settings.writesJSONLines
        writesVirtualNetworks = settings.vnetVersion != nil
        retention = RetentionLimits(settings)
    }

    mutating func repair(now: Timestamp) {
        for problem in folder.repairAll(around: LogHour(now)) {
            journal.log(.warning, "a flow log could not be repaired: \(problem)", id: "repair")
        }
    }

    // MARK: Writing

    mutating func write(_ records: [FlowRecord], now: Timestamp) {
        guard !records.isEmpty else { return }
        folded.removeAll(keepingCapacity: true)
        for record in records { denials.add(record, to: &folded) }
        put(folded.lazy.map(LogEntry.flow), now: now)
    }

    mutating func write(_ gaps: [GapRecord], now: Timestamp) { put(gaps.lazy.map(LogEntry.gap), now: now) }

    /// What time alone makes due: ends of folding windows, records of elapsed intervals, expired files.
    mutating func tick(now: Timestamp) {
        folder.rotateLines(beyond: Self.mostLines)
        put(denials.tick(now: now).lazy.map(LogEntry.flow), now: now)
        write(securityGroups.flush(now: now), now: now)
        write(virtualNetworks.flush(now: now), now: now)
        if LogHour(now) != lastExpiry {
            lastExpiry = LogHour(now)
            folder.forgetHours(before: lastExpiry)
            folder.expire(retention, now: lastExpiry)
        }
    }

    mutating func finish(now: Timestamp) {
        put(denials.flush().lazy.map(LogEntry.flow), now: now)
        write(securityGroups.flushAll(now: now), now: now)
        write(virtualNetworks.flushAll(now: now), now: now)
    }

    private mutating func put(_ entries: some RandomAccessCollection<LogEntry>, now: Timestamp) {
        guard !entries.isEmpty else { return }
        for entry in entries {
            if case .flow(let record) = entry {
                write(securityGroups.add(record), now: now)
                if writesVirtualNetworks { write(virtualNetworks.add(record), now: now) }
            }
            guard writesLines else { continue }
            writer.write(entry, into: &lines)
            lines.append(UInt8(ascii: "\n"))
            if lines.count >= Self.mostBuffered { writeLines(now: now) }
        }
        writeLines(now: now)
        remember(entries)
        if !writesLines { unwritten = nil }
    }

    /// What has been put together by now, with one system call.
    private mutating func writeLines(now: Timestamp) {
        guard !lines.isEmpty else { return }
        defer { lines.removeAll(keepingCapacity: true) }
        do throws(KernelError) {
            if let unwritten {
                let gap = GapRecord(from: unwritten.since, to: now, missing: unwritten.count, reason: .writeFailed)
                try folder.append(lines: Array((LogEntry.gap(gap).jsonLine + "\n").utf8) + lines)
            } else {
                try folder.append(lines: lines)
            }
            unwritten = nil
        } catch {
            let count = UInt64(lines.count { $0 == UInt8(ascii: "\n") })
            unwritten = (unwritten?.since ?? now, (unwritten?.count ?? 0) + count)
            lose(count, because: error)
        }
    }

    private mutating func write(_ blocks: [LogBlock], now: Timestamp) {
        for block in blocks {
            do throws(KernelError) {
                // The first attempt may find a file that somebody else wrote to; the second repairs it.
                if !(try folder.append(block)) { _ = try folder.append(block) }
            } catch {
                lose(UInt64(block.tupleCount), because: error)
            }
        }
    }

    private mutating func lose(_ count: UInt64, because error: KernelError) {
        recordsLost += count
        journal.log(.error, "flow records are lost: \(error)", id: "flow log")
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
