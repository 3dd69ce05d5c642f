import FlowLog

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

    /// - Parameter interval: seconds of a flow log record; live flows get their C on common ticks five of them apart,
    ///   which with the default are Azure's five minutes.
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
