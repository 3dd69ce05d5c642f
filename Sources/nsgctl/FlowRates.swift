/// What connections carry a second, told from one listing to the next.
struct FlowRates {
    struct Rate {
        var packetsSent = 0
        var bytesSent = 0
        var packetsReceived = 0
        var bytesReceived = 0
    }

    private var before: [String: FlowRow.Counters] = [:]
    /// Nanoseconds of a clock that never goes back.
    private var time: UInt64?
    private var rates: [String: Rate] = [:]

    mutating func take(_ rows: [FlowRow], at now: UInt64) {
        rates = [:]
        let counted = rows.compactMap { row in row.counters.map { (row.identity, $0) } }
        if let time, now > time {
            let seconds = Double(now - time) / 1e9
            for (identity, counters) in counted {
                guard let earlier = before[identity] else { continue }
                rates[identity] = Rate(counters, since: earlier, seconds)
            }
        }
        before = Dictionary(counted) { first, _ in first }
        time = now
    }

    func busiestFirst(_ rows: [FlowRow]) -> [FlowRow] {
        let bytes = { (row: FlowRow) in rates[row.identity].map { $0.bytesSent + $0.bytesReceived } ?? 0 }
        return rows.map { ($0, bytes($0)) }.sorted { $0.1 > $1.1 }.map(\.0)
    }

    /// Packets and bytes, sent and received; dashes until there is a listing to compare with.
    func cells(_ row: FlowRow) -> [String] {
        guard let rate = rates[row.identity] else { return ["-", "-"] }
        return [
            "\(FlowRow.amount(rate.packetsSent))/\(FlowRow.amount(rate.packetsReceived))",
            "\(FlowRow.amount(rate.bytesSent))/\(FlowRow.amount(rate.bytesReceived))",
        ]
    }
}

extension FlowRates.Rate {
    /// Counters that went back were reset.
    fileprivate init(_ now: FlowRow.Counters, since before: FlowRow.Counters, _ seconds: Double) {
        func rate(_ counter: KeyPath<FlowRow.Counters, Int>) -> Int {
            let (now, before) = (now[keyPath: counter], before[keyPath: counter])
            return Int((Double(now >= before ? now - before : now) / seconds).rounded())
        }
        self.init(
            packetsSent: rate(\.packetsSent), bytesSent: rate(\.bytesSent), packetsReceived: rate(\.packetsReceived),
            bytesReceived: rate(\.bytesReceived))
    }
}
