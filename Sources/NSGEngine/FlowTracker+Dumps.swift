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
            if endedSinceDump?.contains(key) ?? false { continue }
            guard var flow = flows[key] else {
                appeared(connection, key, for: purpose)
                continue
            }
            found(key)
            let isFirst = flow.dump != dumpNumber
            flow.dump = dumpNumber
            flows[key] = flow
            guard purpose == .continuation, isFirst, !flow.way.sides.isEmpty else { continue }
            let told = reported[key] ?? .zero
            append(
                .continued(connection.totals.map { .counted($0.increment(since: told)) } ?? .uncounted), of: flow, key,
                at: time, total: connection.totals, to: &records)
            reported[key] = connection.totals
        }
    }

    /// A connection that nobody knew of. Without its packet nothing is recorded of it, unless an earlier run did (F2).
    private mutating func appeared(_ connection: Connection, _ key: FlowKey, for purpose: DumpPurpose) {
        guard flows.count < limits.flows, let label = connection.label, FlowLabel.isDecided(label),
            !hasEndedEarly(connection)
        else { return }
        guard case .start(let told) = purpose else {
            flows[key] = TrackedFlow(way: attributor.silentWay(label: label), dump: dumpNumber)
            return
        }
        let way = attributor.way(ofKnownBefore: connection.flow, label: label)
        flows[key] = TrackedFlow(way: way, dump: dumpNumber)
        switch told {
        case .all: reported[key] = connection.totals
        case .some(let totals): reported[key] = totals[key]
        }
    }

    /// The dump is complete: what it did not have has ended.
    package mutating func endDump(at time: Timestamp) {
        let gone = flows.filter { $0.value.dump != dumpNumber }
        for (key, flow) in gone {
            if flow.way.sides.isEmpty { flows[key] = nil } else { miss(key, at: time) }
        }
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
