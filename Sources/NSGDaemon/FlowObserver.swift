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
import Synchronization
import SystemServices

/// Watches what the kernel decides and tracks, and writes it down. Owns the flow tracker, the logs and their followers.
///
/// Sources read and decode on queues of their own and hand over batches in order; a backlog beyond `mostWaiting` is
/// dropped and shows as a gap, since the ledger holds every decision against the kernel's counters.
actor FlowObserver {
    nonisolated let executor = QueueExecutor(label: "flow log")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    private var tracker: FlowTracker
    private var ledger = DecisionLedger()
    private var output: FlowLogOutput
    private var links: LinkTable
    private var connections: ConntrackTable
    private let counters: KernelRulesetStore
    private let journal: Journal

    private var packetReader: PacketLogReader?
    private var conntrackEvents: ConntrackEvents?
    private var timer: (any DispatchSourceTimer)?
    private var clock = ObserverClock()
    private(set) var losses = Losses()
    /// Why decisions may be missing at the next comparison.
    private var droppedSinceComparison = 0
    private var lostSinceComparison = 0
    private var linksReadAt = Timestamp(nanoseconds: 0)

    private nonisolated let backlog = Atomic<Int>(0)
    private nonisolated let dropped = Atomic<Int>(0)
    /// Packets and events, of half a kilobyte or so.
    private static let mostWaiting = 65_536
    /// Much waits that has yet to be looked at.
    nonisolated var isBehind: Bool { backlog.load(ordering: .relaxed) > 1024 }

    struct Losses: Sendable {
        /// Times the kernel dropped conntrack events; each was made good by a dump.
        var conntrackOverruns = 0
        /// Copies of packets that never came, by their numbers.
        var packetCopies = 0
        /// Why packets are not captured; nil while they are.
        var captureProblem: String?
    }

    init(policy: Policy, links: LinkTable, logs: String, systemID: UUID, journal: Journal) throws(KernelError) {
        tracker = FlowTracker(attributor: Attributor(policy: policy))
        output = FlowLogOutput(folder: logs, systemID: systemID, policy: policy, journal: journal)
        self.links = links
        connections = try ConntrackTable()
        counters = try KernelRulesetStore()
        self.journal = journal
    }

    // MARK: Start and stop

    /// Opens the sources, so that nothing of what a policy decides is missed. They are read from `follow()` on.
    func open() {
        clock.begin(at: Self.now)
        output.repair(now: Self.now)
        openPacketLog()
        do throws(KernelError) {
            conntrackEvents = try ConntrackEvents { [self] events, lost in
                handOver(events.count) { $0.take(events, lost: lost) }
            }
        } catch {
            journal.log(.error, "flows will be found by dumps alone: \(error)", id: "conntrack")
        }
    }

    private func openPacketLog() {
        let flowLogs = tracker.attributor.policy.configuration.settings.flowLogs
        guard flowLogs.isEnabled, packetReader == nil else { return }
        do throws(KernelError) {
            packetReader = try PacketLogReader(group: flowLogs.nflogGroup) { [self] batch in
                // That it failed is told however much waits.
                handOver(batch.failure == nil ? batch.packets.count : 0) { $0.take(batch) }
            }
            losses.captureProblem = nil
        } catch {
            losses.captureProblem = "\(error)"
            journal.log(
                .error, "decisions are not recorded: \(error); the rules are enforced all the same", id: "capture")
        }
    }

    /// Finds the flows that are there already, then reads the sources.
    /// - Parameter earlier: the accounts of a run that ended in order.
    func follow(after earlier: DecisionLedger.Accounts?) {
        let policy = tracker.attributor.policy
        var gaps: [GapRecord] = []
        readCounters { ledger, counters, now in
            gaps = ledger.begin(with: counters, at: now, in: policy, after: earlier)
        }
        output.write(gaps.map(LogEntry.gap), now: Self.now)
        dump { tracker, connections, _ in
            for connection in connections {
                _ = tracker.appeared(connection, isKnownFromBefore: true, wasToldOfTotals: earlier != nil)
            }
            return []
        }
        packetReader?.start()
        conntrackEvents?.start()
        let timer = DispatchSource.makeTimerSource(queue: executor.queue)
        timer.schedule(deadline: .now() + 1, repeating: 1)
        timer.setEventHandler { [self] in assumeIsolated { $0.tick() } }
        timer.activate()
        self.timer = timer
    }

    /// Reads the events of connections that have come by now, so that `stop()` finds the totals of what has ended. Not to
    /// be called on this actor, whose queue takes them before what is queued next.
    nonisolated func drainEvents() {
        executor.queue.sync { assumeIsolated { $0.conntrackEvents } }?.drain()
    }

    /// Writes what waits and what every flow has carried, and ends. What is accounted for goes to the next run.
    func stop() -> DecisionLedger.Accounts {
        timer?.cancel()
        timer = nil
        packetReader = nil
        conntrackEvents = nil
        output.write(tracker.tick(now: .distantFuture).map(LogEntry.flow), now: Self.now)
        resynchronise(continues: true)
        output.finish(now: Self.now)
        return ledger.accounts(at: Self.now)
    }

    /// Runs on this actor, in the order of the calls from one source. Where too much waits, `count` more are dropped.
    private nonisolated func handOver(_ count: Int, _ work: @escaping @Sendable (isolated FlowObserver) -> Void) {
        guard count == 0 || backlog.add(count, ordering: .relaxed).newValue <= Self.mostWaiting else {
            backlog.subtract(count, ordering: .relaxed)
            dropped.add(count, ordering: .relaxed)
            return
        }
        executor.queue.async { [self] in
            backlog.subtract(count, ordering: .relaxed)
            assumeIsolated(work)
        }
    }

    // MARK: What comes in

    private func take(_ batch: PacketBatch) {
        losses.packetCopies += batch.lost
        lostSinceComparison += batch.lost
        if let failure = batch.failure {
            losses.captureProblem = "\(failure)"
            packetReader = nil
            journal.log(.error, "the packet log ended: \(failure)", id: "capture")
        }
        var records: [FlowRecord] = []
        for packet in batch.packets {
            learnDevices(of: packet)
            guard let judged = JudgedPacket(packet, links: links), tracker.concerns(judged) else { continue }
            learnAddress(of: packet, judged)
            ledger.count(judged.mark, in: tracker.attributor.policy)
            records += tracker.judged(judged)
        }
        output.write(records.map(LogEntry.flow), now: Self.now)
    }

    /// A device that has just come may be in a packet before it is in the table that follows devices.
    private func learnDevices(of packet: LoggedPacket) {
        let indexes = [packet.inputInterface, packet.outputInterface].compactMap(\.self)
        guard indexes.contains(where: { links.byIndex[$0] == nil }), linksReadAt.adding(seconds: 1) <= Self.now else {
            return
        }
        linksReadAt = Self.now
        links = (try? LinkTable.list()) ?? links
    }

    /// A machine behind its veth sends from its own address on that link.
    private func learnAddress(of packet: LoggedPacket, _ judged: JudgedPacket) {
        guard let sender = packet.senderHardwareAddress,
            let binding = judged.entryDevice.flatMap({ tracker.attributor.policy.binding(ofDevice: $0) }),
            binding.attachment == .guest, tracker.attributor.macAddresses[binding.networkInterface] == nil
        else { return }
        tracker.attributor.macAddresses[binding.networkInterface] = sender
    }

    private func take(_ events: [ConntrackEvent], lost: Bool) {
        var records: [FlowRecord] = []
        for event in events {
            let connection = Connection(event.entry)
            switch event {
            case .new: records += tracker.appeared(connection)
            case .update:
                let (appeared, hasClosed) = tracker.changed(connection)
                records += appeared + (hasClosed ? totals(of: event.entry) : [])
            case .destroy:
                records += tracker.ended(connection, at: event.entry.stop.map(Timestamp.init(nanoseconds:)) ?? Self.now)
            }
        }
        output.write(records.map(LogEntry.flow), now: Self.now)
        if lost {
            losses.conntrackOverruns += 1
            resynchronise(continues: false)
        }
    }

    /// A closed connection's counters, which no event but the last carries.
    private func totals(of entry: ConntrackEntry) -> [FlowRecord] {
        guard let found = try? connections.get(entry.original, protocol: entry.protocol, zone: entry.zone),
            found.id == entry.id
        else {
            return []
        }
        return tracker.closed(Connection(found), at: Self.now)
    }

    private func resynchronise(continues: Bool) {
        dump { tracker, connections, now in tracker.reconcile(connections, continues: continues, at: now) }
    }

    private func dump(_ use: (inout FlowTracker, [Connection], Timestamp) -> [FlowRecord]) {
        do throws(KernelError) {
            let present = try connections.dump().map(Connection.init)
            output.write(use(&tracker, present, Self.now).map(LogEntry.flow), now: Self.now)
        } catch {
            journal.log(.warning, "the flows cannot be listed: \(error)", id: "conntrack")
        }
    }

    // MARK: Time

    private func tick() {
        let now = Self.now
        let overrun = dropped.exchange(0, ordering: .relaxed)
        if overrun > 0 {
            droppedSinceComparison += overrun
            resynchronise(continues: false)
        }
        output.write(tracker.tick(now: now).map(LogEntry.flow), now: now)
        let settings = tracker.attributor.policy.configuration.settings.flowLogs
        let due = clock.due(at: now, interval: UInt64(max(settings.interval.components.seconds, 1)))
        if due.continues { resynchronise(continues: true) }
        if due.interval { compareCounters() }
        if due.neighbours { learnAddresses() }
        if due.interval, packetReader == nil { reopenPacketLog() }
        output.tick(now: now)
    }

    private func reopenPacketLog() {
        openPacketLog()
        packetReader?.start()
    }

    private func compareCounters() {
        let policy = tracker.attributor.policy
        guard policy.configuration.settings.flowLogs.isEnabled else { return }
        let reason: GapRecord.Reason =
            droppedSinceComparison > 0 ? .backlogFull : lostSinceComparison > 0 ? .captureOverrun : .counterAhead
        (droppedSinceComparison, lostSinceComparison) = (0, 0)
        var gaps: [GapRecord] = []
        readCounters { ledger, counters, now in
            gaps = ledger.compare(with: counters, at: now, in: policy, reason: reason)
        }
        for gap in gaps {
            journal.log(
                .warning, "\(gap.missing) decisions are missing in the log: \(gap.reason.rawValue)", id: "gap",
                fields: gap.rule.map { [("NSGD_RULE", "\($0.group)/\($0.qualifiedName)")] } ?? [])
        }
        output.write(gaps.map(LogEntry.gap), now: Self.now)
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
        tracker.attributor.policy = policy
        output.adopt(policy)
        let settings = policy.configuration.settings.flowLogs
        if settings.nflogGroup != previous.nflogGroup || settings.isEnabled != previous.isEnabled {
            packetReader = nil
            if timer != nil { reopenPacketLog() }
        }
        learnAddresses()
    }

    func adopt(_ links: LinkTable) { self.links = links }

    /// Numbers that live flows carry, by the kernel's own word; nil where it cannot be asked.
    func numbersInUse() -> Set<RuleNumber>? {
        (try? connections.ruleNumbers()).map(tracker.numbersInUse.union)
    }

    func report() -> ObserverReport {
        ObserverReport(
            liveFlows: tracker.liveFlows, decisionsLogged: ledger.totalReceived, decisionsMissing: ledger.totalMissing,
            recordsLost: output.recordsLost, losses: losses)
    }

    func recentLines() -> [LogLine] { output.recent }
    func addFollower(_ identity: UInt64, _ follower: @escaping @Sendable (LogLine) -> Bool) {
        output.followers[identity] = follower
    }
    func removeFollower(_ identity: UInt64) { output.followers[identity] = nil }

    private static var now: Timestamp { Timestamp(nanoseconds: Clock.sinceEpoch) }
}

struct ObserverReport: Sendable {
    var liveFlows: Int
    var decisionsLogged: UInt64
    var decisionsMissing: UInt64
    var recordsLost: UInt64
    var losses: FlowObserver.Losses
}

/// Which of the observer's periodic duties are due.
struct ObserverClock {
    private var interval: UInt64 = 0
    private var continuation: UInt64 = 0
    private var neighbours: UInt64 = 0

    mutating func begin(at now: Timestamp) {
        interval = now.seconds
        continuation = now.seconds
        neighbours = 0
    }

    /// - Parameter interval: seconds of a flow log record; live flows get their C on common ticks five of them apart, which with
    ///   the default are Azure's five minutes.
    mutating func due(at now: Timestamp, interval length: UInt64) -> (interval: Bool, continues: Bool, neighbours: Bool)
    {
        let isIntervalDue = now.seconds / length != interval / length
        let isContinuationDue = now.seconds / (5 * length) != continuation / (5 * length)
        let isNeighbourDue = now.seconds >= neighbours + 5
        interval = now.seconds
        continuation = now.seconds
        if isNeighbourDue { neighbours = now.seconds }
        return (isIntervalDue, isContinuationDue, isNeighbourDue)
    }
}
