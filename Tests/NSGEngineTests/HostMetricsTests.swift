import FlowLog
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import Testing

@Suite("D6: metrics")
struct HostMetricsTests {
    @Test("the exposition format: a help and a type for each name, escapes in labels and helps, an end")
    func format() {
        var text = MetricsText()
        text.add("a_total", .counter, "One \\ and\ntwo \"quoted\".", .count(.max))
        text.add("nothing", .gauge, "Unknown, so not there.", nil)
        text.add(
            "b", .gauge, "With labels.",
            [
                .init(.time(milliseconds: 1_795_183_382_005), ("x", "\"q\" \\ \n Straße"), ("y", "")),
                .init(.init(true), ("x", "2")),
            ])
        #expect(
            text.finished() == #"""
                # HELP a_total One \\ and\ntwo "quoted".
                # TYPE a_total counter
                a_total 18446744073709551615
                # HELP b With labels.
                # TYPE b gauge
                b{x="\"q\" \\ \n Straße",y=""} 1795183382.005
                b{x="2"} 1
                # EOF

                """#)
    }

    @Test("rules by their counters, gaps by their reasons, packets that no rule was asked about")
    func values() throws {
        var metrics = HostMetrics(version: "1.2", startedAt: Timestamp(seconds: 5))
        let policy = try TwoMachines.policy()
        metrics.policy = policy
        let web1 = try #require(policy.estate.bindings.map(\.networkInterface).first { $0.name == "web1" })
        metrics.counters = [
            CounterName("nsg/web/inbound/AllowWeb"): CounterValue(packets: 7, bytes: 420),
            CounterName("nsg/web/inbound/DenyRest"): CounterValue(packets: 3, bytes: 180),
            CounterName("nsg/gone/inbound/Rule"): CounterValue(packets: 1, bytes: 1),
            FixedNames.allowedCounter: CounterValue(packets: 6, bytes: 1),
            FixedNames.allowedAgainCounter: CounterValue(packets: 1, bytes: 1),
            FixedNames.multicastCounter: CounterValue(packets: 2, bytes: 1),
            policy.names.foreignCounter(web1, .outbound): CounterValue(packets: 4, bytes: 1),
            policy.names.invalidCounter(web1): CounterValue(packets: 0, bytes: 0),
        ]
        metrics.recorded.decisionsMissing = [.backlogFull: 12]
        metrics.lastReload = (Timestamp(milliseconds: 6500), true)
        metrics.conntrack = ConntrackFill(connections: 81, limit: 100)
        let lines = metrics.text.split(separator: "\n")
        let rule = #"nsgd_rule_decisions_total{network_security_group="web""#
        let dropped = "nsgd_dropped_packets_total{reason="
        for line in [
            #"nsgd_build_info{version="1.2"} 1"#, "nsgd_start_time_seconds 5.000", "nsgd_enforced 0",
            #"\#(rule),rule="AllowWeb",kind="custom",direction="Inbound",access="Allow"} 7"#,
            #"\#(rule),rule="DenyRest",kind="custom",direction="Inbound",access="Deny"} 3"#,
            "nsgd_allowed_packets_total 7", #"nsgd_decisions_missing_total{reason="backlog full"} 12"#,
            #"\#(dropped)"foreign address",nic="web1",direction="Outbound"} 4"#,
            #"\#(dropped)"invalid",nic="web1",direction=""} 0"#, #"\#(dropped)"multicast",nic="",direction=""} 2"#,
            "nsgd_last_reload_successful 1", "nsgd_last_reload_timestamp_seconds 6.500",
            "nsgd_conntrack_connections 81", "nsgd_conntrack_connections_limit 100",
        ] { #expect(lines.contains(line[...]), "\(line) is not in \(lines)") }
        #expect(lines.last == "# EOF" && !metrics.text.contains("gone"))
        #expect(!metrics.text.contains("nsgd_enforced_since_seconds"))
    }

    @Test("groups and interfaces with one name in two resource groups are told apart")
    func equalNames() throws {
        let policy = try TwoMachines.policy { estate in
            let other = ResourceID(
                subscription: "00000000-0000-0000-0000-000000000000", resourceGroup: "other",
                type: "networkSecurityGroups", name: "web")
            estate.networkSecurityGroups[other] = estate.networkSecurityGroups[TwoMachines.group]
        }
        #expect(policy.names.shortName(ofOwner: TwoMachines.group).hasPrefix("web."))
    }

    @Test(
        "KERNEL 20: conntrack is a problem from 80 % on",
        arguments: [
            (79, 100, false), (80, 100, true), (209_715, 262_144, false), (209_716, 262_144, true), (9, 8, true),
        ])
    func fill(connections: Int, limit: Int, isProblem: Bool) {
        #expect((ConntrackFill(connections: connections, limit: limit)?.problem != nil) == isProblem)
        #expect(
            ConntrackFill(connections: connections, limit: 0) == nil && ConntrackFill(connections: nil, limit: 1) == nil
        )
    }

    @Test("and is warned of once an hour, and anew when it has been well below")
    func alarm() {
        var alarm = ConntrackAlarm()
        var warned: [Bool] = []
        for (seconds, connections) in [
            (0, 50), (10, 80), (20, 95), (30, 78), (40, 85), (3609, 99), (3610, 99), (3620, 74), (3630, 80),
        ] as [(UInt64, Int)] {
            let fill = ConntrackFill(connections: connections, limit: 100)
            let warning = alarm.warning(about: fill, at: seconds * 1_000_000_000)
            warned.append(warning != nil)
        }
        #expect(warned == [false, true, false, false, false, false, true, false, true])
    }
}
