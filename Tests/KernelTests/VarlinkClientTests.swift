import ControlProtocol
import JSONText
import NSGDaemon
import TestSupport
import Testing

/// Every method of `io.nsgd.Control` by the `varlink` package from PyPI, against a daemon that enforces (K1, K2, K5).
@Suite(
    .serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"),
    .enabled(
        if: isInTestNamespace && VarlinkClient.isInstalled,
        "needs the varlink package; scripts/varlink-client installs it"))
struct VarlinkClientTests {
    @Test("introduction: GetInfo, and a description that the package reads")
    func introduction() throws {
        let lab = try ControlLab()
        let answers = try lab.ask([
            .call("GetInfo", of: VarlinkService.name),
            .call("GetInterfaceDescription", ["interface": JSONValue(ControlInterface.name)], of: VarlinkService.name),
            .call("GetInterfaceDescription", ["interface": "io.nsgd.Nothing"], of: VarlinkService.name),
        ])
        let interfaces = answers[0].reply["interfaces"]?.array?.compactMap(\.string)
        #expect(interfaces == [VarlinkService.name, ControlInterface.name])
        #expect(answers[1].reply["description"]?.string == ControlInterface.text)
        #expect(answers[2].error == "org.varlink.service.InterfaceNotFound")
    }

    @Test("what only reads: Status, Check, Compile, Verify, VerifyBatch, Traffic, Ping")
    func reads() throws {
        let lab = try ControlLab()
        let answers = try lab.ask([
            .call("Ping"), .call("Status"), .call("Check"),
            .call("Check", ["directory": JSONValue(lab.folder + "/none")]),
            .call("Compile", ["statistics": true]), .call("Compile", ["statistics": false]),
            .call("Verify", ["query": Self.query(port: 9000), "explain": false]),
            .call("Verify", ["query": Self.query(port: 9001), "explain": true]),
            .call(
                "VerifyBatch", ["queries": [Self.query(), Self.query(port: 9001), Self.query(nic: "nobody")]]),
            .call("VerifyBatch", ["queries": []]), .call("Traffic", ["since": "2026-11-20T14:03:02Z"]),
        ])
        for answer in answers { answer.expectConformance() }
        let status = answers[1].reply["status"]
        let binding = status?["bindings"]?.array?.first
        #expect(binding?["interface"]?.string == ControlLab.device && binding?["present"]?.bool == true)
        #expect(status?["lastReload"]?["result"]?.string == "succeeded" && status?["problems"]?.array == [])
        #expect(answers[2].reply["faults"]?.array == [])
        #expect(answers[3].reply["faults"]?.array?.isEmpty == false)
        #expect(answers[4].reply["ruleset"]?.string?.hasPrefix("table inet nsgd {") == true)
        #expect((answers[4].reply["statistics"]?["rules"]?.int ?? 0) > 10 && answers[5].reply["statistics"] == nil)
        #expect(answers[6].reply["answer"]?["access"]?.string == "Deny")
        #expect(answers[6].reply["answer"]?["ruleName"]?.string == "securityRules/no-9000")
        #expect(answers[7].reply["answer"]?["access"]?.string == "Allow")
        let explained = answers[7].reply["answer"]?["explanation"]?["evaluatedNetworkSecurityGroups"]?.array?.first
        #expect((explained?["rulesEvaluationResult"]?.array?.count ?? 0) > 1)
        let batch = answers[8].reply["answers"]?.array ?? []
        #expect(batch.map { $0["access"]?.string } == ["Deny", "Allow", nil] && batch.last?["error"]?.string != nil)
        let type = ControlInterface.definition.types["VerifyAnswer"] ?? .bool
        for one in batch.prefix(2) { #expect(ControlInterface.definition.departure(of: one, from: type) == nil) }
    }

    @Test("errors have the names and parameters of the interface")
    func errors() throws {
        let lab = try ControlLab()
        let answers = try lab.ask([
            .call("Verify", ["query": Self.query(nic: "nobody"), "explain": false]),
            .call("Verify", ["query": Self.query(direction: "Sideways"), "explain": false]),
            .call("Verify", ["query": ["direction": "Inbound"], "explain": false]),
            .call("Compile"), .call("Log", ["follow": true]),
        ])
        for answer in answers.prefix(2) {
            #expect(answer.error == ControlInterface.Failure.badQuery.qualifiedName)
            answer.expectConformance()
        }
        for answer in answers[2...3] { #expect(answer.error == "org.varlink.service.InvalidParameter") }
        #expect(answers[4].error == "org.varlink.service.ExpectedMore")
    }

    @Test("changes: Reload applied, unchanged and faulty; Flush, after which nothing is found")
    func changes() throws {
        let lab = try ControlLab()
        let verify = VarlinkStep.call("Verify", ["query": Self.query(port: 9001), "explain": false])
        let answers = try lab.ask([
            .call("Reload"),
            .run(["cp", lab.write("other.json", ControlLab.policy(deniedPort: 9001)), lab.policyFile]), .call("Reload"),
            verify,
            .run(["cp", lab.write("faulty.json", #"{"networkSecurityGroups": [{"nam": 1}]}"#), lab.policyFile]),
            .call("Reload"), .call("Check"), verify, .call("Status"), .call("Flush"), verify,
            .call("Compile", ["statistics": false]),
            .call("Status"), .call("Flush"),
            .run(["cp", lab.write("good.json", ControlLab.policy(deniedPort: 9000)), lab.policyFile]), .call("Reload"),
            verify,
        ])
        for answer in answers { answer.expectConformance() }
        #expect(answers[0].reply["outcome"]?["result"]?.string == "unchanged")
        #expect(answers[2].reply["outcome"]?["result"]?.string == "applied")
        #expect(answers[3].reply["answer"]?["access"]?.string == "Deny")
        #expect(answers[5].error == ControlInterface.Failure.configurationFaulty.qualifiedName)
        #expect(answers[5].parameters["faults"]?.array?.isEmpty == false)
        #expect(answers[6].reply["faults"] == answers[5].parameters["faults"])
        #expect(answers[7].reply["answer"]?["access"]?.string == "Deny", "the policy in force stays")
        #expect(answers[8].reply["status"]?["lastReload"]?["result"]?.string == "failed")
        for answer in answers[10...11] { #expect(answer.error == ControlInterface.Failure.notFound.qualifiedName) }
        #expect(answers[12].reply["status"]?["enforcedSince"]?.isNull ?? true)
        #expect(answers[15].reply["outcome"]?["result"]?.string == "applied")
        #expect(answers[16].reply["answer"]?["access"]?.string == "Allow")
    }

    @Test("Capture: first that it runs, then a packet once one is refused; Metrics: text (F7, D6)")
    func capture() throws {
        let lab = try ControlLab()
        let answers = try lab.ask([
            .call("Metrics"),
            .follow("Capture", ["filter": ["access": "Deny"], "count": 1], count: 2, beside: lab.refusedPacket),
            .follow("Capture", ["filter": ["nic": "nobody"]], count: 1), .call("Capture", ["filter": [:]]),
            .follow("Capture", ["filter": [:], "seconds": 0], count: 1),
        ])
        for answer in answers.prefix(3) { answer.expectConformance() }
        #expect(answers[0].reply["text"]?.string?.hasSuffix("# EOF\n") == true)
        #expect(answers[1].reply["packet"] == nil && answers[1].messages.count == 2)
        let packet = answers[1].messages.last?["packet"]
        #expect(packet?["decisions"]?[0]?["destinationPort"]?.int == 9000 && packet?["length"]?.int == 30)
        for answer in [answers[2], answers[4]] {
            #expect(answer.error == ControlInterface.Failure.badQuery.qualifiedName)
        }
        #expect(answers[3].error == "org.varlink.service.ExpectedMore")
    }

    @Test("Log: a record comes to a follower once a packet is refused, and stays for those who ask later")
    func log() throws {
        let lab = try ControlLab()
        let answers = try lab.ask([
            .call("Log", ["follow": false]),
            .follow("Log", ["follow": true, "denied": true], count: 2, beside: lab.refusedPacket),
            .follow("Log", ["follow": false, "denied": true, "nic": "guest"], count: 1000),
            .call("Log", ["follow": false, "denied": true]),
            .follow("Log", ["follow": false, "nic": "nobody"], count: 1000),
        ])
        for answer in answers { answer.expectConformance() }
        #expect(answers[0].reply["record"] == nil)
        for record in answers[1].messages.map({ $0["record"] }) {
            #expect(record?["access"]?.string == "Deny" && record?["destinationPort"]?.int == 9000)
        }
        #expect(answers[1].messages.count == 2 && !answers[2].messages.isEmpty && answers[3].messages.count == 1)
        #expect(answers[2].messages.last == answers[3].messages.last)
        #expect(answers[4].messages.count == 1 && answers[4].reply["record"] == nil)
    }

    private static func query(nic: String = "guest", direction: String = "Outbound", port: Int = 9000) -> JSONValue {
        [
            "nic": JSONValue(nic), "direction": JSONValue(direction), "protocol": "UDP", "local": "10.82.0.4:40000",
            "remote": JSONValue("10.82.0.1:\(port)"),
        ]
    }
}

/// K2, as far as it does not take other users.
struct ControlPermissionTests {
    @Test(
        "root and administrators change, readers read, others neither",
        arguments: [
            (Peer(process: 1, user: 0, group: 0), true, true),
            (Peer(process: 1, user: 1000, group: 1000), false, false),
            (Peer(process: 1, user: 1000, group: 70), true, false),
            (Peer(process: 1, user: 1000, group: 1000, groups: [70]), true, false),
            (Peer(process: 1, user: 1000, group: 1000, groups: [71]), true, true),
            (Peer(process: 1, user: 70, group: 0, groups: [0]), false, false),
        ]
    )
    func groups(peer: Peer, reads: Bool, changes: Bool) {
        let permissions = ControlPermissions(readers: 70, administrators: 71)
        #expect(permissions.allow(peer, .read) == reads && permissions.allow(peer, .change) == changes)
        let none = ControlPermissions(readers: nil, administrators: nil)
        #expect(none.allow(peer, .read) == (peer.user == 0) && none.allow(peer, .change) == (peer.user == 0))
    }
}
