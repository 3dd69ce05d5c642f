/// Decisions that were made and are in no log (F5).
package struct GapRecord: Hashable, Sendable {
    package enum Reason: String, Hashable, Sendable, CaseIterable {
        /// The socket's buffer was full: `ENOBUFS`, or a step in `NFULA_SEQ`.
        case captureOverrun = "capture overrun"
        /// libpcap dropped packets, `pcap_stats`.
        case captureDrop = "capture drop"
        /// The daemon's own queue was full.
        case backlogFull = "backlog full"
        /// A rule's kernel counter is ahead of the records.
        case counterAhead = "rule counter ahead of the log"
        /// The log folder could not be written.
        case writeFailed = "write failed"
        /// Nobody was there to log; the rules stayed in force.
        case daemonStopped = "daemon stopped"
    }

    /// The last moment known to be complete.
    package var from: Timestamp
    /// From here on the log is complete again; the time of the record itself.
    package var to: Timestamp
    package var missing: UInt64
    package var reason: Reason
    /// The rule that refused them. Nil of those that every list allowed, and where it is not known.
    package var rule: CountedRule?
    /// Rules that let missing decisions pass at their stages, and how many each: of those that are missing here, and of
    /// those that gaps of the refusing rules tell.
    package var passed: [Passed]
    /// Lines that the log did not take: those of the missing decisions, and of how flows went on.
    package var records: UInt64

    package struct Passed: Hashable, Sendable {
        package var rule: CountedRule
        package var missing: UInt64

        package init(rule: CountedRule, missing: UInt64) {
            self.rule = rule
            self.missing = missing
        }
    }

    package init(
        from: Timestamp, to: Timestamp, missing: UInt64, reason: Reason, rule: CountedRule? = nil,
        passed: [Passed] = [], records: UInt64 = 0
    ) {
        self.from = from
        self.to = to
        self.missing = missing
        self.reason = reason
        self.rule = rule
        self.passed = passed
        self.records = records
    }
}

/// A line of `flows.jsonl`.
package enum LogEntry: Hashable, Sendable {
    case flow(FlowRecord)
    case gap(GapRecord)

    package var time: Timestamp {
        switch self {
        case .flow(let record): record.time
        case .gap(let gap): gap.to
        }
    }
}
