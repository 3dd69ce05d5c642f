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
    /// Nil where the loss cannot be assigned to a rule.
    package var rule: RuleReference?

    package init(from: Timestamp, to: Timestamp, missing: UInt64, reason: Reason, rule: RuleReference? = nil) {
        self.from = from
        self.to = to
        self.missing = missing
        self.reason = reason
        self.rule = rule
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
