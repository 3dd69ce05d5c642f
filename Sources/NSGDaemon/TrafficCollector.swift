import FlowLog
import NSGConfig
import NSGEngine
import NSGModel

/// Adds up records on the flow log's queue, and hands the sums over to be stored: each minute.
///
/// Refused packets are counted before they are folded: a packet is in the sums at once, not at the end of its minute.
struct TrafficCollector {
    private var aggregator: TrafficAggregator
    private let analytics: TrafficAnalytics
    private var handedOver = Timestamp(nanoseconds: 0)
    /// Seconds between two hand-overs; and how often a question may ask for one.
    private static let interval: UInt64 = 60
    private static let leastInterval: UInt64 = 1

    init(_ analytics: TrafficAnalytics, policy: Policy) {
        self.analytics = analytics
        aggregator = TrafficAggregator(intervals: policy.trafficIntervals)
    }

    mutating func adopt(_ policy: Policy) {
        aggregator.intervals = policy.trafficIntervals
        analytics.adopt(policy)
    }

    mutating func add(_ records: [FlowRecord]) {
        for record in records { aggregator.add(record) }
    }

    mutating func add(_ gaps: [GapRecord]) {
        for gap in gaps { aggregator.add(gap) }
    }

    mutating func tick(now: Timestamp) {
        guard now.seconds / Self.interval != handedOver.seconds / Self.interval else { return }
        if aggregator.isEmpty { analytics.tryAgain() }
        handOver(now: now)
    }

    /// Before a question, so that the answer has what came until now.
    mutating func refresh(now: Timestamp) {
        if now >= handedOver.adding(seconds: Self.leastInterval) || now < handedOver { handOver(now: now) }
    }

    mutating func handOver(now: Timestamp) {
        handedOver = now
        if !aggregator.isEmpty { analytics.take(aggregator.take()) }
    }
}

extension Policy {
    /// A `flowLogs` resource goes before the setting (FACTS i1, `trafficAnalyticsInterval`).
    fileprivate var trafficIntervals: TrafficIntervals {
        let settings = configuration.settings.analytics
        var resources: [ResourceID: UInt64] = [:]
        for log in estate.flowLogs.values {
            if let minutes = log.analyticsInterval { resources[log.target] = UInt64(minutes) * 60 }
        }
        return TrafficIntervals(
            byDefault: UInt64(max(settings.interval.components.seconds, 1)), resources: resources)
    }
}
