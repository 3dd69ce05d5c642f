import FlowLog

/// How it goes with the flow log, for `status` and metrics.
struct ObserverReport: Sendable {
    var liveFlows: Int
    var decisionsLogged: UInt64
    var decisionsMissing: UInt64
    var recordsLost: UInt64
    var losses: FlowObserver.Losses
    /// Why records wait to be written; nil while they are.
    var writeProblem: String?
    /// Packets of decisions are read.
    var isCapturing: Bool
}

extension FlowObserver {
    struct Losses: Sendable {
        /// Times the kernel dropped conntrack events; each was made good by a dump.
        var conntrackOverruns = 0
        /// Copies of packets that never came, by their numbers.
        var packetCopies = 0
        /// Decisions that were declared missing.
        var decisions: [GapRecord.Reason: UInt64] = [:]
        /// Why packets are not captured; nil while they are.
        var captureProblem: String?
    }
}
