package import FlowLog
import NSGCompiler
import NSGModel
package import Nftables

/// Everything about the daemon and its table that metrics tell (D6). No label takes more values than the policy has
/// rules and interfaces.
package struct HostMetrics: Sendable {
    /// What the daemon counts since its start.
    package struct Recorded: Sendable {
        package var decisionsLogged: UInt64 = 0
        package var decisionsMissing: [GapRecord.Reason: UInt64] = [:]
        package var recordsLost: UInt64 = 0
        package var conntrackOverruns: UInt64 = 0
        package var liveFlows: UInt64 = 0
        package var flowsEnded: UInt64 = 0
        package var driftsFound: UInt64 = 0
        package var driftsHealed: UInt64 = 0

        package init() {}
    }

    package var version: String
    package var startedAt: Timestamp
    package var recorded = Recorded()
    /// Whether decisions are captured for the flow logs.
    package var isCapturing = false
    package var problems = 0
    package var enforcedSince: Timestamp?
    package var lastReload: (at: Timestamp, succeeded: Bool)?
    package var conntrack: ConntrackFill?
    /// Nil where nothing is enforced.
    package var policy: Policy?
    /// Of the kernel's table; they outlive the daemon.
    package var counters: [CounterName: CounterValue] = [:]

    package init(version: String, startedAt: Timestamp) {
        self.version = version
        self.startedAt = startedAt
    }

    // MARK: Text

    package var text: String {
        var text = MetricsText()
        text.add("nsgd_build_info", .gauge, "The version of nsgd; always 1.", [.init(.count(1), ("version", version))])
        text.add("nsgd_start_time_seconds", .gauge, "When the daemon started.", .time(startedAt))
        addEnforcement(to: &text)
        addDecisions(to: &text)
        addFlows(to: &text)
        return text.finished()
    }

    private func addEnforcement(to text: inout MetricsText) {
        text.add(
            "nsgd_enforced", .gauge, "Whether rules are in force: 1, or 0 after a flush.", .init(enforcedSince != nil))
        text.add(
            "nsgd_enforced_since_seconds", .gauge, "Since when rules are in force without a break.",
            enforcedSince.map(MetricsText.Value.time))
        text.add(
            "nsgd_last_reload_successful", .gauge, "Whether the last load of the documents succeeded.",
            lastReload.map { .init($0.succeeded) })
        text.add(
            "nsgd_last_reload_timestamp_seconds", .gauge, "When the documents were last loaded, or that was tried.",
            lastReload.map { .time($0.at) })
        text.add("nsgd_problems", .gauge, "Problems that nsgctl status lists.", .count(UInt64(clamping: problems)))
        text.add(
            "nsgd_drift_found_total", .counter, "Changes of the table by others that were found.",
            .count(recorded.driftsFound))
        text.add(
            "nsgd_drift_healed_total", .counter, "Changes of the table by others that were undone.",
            .count(recorded.driftsHealed))
    }

    private func addDecisions(to text: inout MetricsText) {
        if let policy { addCounters(of: policy, to: &text) }
        text.add(
            "nsgd_packet_log_up", .gauge, "Whether decisions are captured for the flow logs.", .init(isCapturing))
        text.add(
            "nsgd_decisions_logged_total", .counter, "Decisions that reached the flow logs.",
            .count(recorded.decisionsLogged))
        text.add(
            "nsgd_decisions_missing_total", .counter,
            "Decisions that are missing in the flow logs, and declared there.",
            GapRecord.Reason.allCases.map {
                .init(.count(recorded.decisionsMissing[$0] ?? 0), ("reason", $0.rawValue))
            })
        text.add(
            "nsgd_flow_records_lost_total", .counter, "Flow records that could not be written.",
            .count(recorded.recordsLost))
    }

    private func addCounters(of policy: Policy, to text: inout MetricsText) {
        let rules = countedRules(of: policy)
        // No sum of what was refused: it would shrink with a rule that goes, which looks like a start from zero.
        let allowed = [FixedNames.allowedCounter, FixedNames.allowedAgainCounter].compactMap { counters[$0]?.packets }
        text.add(
            "nsgd_allowed_packets_total", .counter,
            "First packets that every list allowed; those refused are with the rules that deny.",
            allowed.isEmpty ? nil : .count(allowed.reduce(0, &+)))
        text.add(
            "nsgd_rule_decisions_total", .counter, "First packets that a rule decided about, at every list it is in.",
            rules.map { counted in
                .init(
                    .count(counted.packets),
                    ("network_security_group", policy.names.shortName(ofOwner: counted.rule.owner)),
                    ("rule", counted.rule.name), ("kind", counted.rule.kind.rawValue),
                    ("direction", counted.rule.direction.rawValue), ("access", counted.rule.access.rawValue))
            })
        text.add(
            "nsgd_dropped_packets_total", .counter, "Packets that were dropped without a rule being asked.",
            DroppedPackets.all(in: counters, of: policy).map { dropped in
                .init(
                    .count(dropped.packets), ("reason", dropped.reason.rawValue),
                    ("nic", dropped.networkInterface.map(policy.names.shortName(ofInterface:)) ?? ""),
                    ("direction", dropped.direction?.rawValue ?? ""))
            })
    }

    /// The rules of bound interfaces and of the platform that have a counter, each once, by the counter's name.
    private func countedRules(of policy: Policy) -> [(rule: SecurityRule, packets: UInt64)] {
        var found: [CounterName: (rule: SecurityRule, packets: UInt64)] = [:]
        for rule in PlatformRules.all + policy.book.boundLists.flatMap({ $0.rules.map(\.rule) }) {
            let name = policy.names.counterName(of: NumberedRule(rule))
            if let value = counters[name] { found[name] = (rule, value.packets) }
        }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    private func addFlows(to text: inout MetricsText) {
        text.add("nsgd_flows", .gauge, "Live connections that rules allowed.", .count(recorded.liveFlows))
        text.add(
            "nsgd_flows_ended_total", .counter, "Connections that flushConnection ended.", .count(recorded.flowsEnded))
        text.add(
            "nsgd_conntrack_overruns_total", .counter, "Times that events of conntrack were lost, and made good.",
            .count(recorded.conntrackOverruns))
        text.add(
            "nsgd_conntrack_connections", .gauge, "Connections in the kernel's table.",
            conntrack.map { .count(UInt64(clamping: $0.connections)) })
        text.add(
            "nsgd_conntrack_connections_limit", .gauge, "So many the kernel's table holds at most.",
            conntrack.map { .count(UInt64(clamping: $0.limit)) })
    }
}

extension MetricsText.Value {
    fileprivate static func time(_ time: Timestamp) -> Self { .time(milliseconds: time.milliseconds) }
}
