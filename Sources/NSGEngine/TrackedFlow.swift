import FlowLog
import NSGModel

/// One interface's part in a flow: what its records repeat.
struct LoggedSide: Sendable {
    var interface: LoggedInterface
    var direction: Direction
    var judgement: Judgement

    init(_ side: Attributor.Side, _ judgement: Judgement) {
        interface = side.interface
        direction = side.direction
        self.judgement = judgement
    }

    func record(
        of flow: FlowTuple, _ change: FlowChange, at time: Timestamp, attribution: Attribution = .packet,
        id: UInt32? = nil
    ) -> FlowRecord {
        FlowRecord(
            time: time, interface: interface, direction: direction, flow: flow, change: change,
            stages: judgement.stages, attribution: attribution, isPlatform: judgement.isPlatform, flowID: id)
    }
}

/// A connection that every list allowed, from its first packet until the kernel forgets it.
struct TrackedFlow: Sendable {
    var connection: Connection
    /// As its first packet had it; nil while that has not come. See `JudgedPacket.tracked`.
    var loggedFlow: FlowTuple?
    /// Empty until the flow's packet has come.
    var sides: [LoggedSide] = []
    var attribution: Attribution = .packet
    /// When its totals were known to be final, and when the kernel forgot it; either may be before its packet comes.
    var closedAt: Timestamp?
    var endedAt: Timestamp?
    /// When a dump did not have it, while no event has told of its end.
    var missedAt: Timestamp?
    /// Totals that records have told of.
    private var reported = FlowCounters.zero
    private(set) var hasEnded = false

    init(connection: Connection) { self.connection = connection }

    /// Whether it carried anything since its last record.
    var hasMore: Bool { connection.totals.map { $0.increment(since: reported) != .zero } ?? false }

    /// What it has carried so far is in an earlier run's records.
    mutating func skipTotals() { reported = connection.totals ?? reported }

    mutating func end(at time: Timestamp) -> [FlowRecord] {
        hasEnded = true
        return records(FlowChange.ended, at: time)
    }

    mutating func continued(at time: Timestamp) -> [FlowRecord] { records(FlowChange.continued, at: time) }

    private mutating func records(_ change: (Traffic) -> FlowChange, at time: Timestamp) -> [FlowRecord] {
        let traffic = connection.totals.map { Traffic.counted($0.increment(since: reported)) } ?? .uncounted
        reported = connection.totals ?? reported
        return sides.map {
            $0.record(
                of: loggedFlow ?? connection.flow, change(traffic), at: time, attribution: attribution,
                id: connection.id)
        }
    }
}
