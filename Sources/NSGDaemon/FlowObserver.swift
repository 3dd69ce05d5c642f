import ConntrackKernel
import Dispatch
import FlowLog
import JSONText
import NSGCompiler
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import NftablesKernel
import PacketLog
import SystemServices

/// Watches what the kernel decides and tracks, and writes it down. Owns the flow tracker, the logs and their followers.
///
/// Sources read and decode on queues of their own and hand over to an inbox, which is worked off in pieces: between two
/// of them the queue does what others ask of it, however much waits.
actor FlowObserver {
    nonisolated let executor = QueueExecutor(label: "flow log")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    private var tracker: FlowTracker
    private var ledger = DecisionLedger()
    private let writer: LogWriter
    private var output: FlowLogOutput
    /// What the log of an earlier run tells.
    private var replay: LogReplay?
    /// The counters before the first packet was captured.
    private var firstReading: [CounterName: CounterValue]?
    private var openedAt = Timestamp(nanoseconds: 0)
    private var links: LinkTable
    private let counters: KernelRulesetStore
    private let journal: Journal

    private(set) var packetReader: PacketLogReader?
    private var conntrackEvents: ConntrackEvents?
    private let lister: ConnectionLister
    private var timer: (any DispatchSourceTimer)?
    private var clock = ObserverClock()
    private(set) var losses = Losses()
    var captures = DecisionCaptures()
    /// Why decisions may be missing at the next comparison.
    private var droppedSinceComparison = 0
    private var lostSinceComparison = 0
    /// Decisions of the packets that are being taken; kept for its memory.
    private var tally = DecisionTally()
    private var linksReadAt = Timestamp(nanoseconds: 0)
    /// The dump that is being read, and one that is to follow it.
    private var dump: FlowTracker.DumpPurpose?
    private var nextDump: FlowTracker.DumpPurpose?
    /// Prefixes of logged packets, of which there are as many as rules that deny.
    private var marks: [String: DecisionMark?] = [:]

    private nonisolated let inbox = Inbox<Delivery>()

    private enum Delivery: Sendable {
        case packets(PacketBatch)
        case events([ConntrackEvent], lost: Bool)
        case listed([Connection], isLast: Bool)
    }

    /// Much waits that has yet to be looked at.
    nonisolated var isBehind: Bool { inbox.count > 1024 }

    /// - Parameters:
    ///   - logs: the folder of the flow logs.
    ///   - state: the folder of what must survive a restart.
    init(
        policy: Policy, links: LinkTable, logs: String, state: String, systemID: UUID, analytics: TrafficAnalytics,
        journal: Journal
    ) throws(KernelError) {
        tracker = FlowTracker(attributor: Attributor(policy: policy))
        writer = LogWriter(folder: logs, state: state, journal: journal)
        output = FlowLogOutput(
            writer: writer, systemID: systemID, policy: policy, analytics: analytics, journal: journal)
        self.links = links
        lister = try ConnectionLister()
        counters = try KernelRulesetStore()
        self.journal = journal
    }

    // MARK: Start and stop

    /// Takes up the log where an earlier run left it, and opens the sources, so that nothing of what a policy decides
    /// is missed. They are read from `follow()` on.
    func open() {
        let now = Self.now
        openedAt = now
        clock.begin(at: now)
        let policy = tracker.attributor.policy
        let interval = UInt64(max(policy.configuration.settings.flowLogs.interval.components.seconds, 1))
        replay = writer.executor.queue.sync {
            writer.assumeIsolated { $0.resume(policy: policy, interval: interval, now: now) }
        }
        if let replay { output.resume(replay, now: now) }
        // Before the first packet is captured: what is decided in between shows as missing, and not twice.
        firstReading = try? counters.counters(table: FixedNames.table)
        openSources()
    }

    /// Where flows are not logged, nobody listens: events cost each connection, and packets are not copied.
    private func openSources() {
        guard tracker.attributor.policy.configuration.settings.flowLogs.isEnabled else { return }
        openPacketLog()
        guard conntrackEvents == nil else { return }
        do throws(KernelError) {
            // Of ends alone: what begins comes with its packet.
            conntrackEvents = try ConntrackEvents(.destroy) { [self] events, lost in
                handOver(.events(events, lost: lost), count: events.count, isDroppable: !lost)
            }
        } catch {
            journal.log(.error, "ends of flows will be found by dumps alone: \(error)", id: "conntrack")
        }
    }

    private func openPacketLog() {
        let flowLogs = tracker.attributor.policy.configuration.settings.flowLogs
        guard flowLogs.isEnabled, packetReader == nil else { return }
        do throws(KernelError) {
            let finder = try ConnectionFinder()
            packetReader = try PacketLogReader(group: flowLogs.nflogGroup) { [self] batch in
                var batch = batch
                finder.complete(&batch)
                // That it failed is told however much waits.
                handOver(.packets(batch), count: batch.packets.count, isDroppable: batch.failure == nil)
            }
            losses.captureProblem = nil
            if !captures.isEmpty { packetReader?.keepBytes(true) {} }
        } catch {
            losses.captureProblem = "decisions are not recorded: \(error)"
            journal.log(
                .error, "decisions are not recorded: \(error); the rules are enforced all the same", id: "capture")
        }
    }

    /// Finds the flows that are there already, and reads the sources.
    func follow() {
        let policy = tracker.attributor.policy
        let earlier = replay?.accounts(in: policy)
        let gaps = ledger.begin(with: firstReading ?? [:], at: openedAt, in: policy, after: earlier)
        firstReading = nil
        tell(gaps)
        output.checkpoint(accounts())
        beginDump(.start(replay.map { $0.isFinal ? .all : .some($0.totals) } ?? .some([:])))
        replay = nil
        packetReader?.start()
        conntrackEvents?.start()
        let timer = DispatchSource.makeTimerSource(queue: executor.queue)
        timer.schedule(deadline: .now() + 1, repeating: 1, leeway: .milliseconds(100))
        timer.setEventHandler { [self] in assumeIsolated { $0.tick() } }
        timer.activate()
        self.timer = timer
    }

    /// Reads the events of connections that have come by now, so that `stop()` finds the totals of what has ended. Not
    /// to be called on this actor.
    nonisolated func drainEvents() {
        executor.queue.sync { assumeIsolated { $0.conntrackEvents } }?.drain()
    }

    /// Writes what waits and what every flow has carried, and ends. What is accounted for goes to the next run.
    func stop() {
        timer?.cancel()
        timer = nil
        packetReader = nil
        conntrackEvents = nil
        while work(atMost: .max) {}
        repeat {
            output.write(tracker.tick(now: .distantFuture), now: Self.now)
        } while tracker.owesEnds(at: .distantFuture)
        do throws(KernelError) {
            try continueFlows()
        } catch {
            journal.log(.warning, "the flows cannot be listed: \(error)", id: "conntrack")
        }
        output.finish(now: Self.now)
        output.checkpoint(accounts(), isFinal: true)
        if !writer.finish() { journal.log(.error, "the flow log ends without what it had to write last", id: "end") }
    }

    /// What the records come to that have been put into the log by now.
    private func accounts() -> DecisionLedger.Accounts {
        ledger.accounts(at: Self.now, in: tracker.attributor.policy, without: waiting)
    }

    /// Decisions that are counted, and that records to come will tell of.
    private var waiting: DecisionTally {
        var waiting = DecisionTally()
        tracker.addWaiting(to: &waiting)
        output.addWaiting(to: &waiting)
        return waiting
    }

    /// A dump for everybody's C, read here and now.
    private func continueFlows() throws(KernelError) {
        var connections = try ConntrackTable()
        var piece: [Connection] = []
        func take() {
            var records: [FlowRecord] = []
            tracker.listed(piece, for: .continuation, at: Self.now, into: &records)
            output.write(records, now: Self.now)
            piece.removeAll(keepingCapacity: true)
        }
        tracker.beginDump()
        try connections.dump { entry in
            piece.append(Connection(entry))
            if piece.count >= Self.piece { take() }
        }
        take()
        tracker.endDump(at: Self.now)
    }

    // MARK: What comes in

    /// Taken in the order of the calls. Where too much waits it is dropped, and shows as a gap, since the ledger holds
    /// every decision against the kernel's counters.
    private nonisolated func handOver(_ delivery: Delivery, count: Int, isDroppable: Bool) {
        if inbox.put(delivery, count: count, isDroppable: isDroppable) { workLater() }
    }

    private nonisolated func workLater() {
        executor.queue.async { [self] in
            if assumeIsolated({ $0.work(atMost: Self.piece) }) { workLater() }
        }
    }

    /// Some milliseconds of work.
    private static let piece = 1024

    /// Takes up to so many packets, events or connections out of the inbox. False once it is empty.
    private func work(atMost limit: Int) -> Bool {
        guard let (delivery, range) = inbox.take(atMost: limit) else { return false }
        switch delivery {
        case .packets(let batch): take(batch, range)
        case .events(let events, let lost): take(events, range, lost: lost)
        case .listed(let connections, let isLast): take(listed: connections, range, isLast: isLast)
        }
        return true
    }

    private func take(_ batch: PacketBatch, _ range: Range<Int>) {
        if range.lowerBound == 0 {
            losses.packetCopies += batch.lost
            lostSinceComparison += batch.lost
            if let failure = batch.failure {
                losses.captureProblem = "decisions are not recorded: \(failure)"
                packetReader = nil
                journal.log(.error, "the packet log ended: \(failure)", id: "capture")
            }
        }
        var records: [FlowRecord] = []
        records.reserveCapacity(2 * range.count)
        for packet in batch.packets[range] {
            guard let mark = mark(packet.prefix) else { continue }
            learnDevices(of: packet)
            let before = records.count
            guard let judged = JudgedPacket(packet, mark: mark, links: links),
                tracker.judged(judged, into: &records, counting: &tally)
            else { continue }
            if packet.senderHardwareAddress != nil { learnAddress(of: packet, judged) }
            ledger.received()
            if packet.bytes != nil { capture(packet, records[before...]) }
        }
        ledger.count(tally)
        tally.removeAll()
        output.write(records, now: Self.now)
    }

    /// Nil for a packet that is no decision of ours.
    private func mark(_ prefix: String) -> DecisionMark? {
        if let known = marks[prefix] { return known }
        let mark = DecisionMark(prefix)
        if marks.count >= 65_536 { marks = [:] }
        marks[prefix] = .some(mark)
        return mark
    }

    /// A device that has just come may be in a packet before it is in the table that follows devices.
    private func learnDevices(of packet: LoggedPacket) {
        func isUnknown(_ index: UInt32?) -> Bool { index.map { links.byIndex[$0] == nil } ?? false }
        guard isUnknown(packet.inputInterface) || isUnknown(packet.outputInterface),
            linksReadAt.adding(seconds: 1) <= Self.now
        else { return }
        linksReadAt = Self.now
        links = (try? LinkTable.list()) ?? links
    }

    /// A machine behind its veth sends from its own address on that link.
    private func learnAddress(of packet: LoggedPacket, _ judged: JudgedPacket) {
        guard let device = judged.entryDevice, let sender = packet.senderHardwareAddress,
            let interface = tracker.attributor.guestsWithoutAddress[device]
        else { return }
        tracker.attributor.macAddresses[interface] = sender
    }

    private func take(_ events: [ConntrackEvent], _ range: Range<Int>, lost: Bool) {
        var records: [FlowRecord] = []
        records.reserveCapacity(2 * range.count)
        for event in events[range] {
            guard case .destroy(let entry) = event else { continue }
            tracker.ended(
                Connection(entry), at: entry.stop.map(Timestamp.init(nanoseconds:)) ?? Self.now, into: &records)
        }
        output.write(records, now: Self.now)
        if lost, range.upperBound == events.count {
            losses.conntrackOverruns += 1
            beginDump(.comparison)
        }
    }

    // MARK: Dumps

    /// Lists the connections, or does so once the list that is being read is complete.
    private func beginDump(_ purpose: FlowTracker.DumpPurpose) {
        guard dump == nil else {
            if nextDump != .continuation { nextDump = purpose }
            return
        }
        dump = purpose
        tracker.beginDump()
        if purpose == .continuation { output.continuation(hasEnded: false) }
        lister.list { [self] entries in
            handOver(.listed(entries.map(Connection.init), isLast: false), count: entries.count, isDroppable: false)
        } ended: { [self] error in
            if let error { journal.log(.warning, "the flows cannot be listed: \(error)", id: "conntrack") }
            handOver(.listed([], isLast: error == nil), count: 0, isDroppable: false)
        }
    }

    /// - Parameter isLast: the dump is complete. A piece without connections that is not the last ends one that failed.
    private func take(listed connections: [Connection], _ range: Range<Int>, isLast: Bool) {
        guard let purpose = dump else { return }
        var records: [FlowRecord] = []
        tracker.listed(connections[range], for: purpose, at: Self.now, into: &records)
        output.write(records, now: Self.now)
        if range.upperBound < connections.count { return }
        if !connections.isEmpty { return lister.goOn() }
        if isLast { tracker.endDump(at: Self.now) } else { tracker.abandonDump() }
        if isLast, purpose == .continuation { output.continuation(hasEnded: true) }
        dump = nil
        if let next = nextDump {
            nextDump = nil
            beginDump(next)
        }
    }

    // MARK: Time

    private func tick() {
        let now = Self.now
        let overrun = inbox.takeDropped()
        if overrun > 0 {
            droppedSinceComparison += overrun
            beginDump(.comparison)
        }
        endOverdue(now: now)
        tellUnwritten(now: now)
        let settings = tracker.attributor.policy.configuration.settings.flowLogs
        let due = clock.due(at: now, interval: UInt64(max(settings.interval.components.seconds, 1)))
        if due.continues { beginDump(.continuation) }
        if due.interval { compareCounters() }
        if due.interval || output.unaccounted > Self.mostUnaccounted { output.checkpoint(accounts()) }
        if due.neighbours { learnAddresses() }
        if due.interval, packetReader == nil { reopenPacketLog() }
        output.tick(now: now)
    }

    /// Some thousand ends at a time, between which the queue does whatever else it is asked.
    private func endOverdue(now: Timestamp) {
        output.write(tracker.tick(now: now), now: now)
        guard tracker.owesEnds(at: now) else { return }
        executor.queue.async { [self] in assumeIsolated { $0.endOverdue(now: now) } }
    }

    /// Bytes of lines that the next run may have to read after a sudden end.
    private static let mostUnaccounted = 32 << 20

    /// Declares what the log did not take.
    private func tellUnwritten(now: Timestamp) {
        guard let unwritten = output.takeUnwritten() else { return }
        var gaps = ledger.lose(
            unwritten.decisions, from: unwritten.since, to: now, in: tracker.attributor.policy, because: .writeFailed)
        if gaps.isEmpty { gaps = [GapRecord(from: unwritten.since, to: now, missing: 0, reason: .writeFailed)] }
        gaps[0].records = unwritten.lines
        tell(gaps)
    }

    private func tell(_ gaps: [GapRecord]) {
        for gap in gaps where gap.missing > 0 {
            losses.decisions[gap.reason, default: 0] += gap.missing
            journal.log(
                .warning, "\(gap.missing) decisions are missing in the log: \(gap.reason.rawValue)", id: "gap",
                fields: gap.rule.map { [("NSGD_RULE", "\($0.rule.group)/\($0.rule.qualifiedName)")] } ?? [])
        }
        output.write(gaps, now: Self.now)
    }

    private func reopenPacketLog() {
        openPacketLog()
        packetReader?.start()
    }

    private func compareCounters() {
        let policy = tracker.attributor.policy
        guard policy.configuration.settings.flowLogs.isEnabled else { return }
        let reason = takeReason()
        var gaps: [GapRecord] = []
        readCounters { ledger, counters, now in
            gaps = ledger.compare(with: counters, at: now, in: policy, reason: reason)
        }
        tell(gaps)
    }

    func counterReading() -> [CounterName: CounterValue]? { try? counters.counters(table: FixedNames.table) }

    /// What the sources have handed over waits.
    var hasArrivals: Bool { inbox.count > 0 }

    /// Holds the log against a reading of the counters that was taken at `time`.
    func proof(_ first: [CounterName: CounterValue], at time: Timestamp) -> LogProof? {
        guard let second = counterReading() else { return nil }
        let policy = tracker.attributor.policy
        tell(
            ledger.compare(first, at: time, with: second, at: Self.now, in: policy, reason: takeReason()))
        return LogProof(lines: ledger.lines(in: policy, waiting: waiting))
    }

    /// Why decisions may be missing since it was last asked for.
    private func takeReason() -> GapRecord.Reason {
        defer { (droppedSinceComparison, lostSinceComparison) = (0, 0) }
        return droppedSinceComparison > 0 ? .backlogFull : lostSinceComparison > 0 ? .captureOverrun : .counterAhead
    }

    private func readCounters(_ use: (inout DecisionLedger, [CounterName: CounterValue], Timestamp) -> Void) {
        do throws(KernelError) {
            use(&ledger, try counters.counters(table: FixedNames.table), Self.now)
        } catch {
            journal.log(.warning, "the rules' counters cannot be read: \(error)", id: "counters")
        }
    }

    /// MAC addresses that no document gives (KERNEL 18).
    private func learnAddresses() {
        let estate = tracker.attributor.policy.estate
        var found: [ResourceID: MACAddress] = [:]
        let neighbours = (try? LinkTable.neighbours()) ?? [:]
        for binding in estate.bindings {
            guard let interface = estate.networkInterfaces[binding.networkInterface], interface.macAddress == nil else {
                continue
            }
            switch binding.attachment {
            case .host: found[interface.id] = links.byName[binding.device]?.hardwareAddress
            case .guest: found[interface.id] = interface.addresses.lazy.compactMap { neighbours[$0] }.first
            }
        }
        tracker.attributor.macAddresses.merge(found) { _, new in new }
    }

    // MARK: What others ask

    /// From now on records are made with this policy; flows of earlier ones keep what their labels say.
    func adopt(_ policy: Policy) {
        let previous = tracker.attributor.policy.configuration.settings.flowLogs
        ledger.settle(in: tracker.attributor.policy)
        ledger.forgetPolicy()
        tracker.attributor.policy = policy
        output.adopt(policy)
        let settings = policy.configuration.settings.flowLogs
        if settings.nflogGroup != previous.nflogGroup || settings.isEnabled != previous.isEnabled {
            packetReader = nil
            if !settings.isEnabled {
                conntrackEvents = nil
                losses.captureProblem = nil
            }
            if timer != nil {
                openSources()
                packetReader?.start()
                conntrackEvents?.start()
            }
        }
        learnAddresses()
    }

    func adopt(_ links: LinkTable) { self.links = links }

    /// Numbers that live flows carry, by the kernel's own word; nil where it cannot be asked.
    func numbersInUse() -> Set<RuleNumber>? {
        guard var connections = try? ConntrackTable() else { return nil }
        return (try? connections.ruleNumbers()).map(tracker.numbersInUse.union)
    }

    func report() -> ObserverReport {
        ObserverReport(
            liveFlows: tracker.liveFlows, decisionsLogged: ledger.totalReceived, decisionsMissing: ledger.totalMissing,
            recordsLost: output.recordsLost, losses: losses, writeProblem: writer.problem,
            isCapturing: packetReader != nil)
    }

    /// Hands over what traffic analytics have yet to be told.
    func refreshTraffic() { output.traffic.refresh(now: Self.now) }

    func recentLines() -> [LogLine] { output.recent }
    func addFollower(_ identity: UInt64, _ follower: @escaping @Sendable (LogLine) -> Bool) {
        output.followers[identity] = follower
    }
    func removeFollower(_ identity: UInt64) { output.followers[identity] = nil }

    private static var now: Timestamp { Timestamp(nanoseconds: Clock.sinceEpoch) }
}
