import FlowLog

/// Ends of connections that came before their packets, and of those that concern nobody here: an event of an end does not
/// tell which it is. Each waits a few seconds.
struct EarlyEnds: Sendable {
    struct End: Sendable {
        var totals: FlowCounters?
        var time: Timestamp
    }

    /// In the order in which they came: a connection may be over, and another of the same key too, before either's packet
    /// comes.
    private var ends: [FlowKey: [End]] = [:]
    private var order: [(key: FlowKey, time: Timestamp)] = []
    /// What of `order` is gone.
    private var head = 0

    /// Beyond `limit` the oldest is forgotten.
    mutating func add(_ key: FlowKey, _ end: End, limit: Int) {
        if order.count - head >= limit { forgetFirst() }
        ends[key, default: []].append(end)
        order.append((key, end.time))
    }

    func contains(_ key: FlowKey) -> Bool { !ends.isEmpty && ends[key] != nil }

    mutating func take(_ key: FlowKey) -> End? {
        guard !ends.isEmpty, var waiting = ends[key] else { return nil }
        let first = waiting.removeFirst()
        ends[key] = waiting.isEmpty ? nil : waiting
        return first
    }

    mutating func forget(before now: Timestamp, patience: UInt64) {
        while head < order.count, order[head].time.nanoseconds &+ patience <= now.nanoseconds { forgetFirst() }
        if head > 1024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
        if head == order.count {
            order = []
            head = 0
        }
    }

    private mutating func forgetFirst() {
        guard head < order.count else { return }
        let (key, time) = order[head]
        head += 1
        guard var waiting = ends[key], waiting.first?.time == time else { return }
        waiting.removeFirst()
        ends[key] = waiting.isEmpty ? nil : waiting
    }
}
