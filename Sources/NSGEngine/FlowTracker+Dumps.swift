package import FlowLog
import NSGCompiler

// Everything the kernel tracks, compared with what is known (F1). A table of a million entries takes seconds to list,
// while packets and ends go on coming: so a dump is taken in pieces, between `beginDump` and `endDump`.
extension FlowTracker {
    package enum DumpPurpose: Hashable, Sendable {
        /// At the daemon's start: an earlier run recorded how these began, and what they had carried by then.
        case start(EarlierTotals)
        /// Something may have been missed.
        case comparison
        /// The common tick on which live flows get their C.
        case continuation
    }

    /// What an earlier run has told of the flows that it left.
    package enum EarlierTotals: Hashable, Sendable {
        /// All they had carried when it ended, in order.
        case all
        /// So much of these, and of others that they began; it ended suddenly.
        case some([FlowKey: FlowCounters])
    }

    package mutating func beginDump() {
        dumpNumber &+= 1
        endedSinceDump = []
    }

    /// Entries as the kernel lists them. One that comes twice, as after an interrupted dump, counts once.
    package mutating func listed(
        _ connections: some Collection<Connection>, for purpose: DumpPurpose, at time: Timestamp,
        into records: inout [FlowRecord]
    ) {
        for connection in connections {
            let key = connection.key
            if let ended = endedSinceDump, !ended.isEmpty, ended.contains(flows.fingerprint(key)) { continue }
            guard let slot = flows.slot(of: key) else {
                appeared(connection, key, for: purpose)
                continue
            }
            flows[miss: slot] = 0
            let isFirst = flows[dump: slot] != dumpNumber
            flows[dump: slot] = dumpNumber
            guard purpose == .continuation, isFirst, !flows.way(slot).sides.isEmpty else { continue }
            let told = flows[told: slot] ?? .zero
            append(
                .continued(connection.totals.map { .counted($0.increment(since: told)) } ?? .uncounted), of: slot,
                at: time, total: connection.totals, to: &records)
            flows[told: slot] = connection.totals
        }
    }

    /// A connection that nobody knew of. Without its packet nothing is recorded of it, unless an earlier run did (F2).
    private mutating func appeared(_ connection: Connection, _ key: FlowKey, for purpose: DumpPurpose) {
        guard flows.count < limits.flows, let label = connection.label, FlowLabel.isDecided(label),
            !hasEndedEarly(connection)
        else { return }
        guard case .start(let told) = purpose else {
            follow(key, attributor.silentWay(label: label))
            return
        }
        guard let slot = follow(key, attributor.way(ofKnownBefore: connection.flow, label: label)) else { return }
        switch told {
        case .all: flows[told: slot] = connection.totals
        case .some(let totals): flows[told: slot] = totals[key]
        }
    }

    /// The dump is complete: what it did not have has ended.
    package mutating func endDump(at time: Timestamp) {
        var recorded: [FlowTable.Slot] = []
        for slot in flows.slots(notIn: dumpNumber) {
            if flows.way(slot).sides.isEmpty { forget(slot) } else { recorded.append(slot) }
        }
        miss(recorded, at: time)
        endedSinceDump = nil
    }

    /// The dump has failed; what it had not yet may be there all the same.
    package mutating func abandonDump() { endedSinceDump = nil }

    /// A dump in one piece.
    package mutating func reconcile(
        _ dump: [Connection], for purpose: DumpPurpose, at time: Timestamp
    ) -> [FlowRecord] {
        var records: [FlowRecord] = []
        beginDump()
        listed(dump, for: purpose, at: time, into: &records)
        endDump(at: time)
        return records
    }
}
