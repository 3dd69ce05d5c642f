import FlowLog
import JSONText
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import Testing

/// Admin rules (S8), platform services (S9) and blocked SMTP (S14) in records, accounts and answers.
@Suite("Deciders beside security groups (S8, S9, S14)")
struct OtherDecidersTests {
    let policy: Policy
    var tracker: FlowTracker
    private static let outside = ("v-db", "uplink")

    init() throws {
        policy = try OtherDeciders.policy()
        tracker = FlowTracker(attributor: Attributor(policy: policy))
    }

    private func summary(_ records: [FlowRecord]) -> [String] {
        records.map { record in
            let rules = record.stages.map { stage in
                "\(stage.level.rawValue):\(stage.rule.name.isEmpty ? "-" : stage.rule.name)\(stage.isDerived ? "?" : "")"
            }
            let nic = record.interface.networkInterface?.name ?? "-"
            let platform = record.isPlatform ? ["platform"] : []
            return ([nic, record.change.letter] + platform + rules).joined(separator: " ")
        }
    }

    private func packet(
        _ mark: DecisionMark, _ flow: FlowTuple, of connection: Connection? = nil, exit: String = "v-web"
    ) -> JudgedPacket {
        JudgedPacket(
            time: Timestamp(seconds: 100), mark: mark, entryDevice: "v-db", exitDevice: exit, flow: flow,
            connection: connection, bytes: 60)
    }

    /// From db1 to an address outside.
    private func flow(_ protocol: IPProtocol, to address: String, _ port: UInt16) throws -> FlowTuple {
        FlowTuple(
            protocol: `protocol`, source: try #require(IPAddress("10.1.0.5")),
            destination: try #require(IPAddress(address)), sourcePort: 40_000, destinationPort: port)
    }

    private mutating func records(of flow: FlowTuple, label: UInt128) -> [FlowRecord] {
        let connection = Connection(id: 7, flow: flow, label: label, totals: .zero, isClosed: false)
        return tracker.judged(packet(.allowed, flow, of: connection))
            + tracker.ended(connection, at: Timestamp(seconds: 110))
    }

    @Test("a packet that is exempt where it enters is judged where it leaves, and each side's records say so (S9)")
    mutating func exemptAtOneSide() throws {
        let web = FlowLabel.bits(
            try TwoMachines.number("AllowWeb", of: "web", in: policy), in: LabelSlot(side: .exit, level: .nic))
        let label =
            try OtherDeciders.platformBits(.entry, in: policy) | OtherDeciders.bits("", .exit, in: policy) | web
            | FlowLabel.decided
        let records = records(of: try TwoMachines.flow(port: 80), label: label)
        #expect(
            summary(records) == [
                "db1 B platform", "web1 B admin:- nic:AllowWeb", "db1 E platform", "web1 E admin:- nic:AllowWeb",
            ])
        #expect(records[1].decidingStage?.rule.name == "AllowWeb", "the end of the admin rules decides nothing")
        #expect(records[1].jsonLine.contains(#""ruleName":"","access":"Allow"},{"level":"nic""#), "and has no priority")
        #expect(records[0].jsonLine.hasSuffix(#""platform":true,"passedOn":true}"#))
        #expect(records[0].nsgFlowTuple(.two) == nil && records[0].vnetFlowTuple != nil)
    }

    @Test("AlwaysAllow is the only stage, named by its manager (S8, FACTS f)")
    mutating func alwaysAllowed() throws {
        let out = FlowLabel.bits(
            try TwoMachines.number("AllowVnetOutBound", of: "db", in: policy), in: LabelSlot(side: .entry, level: .nic))
        let label =
            try OtherDeciders.bits("", .entry, in: policy) | out | OtherDeciders.bits("OpenWeb", .exit, in: policy)
            | FlowLabel.decided
        let records = records(of: try TwoMachines.flow(port: 443), label: label)
        #expect(summary(records)[1] == "web1 B admin:OpenWeb" && summary(records)[3] == "web1 E admin:OpenWeb")
        let stage = try #require(records[1].decidingStage)
        #expect(stage.rule.group == OtherDeciders.manager && stage.groupGUID == OtherDeciders.guid)
        #expect(stage.rule.flowLogName == "OpenWeb" && stage.access == .alwaysAllow)
        // The evaluator agrees, where no label tells.
        let derived = tracker.judged(packet(.allowed, try TwoMachines.flow(port: 443, from: 41_000)))
        #expect(summary(derived) == ["db1 B admin:-? nic:AllowVnetOutBound?", "web1 B admin:OpenWeb?"])
    }

    @Test("an admin Deny is the first stage, the groups' answers stand behind it (S8, K5)")
    mutating func adminDenies() throws {
        let number = try #require(policy.numbering.rules.first { $0.value.name == "BlockSsh" }?.key)
        let mark = DecisionMark.denied(LabelSlot(side: .exit, level: .admin), number)
        let records = tracker.judged(packet(mark, try TwoMachines.flow(port: 22)))
        #expect(
            summary(records) == [
                "db1 B admin:-? nic:AllowVnetOutBound?", "web1 D admin:BlockSsh nic:DenyRest?",
            ])
        let stage = try #require(records[1].jsonLine.firstRange(of: #""stages":[{"#))
        #expect(
            records[1].jsonLine[stage.upperBound...].hasPrefix(
                """
                "level":"admin","networkSecurityGroup":"\(OtherDeciders.manager)",\
                "ruleCollection":"\(OtherDeciders.manager)/securityAdminConfigurations/all/ruleCollections/baseline",\
                "ruleName":"BlockSsh","priority":10,\
                "access":"Deny"}
                """))
    }

    @Test("blocked SMTP is the platform's (S14)")
    mutating func smtp() throws {
        let number = try #require(OtherDeciders.number(PlatformRules.blockSMTP, in: policy))
        let mark = DecisionMark.denied(LabelSlot(side: .entry, level: .admin), number)
        let records = tracker.judged(packet(mark, try flow(.tcp, to: "203.0.113.9", 25), exit: "uplink"))
        #expect(summary(records) == ["db1 D platform"])
        #expect(records[0].access == .deny && records[0].decidingStage == nil)
    }

    @Test("without a connection the evaluator knows what the platform lets pass (S9)")
    mutating func derivesExemption() throws {
        let records = tracker.judged(packet(.allowed, try flow(.udp, to: "168.63.129.16", 53), exit: "uplink"))
        #expect(summary(records) == ["db1 B platform"])
    }

    @Test("flows found at the start know their interfaces and deciders by the label (E4)")
    mutating func foundAtStart() throws {
        let label =
            try OtherDeciders.platformBits(.entry, in: policy) | OtherDeciders.bits("OpenWeb", .exit, in: policy)
            | FlowLabel.decided
        let flow = try TwoMachines.flow(port: 443)
        let connection = Connection(id: 7, flow: flow, label: label, totals: .zero, isClosed: false)
        _ = tracker.reconcile([connection], for: .start(.some([:])), at: Timestamp(seconds: 90))
        let records = tracker.ended(connection, at: Timestamp(seconds: 110))
        #expect(summary(records) == ["db1 E platform", "web1 E admin:OpenWeb"])
    }

    @Test("admin denies and blocked SMTP are decisions, what the platform lets pass is one once it is allowed (F5)")
    func accounts() throws {
        let ssh = CounterName("admin/baseline/inbound/BlockSsh")
        let smtp = CounterName("platform/smtp")
        let counters = [ssh: 3, smtp: 2, CounterName("platform/allowed"): 9, FixedNames.allowedCounter: 1].mapValues {
            CounterValue(packets: $0, bytes: 0)
        }
        var ledger = DecisionLedger()
        _ = ledger.begin(with: [:], at: Timestamp(seconds: 0), in: policy)
        var tally = DecisionTally()
        let interface = LoggedInterface(networkInterface: nil, device: nil)
        let platform = SideFacts(interface: interface, direction: .outbound, stages: [], isPlatform: true)
        tally.add(LoggedSide(platform), isDenied: true)
        ledger.count(tally)
        _ = ledger.compare(with: counters, at: Timestamp(seconds: 10), in: policy, reason: .counterAhead)
        let gaps = ledger.compare(with: counters, at: Timestamp(seconds: 20), in: policy, reason: .counterAhead)
        let missing = Dictionary(uniqueKeysWithValues: gaps.map { ($0.rule?.rule.name ?? "", $0.missing) })
        #expect(missing == ["": 1, "BlockSsh": 3, "smtp": 1])
        #expect(gaps.first?.passed == [GapRecord.Passed(rule: .platform(.allow), missing: 9)])
        let lines = gaps.map { LogEntry.gap($0).jsonLine }
        #expect(lines.contains { $0.hasSuffix(#""rule":"PlatformRule"}"#) })
    }

    @Test("IP flow verify explains admin rules, ends with AlwaysAllow, and remarks on blocked SMTP (K5)")
    func explains() throws {
        func query(_ nic: String, _ direction: String, _ local: String, _ remote: String) throws -> FlowQuery {
            try FlowQuery(nic: nic, vm: nil, direction: direction, protocol: "TCP", local: local, remote: remote)
        }
        func tried(_ query: FlowQuery) throws -> [String] {
            let lists = try policy.explanation(of: query)["evaluatedNetworkSecurityGroups"]?.array ?? []
            return lists.map { list in
                let names = list["rulesEvaluationResult"]?.array?.map { $0["name"]?.string ?? "" } ?? []
                return ([list["level"]?.string ?? ""] + names).joined(separator: " ")
            }
        }
        let web = try query("web1", "Inbound", "10.1.0.4:443", "10.1.0.5:9")
        #expect(try tried(web) == ["admin BlockSsh OpenWeb"])
        let answer = try policy.answer(web).json
        #expect(answer["access"]?.string == "Allow" && answer["ruleName"]?.string == "OpenWeb")
        #expect(answer["stages"]?.array?.count == 1)
        #expect(answer["stages"]?[0]?["networkSecurityGroup"]?.string == OtherDeciders.manager.description)
        let other = try query("web1", "Inbound", "10.1.0.4:80", "10.1.0.5:9")
        #expect(try tried(other) == ["admin BlockSsh OpenWeb", "nic UserRule_AllowWeb"])
        // Where no admin rule matches there is none to name, and no priority.
        let stages = try #require(policy.answer(other).json["stages"])
        #expect(stages[0]?["level"]?.string == "admin" && stages[0]?["ruleName"]?.string == "")
        #expect(stages[0]?["priority"] == nil && stages[1]?["priority"]?.int == 100)

        let mail = try policy.answer(query("db1", "Outbound", "10.1.0.5:9", "203.0.113.9:25"))
        #expect(mail.json["access"]?.string == "Deny" && mail.json["ruleName"]?.string == "")
        #expect(mail.json["platform"] == nil, "it speaks of exemptions (K5)")
        #expect(try #require(mail.json["reason"]?.string).contains("blocks TCP port 25"))
        let other587 = try policy.answer(query("db1", "Outbound", "10.1.0.5:9", "203.0.113.9:587"))
        #expect(other587.json["platform"] == nil && other587.reason == nil && other587.note == nil)
    }
}
