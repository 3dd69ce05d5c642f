package import FlowLog
package import NSGCompiler
import NSGModel

/// Turns what the kernel reports into flow records: judged packets into B and D, conntrack into C and E.
///
/// A decision is known by its packet alone; the packet log is the one source of B and D (F2). An allowed packet comes
/// with its connection, whose label says which rules allowed it. Conntrack tells how much that carried, and when it
/// ended: sometimes before the packet comes, which waits in a batch while its peer may refuse the connection.
package struct FlowTracker: Sendable {
    package var attributor: Attributor
    /// Connections that every list allowed, each from its first packet until the kernel forgets it.
    var flows = FlowTable()
    /// Flows as rules saw them, where that is not as conntrack does.
    private var loggedFlows: [FlowTable.Slot: FlowTuple] = [:]
    private var earlyEnds = EarlyEnds()
    private var missed = MissedFlows()
    private var refusedFurtherOn: [RefusedKey: RefusedTail] = [:]
    /// First packets that no record has told of yet, of connections older than the first policy: each of their packets
    /// is one.
    private var judgedAgain: [FlowKey: UInt64] = [:]
    /// See `FlowRows.Row.dump`.
    var dumpNumber: UInt8 = 0
    /// While a dump is read, what has ended since it began, and may be in it; by `FlowTable.fingerprint(_:)`.
    var endedSinceDump: Set<UInt64>?
    let limits: Limits

    /// Bounds of what is remembered.
    package struct Limits: Sendable {
        /// See `FlowTable` for what each takes.
        package var flows = 1_000_000
        package var waiting = 65_536
        /// How long the end of a connection waits for its packet.
        package var patience: UInt64 = 5_000_000_000
        /// How long a connection that a dump did not have waits for the event of its end, which has its totals: the
        /// kernel leaves out what has expired, and usually collects it within a minute (`GC_SCAN_INTERVAL_MAX`).
        package var collection: UInt64 = 65_000_000_000
        /// How many of these end at a tick.
        package var endsAtOnce = 1024
        package init() {}
    }

    private struct RefusedKey: Hashable, Sendable {
        var device: String?
        var flow: FlowTuple
    }

    /// A packet that one interface allowed and the next refused: the first one's log has a flow of it, which ends
    /// unanswered.
    private struct RefusedTail: Sendable {
        var side: LoggedSide
        var packets: UInt64
        var bytes: UInt64
        var last: Timestamp
    }

    package init(attributor: Attributor, limits: Limits = Limits()) {
        self.attributor = attributor
        self.limits = limits
    }

    package var liveFlows: Int { flows.count }

    /// The numbers that flows carry, which must not be given to other rules.
    package var numbersInUse: Set<RuleNumber> { Set(flows.labels.flatMap(FlowLabel.numbers(of:))) }

    // MARK: Judged packets

    /// Appends the records of a packet, and counts what was decided, also what a later record will tell of. False, and
    /// none, for one that passed no interface of the policy: such cannot be recorded.
    package mutating func judged(
        _ packet: JudgedPacket, into records: inout [FlowRecord], counting tally: inout DecisionTally
    ) -> Bool {
        let first = records.count
        defer { for record in records[first...] { tally.add(record) } }
        switch packet.mark {
        case .denied(let slot, let number):
            return denied(packet, at: slot, by: number, into: &records, counting: &tally)
        case .allowedAgain: return began(packet, ending: nil, into: &records)
        case .allowed:
            if let connection = packet.connection {
                return allowed(packet, connection, into: &records, counting: &tally)
            }
            return began(packet, ending: earlyEnds.take(packet.flow, id: nil), into: &records)
        }
    }

    /// Adds what `judged` has counted and no record has told of yet. O(what waits).
    package func addWaiting(to tally: inout DecisionTally) {
        for tail in refusedFurtherOn.values { tally.add(tail.side, tail.packets - 1) }
        for (key, count) in judgedAgain {
            for side in flows.slot(of: key).map({ flows.way($0).sides }) ?? [] { tally.add(side, count) }
        }
    }

    /// One B for each bound interface, and the E too where the connection is over by now.
    private mutating func allowed(
        _ packet: JudgedPacket, _ connection: Connection, into records: inout [FlowRecord],
        counting tally: inout DecisionTally
    ) -> Bool {
        let way = attributor.way(
            entry: packet.entryDevice, exit: packet.exitDevice, label: connection.label, flow: packet.flow)
        guard !way.sides.isEmpty else { return false }
        let key = connection.key
        let present = flows.slot(of: key)
        let isFollowing = present.map { flows.way($0).sides.first?.facts.attribution == .packet } ?? false
        // It is older than the first policy, so that it has no label, and is judged again with each packet (S4).
        if let present, isFollowing, connection.label == nil {
            guard judgedAgain[key] != nil || judgedAgain.count < limits.waiting else { return true }
            judgedAgain[key, default: 0] += 1
            for side in flows.way(present).sides { tally.add(side) }
            return true
        }
        for side in way.sides {
            records.append(
                FlowRecord(time: packet.time, side: side, flow: packet.flow, change: .began, flowID: key.id))
        }
        if let end = earlyEnds.take(connection.flow, id: key.id) {
            append(end, of: packet, way, into: &records)
            return true
        }
        // Beyond the limit it is told that flows begin, and no more.
        guard let slot = present ?? follow(key, way) else { return true }
        if present != nil {
            flows.setWay(way, slot)
            flows[dump: slot] = dumpNumber
            let before = flows[predecessors: slot]
            flows[predecessors: slot] = isFollowing ? min(before, .max - 1) + 1 : 0
        }
        if packet.flow != connection.flow { loggedFlows[slot] = packet.flow }
        return true
    }

    /// Nil where there are too many.
    @discardableResult
    mutating func follow(_ key: FlowKey, _ way: FlowWay) -> FlowTable.Slot? {
        flows.count < limits.flows ? flows.insert(key, way, dump: dumpNumber) : nil
    }

    /// Where the packet's connection is not known, as it was over when it was asked for, the evaluator says which rules
    /// allowed it.
    private mutating func began(
        _ packet: JudgedPacket, ending end: EarlyEnds.End?, into records: inout [FlowRecord]
    ) -> Bool {
        let way = attributor.way(entry: packet.entryDevice, exit: packet.exitDevice, label: nil, flow: packet.flow)
        for side in way.sides {
            records.append(
                FlowRecord(time: packet.time, side: side, flow: packet.flow, change: .began, flowID: end?.id))
        }
        if let end { append(end, of: packet, way, into: &records) }
        return !way.sides.isEmpty
    }

    private func append(
        _ end: EarlyEnds.End, of packet: JudgedPacket, _ way: FlowWay, into records: inout [FlowRecord]
    ) {
        for side in way.sides {
            records.append(
                FlowRecord(
                    time: max(end.time, packet.time), side: side, flow: packet.flow,
                    change: .ended(end.totals.map { .counted($0) } ?? .uncounted), flowID: end.id))
        }
    }

    private mutating func denied(
        _ packet: JudgedPacket, at slot: LabelSlot, by number: RuleNumber, into records: inout [FlowRecord],
        counting tally: inout DecisionTally
    ) -> Bool {
        let sides = attributor.sides(entry: packet.entryDevice, exit: packet.exitDevice)
        for side in sides {
            if side.side == slot.side {
                let denial = attributor.denial(of: packet, at: side, slot: slot, number: number)
                records.append(FlowRecord(time: packet.time, side: denial, flow: packet.flow, change: .denied))
                break
            }
            passedOn(packet, by: side, into: &records, counting: &tally)
        }
        return !sides.isEmpty
    }

    private mutating func passedOn(
        _ packet: JudgedPacket, by side: Attributor.Side, into records: inout [FlowRecord],
        counting tally: inout DecisionTally
    ) {
        let key = RefusedKey(device: side.interface.device, flow: packet.flow)
        if var tail = refusedFurtherOn[key] {
            tail.packets += 1
            tail.bytes += packet.bytes
            tail.last = packet.time
            refusedFurtherOn[key] = tail
            tally.add(tail.side)
            return
        }
        let logged = attributor.logged(
            side, attributor.derivedJudgement(of: side, packet.flow), isPassedOn: true)
        if refusedFurtherOn.count < limits.waiting {
            refusedFurtherOn[key] = RefusedTail(side: logged, packets: 1, bytes: packet.bytes, last: packet.time)
        }
        records.append(FlowRecord(time: packet.time, side: logged, flow: packet.flow, change: .began))
    }

    // MARK: Ends

    /// The kernel has forgotten a connection.
    package mutating func ended(_ connection: Connection, at time: Timestamp, into records: inout [FlowRecord]) {
        let key = connection.key
        endedSinceDump?.insert(flows.fingerprint(key))
        let found = flows.slot(of: key)
        guard let slot = found, !flows.way(slot).sides.isEmpty else {
            // Nobody's here, or refused by its peer, say: its packet is on the way.
            if let found { forget(found) }
            earlyEnds.add(
                EarlyEnds.End(id: key.id, totals: connection.totals, time: time), of: connection.flow,
                limit: limits.waiting)
            return
        }
        end(slot, connection.totals, at: time, into: &records)
        if flows[predecessors: slot] > 0 {
            flows[predecessors: slot] -= 1
            flows[told: slot] = nil
            flows[miss: slot] = 0
        } else {
            forget(slot)
        }
    }

    private mutating func end(
        _ slot: FlowTable.Slot, _ totals: FlowCounters?, at time: Timestamp, into records: inout [FlowRecord]
    ) {
        let told = flows[told: slot]
        let traffic = totals.map { Traffic.counted(told.map($0.increment(since:)) ?? $0) } ?? .uncounted
        append(.ended(traffic), of: slot, at: time, to: &records)
    }

    mutating func forget(_ slot: FlowTable.Slot) {
        if !loggedFlows.isEmpty { loggedFlows[slot] = nil }
        flows.remove(slot)
    }

    mutating func append(
        _ change: FlowChange, of slot: FlowTable.Slot, at time: Timestamp, total: FlowCounters? = nil,
        to records: inout [FlowRecord]
    ) {
        let key = flows.key(slot)
        let tuple = (loggedFlows.isEmpty ? nil : loggedFlows[slot]) ?? key.flow
        let repeats = judgedAgain.isEmpty ? 0 : judgedAgain.removeValue(forKey: key) ?? 0
        for side in flows.way(slot).sides {
            records.append(
                FlowRecord(
                    time: time, side: side, flow: tuple, change: change, flowID: key.id, repeats: repeats, total: total)
            )
        }
    }

    // MARK: What dumps show; see `FlowTracker+Dumps.swift`

    /// Whether a connection's end is known, and the packet that it waits for is not.
    func hasEndedEarly(_ connection: Connection) -> Bool {
        earlyEnds.contains(connection.flow, id: connection.id)
    }

    /// A dump did not have them: they have ended, and the events of that may be on their way, or lost
    /// (`Limits.collection`).
    mutating func miss(_ slots: [FlowTable.Slot], at time: Timestamp) {
        let fresh = slots.filter { flows[miss: $0] == 0 }
        guard !fresh.isEmpty else { return }
        let number = missed.add(fresh, at: time)
        for slot in fresh { flows[miss: slot] = number }
    }

    /// Ends connections that a dump did not have and whose end no event has told in time. What they carried since their
    /// last record nobody knows.
    private mutating func endMissed(now: Timestamp, into records: inout [FlowRecord]) {
        var left = limits.endsAtOnce
        while left > 0, let next = missed.take(at: now, patience: limits.collection) {
            guard flows.isPresent(next.slot), flows[miss: next.slot] == next.number else { continue }
            end(next.slot, nil, at: next.time, into: &records)
            forget(next.slot)
            left -= 1
        }
    }

    /// Whether there is more to end than a tick does: another may follow at once.
    package func owesEnds(at now: Timestamp) -> Bool { missed.isAnyDue(at: now, patience: limits.collection) }

    // MARK: Time

    /// Gives up waiting where it took too long. To be called about once a second, and again while `owesEnds`.
    package mutating func tick(now: Timestamp) -> [FlowRecord] {
        var records: [FlowRecord] = []
        earlyEnds.forget(before: now, patience: limits.patience)
        endMissed(now: now, into: &records)
        for (key, tail) in refusedFurtherOn where tail.last.adding(seconds: 60) <= now {
            refusedFurtherOn[key] = nil
            let counters = FlowCounters(packetsSent: tail.packets, bytesSent: tail.bytes)
            records.append(
                FlowRecord(
                    time: tail.last, side: tail.side, flow: key.flow, change: .ended(.counted(counters)),
                    repeats: tail.packets - 1))
        }
        return records.sorted { $0.time < $1.time }
    }
}
