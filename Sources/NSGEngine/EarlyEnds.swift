import FlowLog
import NSGModel

/// Ends of connections that came before their packets, and of those that concern nobody here: an event of an end does
/// not tell which it is. Each waits a few seconds.
struct EarlyEnds: Sendable {
    struct End: Sendable {
        var id: UInt32
        var totals: FlowCounters?
        var time: Timestamp
    }

    /// In the order in which they came: a connection may be over, and another of the same flow too, before either's
    /// packet comes.
    private var ends: [FlowTuple: [End]] = [:]
    private var order: [(flow: FlowTuple, time: Timestamp)] = []
    /// What of `order` is gone.
    private var head = 0

    /// Beyond `limit` the oldest is forgotten.
    mutating func add(_ end: End, of flow: FlowTuple, limit: Int) {
        if order.count - head >= limit { forgetFirst() }
        ends[flow, default: []].append(end)
        order.append((flow, end.time))
    }

    /// - Parameter id: nil where the packet does not tell its connection.
    func contains(_ flow: FlowTuple, id: UInt32?) -> Bool {
        !ends.isEmpty && ends[flow]?.contains { id == nil || $0.id == id } ?? false
    }

    mutating func take(_ flow: FlowTuple, id: UInt32?) -> End? {
        guard !ends.isEmpty, var waiting = ends[flow],
            let index = waiting.firstIndex(where: { id == nil || $0.id == id })
        else { return nil }
        let end = waiting.remove(at: index)
        ends[flow] = waiting.isEmpty ? nil : waiting
        return end
    }

    mutating func forget(before now: Timestamp, patience: UInt64) {
        while head < order.count, now >= Timestamp(nanoseconds: order[head].time.nanoseconds &+ patience) {
            forgetFirst()
        }
        if head == order.count || head > 1024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
    }

    private mutating func forgetFirst() {
        guard head < order.count else { return }
        let (flow, time) = order[head]
        head += 1
        guard var waiting = ends[flow], waiting.first?.time == time else { return }
        waiting.removeFirst()
        ends[flow] = waiting.isEmpty ? nil : waiting
    }
}
