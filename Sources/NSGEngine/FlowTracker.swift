package import FlowLog
package import NSGCompiler
import NSGModel

/// Turns what the kernel reports into flow records: judged packets into B and D, conntrack into C and E.
///
/// A decision is known by its packet alone; the packet log is the one source of B and D (F2). Conntrack tells which
/// rules allowed a flow (its label), how much it carried, and when it ended. Both come with a delay of their own, in
/// either order: whichever is first waits for the other.
package struct FlowTracker: Sendable {
    package var attributor: Attributor
    private var flows: [UInt32: TrackedFlow] = [:]
    /// Connections that are decided and whose packet has not come; oldest first.
    private var unannounced: [FlowTuple: [UInt32]] = [:]
    /// Allowed packets whose connection has not come.
    private var waiting: [FlowTuple: [JudgedPacket]] = [:]
    private var waitingCount = 0
    /// Connections that were over before their packet came, in the order in which they ended.
    private var endedEarly: [(id: UInt32, time: Timestamp)] = []
    /// Connections that a dump did not have, and whose end no event has told yet, in the order of the dumps.
    private var missed: [(id: UInt32, time: Timestamp)] = []
    private var refusedFurtherOn: [RefusedKey: RefusedTail] = [:]
    private let limits: Limits

    /// Bounds of what is remembered, each entry some hundred bytes.
    package struct Limits: Sendable {
        package var flows = 1_000_000
        package var waiting = 65_536
        /// How long a packet waits for its connection.
        package var patience: UInt64 = 1_000_000_000
        /// How long a connection that a dump did not have waits for the event of its end, which has its totals: the
        /// kernel leaves out what has expired, and usually collects it within a minute (`GC_SCAN_INTERVAL_MAX`).
        package var collection: UInt64 = 65_000_000_000
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

    /// Whether a packet passed an interface that the policy knows: others cannot be recorded.
    package func concerns(_ packet: JudgedPacket) -> Bool {
        !attributor.sides(entry: packet.entryDevice, exit: packet.exitDevice).isEmpty
    }

    /// The numbers that flows carry, which must not be given to other rules.
    package var numbersInUse: Set<RuleNumber> {
        Set(flows.values.flatMap { $0.connection.label.map(FlowLabel.numbers(of:)) ?? [] })
    }

    // MARK: Judged packets

    package mutating func judged(_ packet: JudgedPacket) -> [FlowRecord] {
        switch packet.mark {
        case .denied(let slot, let number): denied(packet, at: slot, by: number)
        case .allowedAgain: began(packet)
        case .allowed: allowed(packet)
        }
    }

    private mutating func allowed(_ packet: JudgedPacket) -> [FlowRecord] {
        if let id = takeUnannounced(packet.tracked), flows[id] != nil {
            return announce(packet, id: id)
        }
        if waitingCount >= limits.waiting { return began(packet) }
        waiting[packet.tracked, default: []].append(packet)
        waitingCount += 1
        return []
    }

    /// The packet of a tracked flow has come: its B, and its E too where the flow was over by then.
    private mutating func announce(_ packet: JudgedPacket, id: UInt32) -> [FlowRecord] {
        guard var flow = flows[id] else { return [] }
        flow.sides = sides(of: packet, attributed: flow.connection.label)
        flow.loggedFlow = packet.flow
        var records = flow.sides.map { $0.record(of: packet.flow, .began, at: packet.time, id: id) }
        if let end = flow.endedAt ?? flow.closedAt { records += flow.end(at: max(end, packet.time)) }
        flows[id] = flow.endedAt == nil ? flow : nil
        return records
    }

    /// One record for each bound interface.
    private func began(_ packet: JudgedPacket) -> [FlowRecord] {
        sides(of: packet, attributed: nil).map { $0.record(of: packet.flow, .began, at: packet.time) }
    }

    /// Without a label the evaluator says which rules allowed.
    private func sides(of packet: JudgedPacket, attributed label: UInt128?) -> [LoggedSide] {
        attributor.sides(entry: packet.entryDevice, exit: packet.exitDevice).map { side in
            LoggedSide(
                side,
                label.flatMap { attributor.judgement(of: side, label: $0) }
                    ?? attributor.derivedJudgement(of: side, packet.flow))
        }
    }

    private mutating func denied(_ packet: JudgedPacket, at slot: LabelSlot, by number: RuleNumber) -> [FlowRecord] {
        let sides = attributor.sides(entry: packet.entryDevice, exit: packet.exitDevice)
        var records: [FlowRecord] = []
        for side in sides {
            if side.side == slot.side {
                let judgement = attributor.judgement(of: side, packet.flow, deniedAt: slot, by: number)
                records.append(LoggedSide(side, judgement).record(of: packet.flow, .denied, at: packet.time))
                break
            }
            records += passedOn(packet, by: side)
        }
        return records
    }

    private mutating func passedOn(_ packet: JudgedPacket, by side: Attributor.Side) -> [FlowRecord] {
        let key = RefusedKey(device: side.interface.device, flow: packet.flow)
        if var tail = refusedFurtherOn[key] {
            tail.packets += 1
            tail.bytes += packet.bytes
            tail.last = packet.time
            refusedFurtherOn[key] = tail
            return []
        }
        let logged = LoggedSide(side, attributor.derivedJudgement(of: side, packet.flow))
        if refusedFurtherOn.count < limits.waiting {
            refusedFurtherOn[key] = RefusedTail(side: logged, packets: 1, bytes: packet.bytes, last: packet.time)
        }
        return [logged.record(of: packet.flow, .began, at: packet.time)]
    }

    // MARK: Connections

    /// A connection is there: new, or found by a dump.
    /// - Parameters:
    ///   - isKnownFromBefore: found at the daemon's start; an earlier run logged how it began.
    ///   - wasToldOfTotals: that run ended in order, so its records tell of all the flow had carried by then.
    package mutating func appeared(
        _ connection: Connection, isKnownFromBefore: Bool = false, wasToldOfTotals: Bool = false
    ) -> [FlowRecord] {
        if let present = flows[connection.id], present.connection.flow == connection.flow, present.endedAt == nil {
            flows[connection.id]?.connection.update(with: connection)
            return []
        }
        // Beyond the limit a packet that waits goes on waiting, until the evaluator speaks for its connection.
        guard flows.count < limits.flows else { return [] }
        let packet = takeWaiting(connection.flow)
        guard packet != nil || connection.label.map(FlowLabel.isDecided) ?? false else { return [] }
        var flow = TrackedFlow(connection: connection)
        if isKnownFromBefore, let label = connection.label {
            flow.attribution = .label
            if wasToldOfTotals { flow.skipTotals() }
            flow.sides = attributor.sides(of: connection.flow, label: label).map {
                LoggedSide($0, attributor.judgement(of: $0, label: label) ?? Judgement())
            }
        }
        flows[connection.id] = flow
        if let packet { return announce(packet, id: connection.id) }
        if !isKnownFromBefore { unannounced[connection.flow, default: []].append(connection.id) }
        return []
    }

    /// Something about it changed: true where its totals should be asked for, since it has closed. One that is not
    /// known may have got its label just now: it is older than the policy that judged it, or went through lo.
    package mutating func changed(_ connection: Connection) -> (records: [FlowRecord], hasClosed: Bool) {
        guard var flow = flows[connection.id], flow.connection.flow == connection.flow, flow.endedAt == nil else {
            return (connection.label == nil ? [] : appeared(connection), false)
        }
        let closes = connection.isClosed && !flow.connection.isClosed
        flow.connection.update(with: connection)
        flows[connection.id] = flow
        return ([], closes && !flow.hasEnded)
    }

    /// A closed connection's totals have come: its E need not wait until the kernel forgets the entry.
    package mutating func closed(_ connection: Connection, at time: Timestamp) -> [FlowRecord] {
        guard var flow = flows[connection.id], flow.connection.flow == connection.flow, !flow.hasEnded else {
            return []
        }
        flow.connection.update(with: connection)
        flow.closedAt = time
        let records = flow.sides.isEmpty ? [] : flow.end(at: time)
        flows[connection.id] = flow
        return records
    }

    /// The kernel has forgotten it. After an E that came early there is another only if it carried more since.
    package mutating func ended(_ connection: Connection, at time: Timestamp) -> [FlowRecord] {
        guard var flow = flows[connection.id], flow.connection.flow == connection.flow else { return [] }
        flow.connection.update(with: connection)
        guard !flow.sides.isEmpty else {
            // Refused by its peer, say: it ended before its packet came. The packet will say that it began.
            flow.endedAt = time
            flows[connection.id] = flow
            endedEarly.append((connection.id, time))
            return []
        }
        flows[connection.id] = nil
        return flow.hasEnded && !flow.hasMore ? [] : flow.end(at: time)
    }

    // MARK: Dumps and time

    /// Compares with everything the kernel tracks. What it no longer has has ended: the event of that may be on its way,
    /// or lost (`Limits.collection`).
    /// - Parameter continues: whether this is the common tick on which live flows get their C.
    package mutating func reconcile(_ dump: [Connection], continues: Bool, at time: Timestamp) -> [FlowRecord] {
        var records: [FlowRecord] = []
        var seen = Set<UInt32>(minimumCapacity: dump.count)
        for connection in dump {
            seen.insert(connection.id)
            if let present = flows[connection.id], present.connection.flow != connection.flow {
                records += ended(present.connection, at: time)
            }
            flows[connection.id]?.missedAt = nil
            records += appeared(connection)
            if continues, var flow = flows[connection.id], !flow.sides.isEmpty, !flow.hasEnded {
                records += flow.continued(at: time)
                flows[connection.id] = flow
            }
        }
        let gone = flows.filter { !seen.contains($0.key) && $0.value.endedAt == nil && $0.value.missedAt == nil }.keys
        for id in gone {
            flows[id]?.missedAt = time
            missed.append((id, time))
        }
        return records
    }

    /// Ends the connections that a dump did not have and whose end no event has told in time.
    private mutating func endMissed(now: Timestamp) -> [FlowRecord] {
        let overdue = missed.prefix { $0.time.nanoseconds + limits.collection <= now.nanoseconds }
        missed.removeFirst(overdue.count)
        return overdue.flatMap { id, time -> [FlowRecord] in
            guard let flow = flows[id], flow.missedAt == time else { return [] }
            return ended(flow.connection, at: time)
        }
    }

    /// Gives up waiting where it took too long. To be called about once a second.
    package mutating func tick(now: Timestamp) -> [FlowRecord] {
        var records: [FlowRecord] = []
        for (flow, packets) in waiting {
            let late = packets.filter { $0.time.nanoseconds + limits.patience <= now.nanoseconds }
            guard !late.isEmpty else { continue }
            // Allowed by us and dropped by another table, or a connection of one packet whose event was lost.
            for packet in late { records += began(packet) }
            let rest = packets.filter { $0.time.nanoseconds + limits.patience > now.nanoseconds }
            waiting[flow] = rest.isEmpty ? nil : rest
            waitingCount -= late.count
        }
        let overdue = endedEarly.prefix { $0.time.nanoseconds + limits.patience <= now.nanoseconds }
        for (id, time) in overdue {
            guard let flow = flows[id], flow.endedAt == time else { continue }
            flows[id] = nil
            forgetUnannounced(id, flow.connection.flow)
        }
        endedEarly.removeFirst(overdue.count)
        records += endMissed(now: now)
        for (key, tail) in refusedFurtherOn where tail.last.adding(seconds: 60) <= now {
            refusedFurtherOn[key] = nil
            let counters = FlowCounters(packetsSent: tail.packets, bytesSent: tail.bytes)
            records.append(tail.side.record(of: key.flow, .ended(.counted(counters)), at: tail.last))
        }
        return records.sorted { $0.time < $1.time }
    }

    private mutating func takeUnannounced(_ flow: FlowTuple) -> UInt32? {
        while var ids = unannounced[flow], !ids.isEmpty {
            let id = ids.removeFirst()
            unannounced[flow] = ids.isEmpty ? nil : ids
            if flows[id]?.sides.isEmpty ?? false { return id }
        }
        return nil
    }

    private mutating func forgetUnannounced(_ id: UInt32, _ flow: FlowTuple) {
        guard let ids = unannounced[flow]?.filter({ $0 != id }) else { return }
        unannounced[flow] = ids.isEmpty ? nil : ids
    }

    private mutating func takeWaiting(_ flow: FlowTuple) -> JudgedPacket? {
        guard var packets = waiting[flow], !packets.isEmpty else { return nil }
        let packet = packets.removeFirst()
        waiting[flow] = packets.isEmpty ? nil : packets
        waitingCount -= 1
        return packet
    }
}
