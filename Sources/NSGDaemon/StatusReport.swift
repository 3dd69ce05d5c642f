import ControlProtocol
import FlowLog
import JSONText
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import Synchronization
import SystemServices

/// What `status` answers.
struct StatusReport: Sendable {
    let enforcer: Enforcer
    let analytics: TrafficAnalytics
    let startedAt: Timestamp
    let links: LinkSnapshot

    func json(observer report: ObserverReport, host: HostReading) -> JSONValue {
        let policy = enforcer.policy.withLock { $0 }
        let history = enforcer.history.withLock { $0 }
        let logged = Int(clamping: report.decisionsLogged)
        let missing = Int(clamping: report.decisionsMissing)
        return JSONValue(object: [
            ("version", JSONValue(Installation.version)), ("startedAt", JSONValue(startedAt.description)),
            ("enforcedSince", history.enforcedSince.map { JSONValue($0.description) } ?? nil),
            ("bindings", JSONValue(policy.map { bindings(of: $0, since: history.enforcedSince) } ?? [])),
            ("flows", JSONValue(report.liveFlows)), ("flowsEnded", JSONValue(history.flowsEnded)),
            ("decisions", ["total": JSONValue(logged + missing), "logged": JSONValue(logged)]),
            (
                "losses",
                [
                    "conntrackEvents": JSONValue(report.losses.conntrackOverruns), "packetCopies": JSONValue(missing),
                    "logRecords": JSONValue(Int(clamping: report.recordsLost)),
                ]
            ),
            ("dropped", JSONValue(policy.map { dropped(host, $0) } ?? [])),
            (
                "conntrack",
                host.conntrack.map { ["connections": JSONValue($0.connections), "limit": JSONValue($0.limit)] } ?? nil
            ),
            (
                "drift",
                [
                    "lastAudit": history.lastAudit.map { JSONValue($0.description) } ?? nil,
                    "found": JSONValue(history.driftsFound), "healed": JSONValue(history.driftsHealed),
                ]
            ),
            ("lastReload", history.lastReload.map(reload) ?? nil),
            ("problems", JSONValue(problems(report, host).map { JSONValue($0) })),
        ])
    }

    private func bindings(of policy: Policy, since: Timestamp?) -> [JSONValue] {
        let present = links.table.withLock { $0 }
        return policy.estate.bindings.map { binding in
            let groups = Direction.allCases.flatMap { policy.book.lists(of: binding.networkInterface, $0) }
                .filter { $0.key.level != .admin }.map(\.key.owner)
            return JSONValue(object: [
                ("nic", JSONValue(binding.networkInterface.description)), ("interface", JSONValue(binding.device)),
                ("attachment", JSONValue(binding.attachment.rawValue)),
                ("present", JSONValue(present.byName[binding.device] != nil)),
                ("networkSecurityGroups", JSONValue(Set(groups).sorted().map { JSONValue($0.description) })),
                ("enforcedSince", since.map { JSONValue($0.description) } ?? nil),
            ])
        }
    }

    private func reload(_ last: (at: Timestamp, succeeded: Bool, message: String)) -> JSONValue {
        [
            "at": JSONValue(last.at.description), "result": last.succeeded ? "succeeded" : "failed",
            "message": JSONValue(last.message),
        ]
    }

    private func dropped(_ host: HostReading, _ policy: Policy) -> [JSONValue] {
        DroppedPackets.all(in: host.counters, of: policy).filter { $0.packets > 0 }.map(\.json)
    }

    /// What an operator should look at.
    func problems(_ report: ObserverReport, _ host: HostReading) -> [String] {
        let policy = enforcer.policy.withLock { $0 }
        let history = enforcer.history.withLock { $0 }
        var problems: [String] = []
        if history.isLastGood { problems.append("the documents have faults; the last policy without any is in force") }
        let present = links.table.withLock { $0 }
        problems += policy.map { present.faults(of: $0.estate.bindings).map(\.message) } ?? []
        problems += [
            report.losses.captureProblem, report.writeProblem, host.conntrack?.problem, host.metricsProblem,
        ].compactMap(\.self)
        problems += analytics.problems
        return problems
    }
}

/// The devices as they were last heard of.
final class LinkSnapshot: Sendable {
    let table: Mutex<LinkTable>
    init(_ table: LinkTable) { self.table = Mutex(table) }
}
