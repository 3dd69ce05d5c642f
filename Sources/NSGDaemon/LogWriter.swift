import Dispatch
import FlowLog
import Glibc
import JSONText
import NSGEngine
import NetworkTypes
import Synchronization
import SystemServices

/// Writes the flow logs, on a queue of its own: a disk that is full or slow delays records, up to a bound, and neither
/// enforcement nor the reading of decisions notices (F5). Owns the folder, and the checkpoint in the state folder.
actor LogWriter {
    nonisolated let executor = QueueExecutor(label: "log writer")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    enum Job: Sendable {
        case lines([UInt8])
        /// The records of intervals that were over at `time`.
        case blocks([LogBlock], time: Timestamp)
        /// What the lines up to here come to.
        case accounts(DecisionLedger.Accounts, isFinal: Bool)
        /// A tick on which flows get their C begins, or has come to its end.
        case continuation(hasEnded: Bool)
        case expire(RetentionLimits, own: [String: RetentionLimits], now: Timestamp)

        /// What it takes while it waits.
        var bytes: Int {
            switch self {
            case .lines(let lines): lines.count
            case .blocks(let blocks, _): blocks.reduce(0) { $0 + $1.record.count }
            case .accounts, .continuation, .expire: 0
            }
        }
    }

    private struct Waiting {
        var jobs: [Job] = []
        /// The first that is there.
        var head = 0
        var bytes = 0
        var isWorkedOff = false
        /// Why the log cannot be written; nil while it can.
        var problem: String?
        /// Counts the jobs that are done.
        var done = 0
    }

    private nonisolated let waiting = Mutex(Waiting())
    private static let mostBytes = 64 << 20
    private static let longestFile: UInt64 = 256 << 20

    private var folder: FlowLogFolder
    private let checkpointPath: String
    private let journal: Journal
    private var checkpoint = LogCheckpoint()
    /// How much of the first job is done: bytes of its lines, or blocks.
    private var progress = 0
    /// Where the flush before the last one was, and where the tick of C that is under way began.
    private var flushedBefore: UInt64 = 0
    private var continuationFrom: UInt64 = 0

    init(folder: String, state: String, journal: Journal) {
        self.folder = FlowLogFolder(folder)
        checkpointPath = "\(state)/log-checkpoint.json"
        self.journal = journal
    }

    // MARK: From any queue

    /// False where too much waits already: then the job is not taken. Those without bytes are.
    nonisolated func put(_ job: Job) -> Bool {
        let (isTaken, wakes) = waiting.withLock { waiting -> (Bool, Bool) in
            let bytes = job.bytes
            guard bytes == 0 || waiting.bytes + bytes <= Self.mostBytes else { return (false, false) }
            waiting.jobs.append(job)
            waiting.bytes += bytes
            defer { waiting.isWorkedOff = true }
            return (true, !waiting.isWorkedOff)
        }
        if wakes { executor.queue.async { self.assumeIsolated { $0.work() } } }
        return isTaken
    }

    nonisolated var hasRoom: Bool { waiting.withLock { $0.bytes < Self.mostBytes / 2 } }
    nonisolated var problem: String? { waiting.withLock { $0.problem } }

    /// Waits until all that was put is written, or cannot be: then false. Not to be called on this actor.
    nonisolated func finish() -> Bool {
        executor.queue.sync { assumeIsolated { $0.work() } }
        return waiting.withLock { $0.head == $0.jobs.count }
    }

    // MARK: Work

    /// Until nothing waits, or something fails: then once more in a second.
    private func work() {
        while let job = first() {
            do throws(KernelError) {
                try perform(job)
                done(job)
            } catch {
                if waiting.withLock({ $0.problem == nil }) {
                    journal.log(.error, "flow records wait: \(error)", id: "flow log")
                }
                waiting.withLock { $0.problem = "flow records wait to be written: \(error)" }
                executor.queue.asyncAfter(deadline: .now() + 1) { self.assumeIsolated { $0.work() } }
                return
            }
        }
    }

    private func first() -> Job? {
        waiting.withLock { waiting in
            guard waiting.head < waiting.jobs.count else {
                waiting.jobs = []
                waiting.head = 0
                waiting.isWorkedOff = false
                return nil
            }
            return waiting.jobs[waiting.head]
        }
    }

    private func done(_ job: Job) {
        progress = 0
        let wasStuck = waiting.withLock { waiting in
            waiting.bytes -= job.bytes
            // Its bytes are not kept until the whole queue is.
            waiting.jobs[waiting.head] = .continuation(hasEnded: false)
            waiting.head += 1
            if waiting.head >= 1024 {
                waiting.jobs.removeFirst(waiting.head)
                waiting.head = 0
            }
            defer { waiting.problem = nil }
            return waiting.problem != nil
        }
        if wasStuck { journal.log(.notice, "flow records are written again", id: "flow log") }
    }

    private func perform(_ job: Job) throws(KernelError) {
        switch job {
        case .lines(let lines): try append(lines)
        case .blocks(let blocks, let time): try append(blocks, time)
        case .accounts(let accounts, let isFinal):
            checkpoint.accounts = accounts
            checkpoint.accountedTo = try position()
            checkpoint.isFinal = isFinal
            try store()
        case .continuation(let hasEnded):
            if hasEnded { checkpoint.totalsFrom = continuationFrom } else { continuationFrom = try position() }
        case .expire(let limits, let own, let now): folder.expire(limits, own: own, now: LogHour(now))
        }
    }

    // MARK: Lines

    private func append(_ lines: [UInt8]) throws(KernelError) {
        while progress < lines.count {
            progress += try folder.append(lines: lines[progress...])
            noteSegment()
        }
        if folder.rotateLines(beyond: Self.longestFile, now: Timestamp(nanoseconds: Clock.sinceEpoch)) {
            _ = put(.expire(RetentionLimits(), own: [:], now: Timestamp(nanoseconds: Clock.sinceEpoch)))
        }
    }

    /// Of the next line. No file is made for it.
    private func position() throws(KernelError) -> UInt64 {
        guard folder.presentLineFile() != nil else { return end }
        try folder.openLines()
        noteSegment()
        return end
    }

    /// The position at which the present file would end if it were the last one known.
    private var end: UInt64 = 0

    private func noteSegment() {
        guard let file = folder.lineFile else { return }
        if let last = checkpoint.segments.last, last.device == file.device, last.inode == file.inode,
            last.start + file.length >= end
        {
            end = last.start + file.length
            return
        }
        // Another file, or one that somebody has emptied: what is in it by now has just been written.
        checkpoint.segments.append(LogCheckpoint.Segment(device: file.device, inode: file.inode, start: end))
        end += file.length
    }

    // MARK: Azure's files

    private func append(_ blocks: [LogBlock], _ time: Timestamp) throws(KernelError) {
        if progress == 0 {
            let flush = LogCheckpoint.Flush(time: time, position: try position())
            checkpoint.underWay = LogCheckpoint.FlushUnderWay(flush: flush, blocks: folder.places(of: blocks))
            checkpoint.isFinal = false
            try store()
        }
        for block in blocks[progress...] {
            // The first attempt may find a file that somebody else wrote to; the second repairs it.
            if !(try folder.append(block)) { _ = try folder.append(block) }
            progress += 1
        }
        guard let flush = checkpoint.underWay?.flush else { return }
        checkpoint.pendingFrom = time == .distantFuture ? flush.position : flushedBefore
        flushedBefore = flush.position
        checkpoint.flushed = flush
        checkpoint.underWay = nil
        // The last records of an hour are written in the next.
        let lately = Clock.sinceEpoch - min(Clock.sinceEpoch, Timestamp(seconds: 600).nanoseconds)
        folder.forgetHours(before: LogHour(Timestamp(nanoseconds: lately)))
        try store()
    }

    private func store() throws(KernelError) {
        checkpoint.forgetSegments()
        try Files.replace(checkpointPath, with: Array(checkpoint.json.text(style: .compact).utf8))
    }

    // MARK: Start

    /// Makes whole what a sudden end has torn, and reads what was written since the last checkpoint. Before any job.
    func resume(policy: Policy, interval: UInt64, now: Timestamp) -> LogReplay? {
        for problem in folder.repairAll(around: LogHour(now)) {
            journal.log(.warning, "a flow log could not be repaired: \(problem)", id: "repair")
        }
        guard let bytes = try? Files.read(checkpointPath, limit: 64 << 20),
            let stored = (try? JSONValue(parsing: bytes, dialect: .json)).flatMap({ LogCheckpoint($0) })
        else { return nil }
        checkpoint = stored
        var replay = LogReplay(since: stored, interval: interval, policy: policy)
        read(stored, into: &replay)
        flushedBefore = checkpoint.flushed.position
        continuationFrom = checkpoint.totalsFrom
        return replay
    }

    private func read(_ stored: LogCheckpoint, into replay: inout LogReplay) {
        end = max(stored.accountedTo, stored.flushed.position)
        for (index, segment) in stored.segments.enumerated() {
            // Emptied since, by somebody else: what was in it is gone.
            let isOvertaken = stored.segments[(index + 1)...].contains {
                $0.device == segment.device && $0.inode == segment.inode
            }
            guard !isOvertaken, let file = folder.reading(lineFile: (segment.device, segment.inode)) else { continue }
            read(file, at: segment.start, from: stored.replayFrom, into: &replay)
        }
        // A file that was begun after the checkpoint.
        guard let present = folder.presentLineFile(),
            !stored.segments.contains(where: { $0.device == present.device && $0.inode == present.inode }),
            let file = folder.reading(lineFile: (present.device, present.inode))
        else { return }
        checkpoint.segments.append(
            LogCheckpoint.Segment(device: present.device, inode: present.inode, start: end))
        read(file, at: end, from: stored.replayFrom, into: &replay)
    }

    private func read(
        _ file: borrowing LineFileReader, at start: UInt64, from first: UInt64, into replay: inout LogReplay
    ) {
        end = max(end, start + file.length)
        let offset = first > start ? first - start : 0
        guard offset < file.length else { return }
        do throws(KernelError) {
            try file.forEachLine(from: offset) { line, offset in replay.take(line, at: start + offset) }
        } catch {
            journal.log(.warning, "what an earlier run has logged cannot be read: \(error)", id: "replay")
        }
    }

    /// Of the flush that a sudden end interrupted, writes what is not there.
    /// - Parameter blocks: what the flush consisted of, made anew from the lines.
    func complete(_ blocks: [LogBlock]) {
        guard let underWay = checkpoint.underWay else { return }
        var places = Dictionary(grouping: underWay.blocks, by: \.path)
        for block in blocks {
            let place = places[block.path]?.first
            if place != nil { places[block.path]?.removeFirst() }
            if let place, folder.length(of: block.path) > place.length { continue }
            do throws(KernelError) { _ = try folder.append(block) } catch {
                journal.log(
                    .error, "\(block.tupleCount) records of an interrupted run are lost: \(error)", id: "replay")
            }
        }
        checkpoint.flushed = underWay.flush
        checkpoint.underWay = nil
        try? store()
    }
}
