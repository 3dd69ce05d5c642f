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
    /// The last thousand lines.
    private(set) var recent: [LogLine] = []
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

    mutating func write(_ entries: [LogEntry], now: Timestamp) {
        var folded: [LogEntry] = []
        for entry in entries {
            switch entry {
            case .flow(let record): folded += denials.add(record).map(LogEntry.flow)
            case .gap: folded.append(entry)
            }
        }
        put(folded, now: now)
    }

    /// What time alone makes due: ends of folding windows, records of elapsed intervals, expired files.
    mutating func tick(now: Timestamp) {
        folder.rotateLines(beyond: Self.mostLines)
        put(denials.tick(now: now).map(LogEntry.flow), now: now)
        write(securityGroups.flush(now: now), now: now)
        write(virtualNetworks.flush(now: now), now: now)
        if LogHour(now) != lastExpiry {
            lastExpiry = LogHour(now)
            folder.forgetHours(before: lastExpiry)
            folder.expire(retention, now: lastExpiry)
        }
    }

    mutating func finish(now: Timestamp) {
        put(denials.flush().map(LogEntry.flow), now: now)
        write(securityGroups.flushAll(now: now), now: now)
        write(virtualNetworks.flushAll(now: now), now: now)
    }

    private mutating func put(_ entries: [LogEntry], now: Timestamp) {
        guard !entries.isEmpty else { return }
        for case .flow(let record) in entries {
            write(securityGroups.add(record), now: now)
            if writesVirtualNetworks { write(virtualNetworks.add(record), now: now) }
        }
        let lines = entries.map(LogLine.init)
        remember(lines)
        guard writesLines else {
            unwritten = nil
            return
        }
        var text = lines.map { $0.text + "\n" }.joined()
        if let unwritten {
            let gap = GapRecord(from: unwritten.since, to: now, missing: unwritten.count, reason: .writeFailed)
            text = LogEntry.gap(gap).jsonLine + "\n" + text
        }
        do throws(KernelError) {
            try folder.append(lines: text)
            unwritten = nil
        } catch {
            let count = UInt64(entries.count)
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

    private mutating func remember(_ lines: [LogLine]) {
        recent += lines.suffix(1000)
        if recent.count > 2000 { recent.removeFirst(recent.count - 1000) }
        guard !followers.isEmpty else { return }
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
