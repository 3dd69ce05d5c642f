import FlowLog

/// What `status` tells of the past.
struct EnforcementHistory: Sendable {
    var enforcedSince: Timestamp?
    /// The documents have faults, and an earlier policy is in force.
    var isLastGood = false
    var lastReload: (at: Timestamp, succeeded: Bool, message: String)?
    var lastAudit: Timestamp?
    /// Connections that `flushConnection` or somebody ended.
    var flowsEnded = 0
    var driftsFound = 0
    var driftsHealed = 0

    mutating func note(_ outcome: ReloadOutcome, at now: Timestamp) {
        if outcome.isSuccess { enforcedSince = enforcedSince ?? now }
        lastReload = (now, outcome.isSuccess, outcome.message)
    }

    mutating func noteAudit(at now: Timestamp, drifted: Bool, healed: Bool) {
        lastAudit = now
        driftsFound += drifted ? 1 : 0
        driftsHealed += healed ? 1 : 0
    }
}
