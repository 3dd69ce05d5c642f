import FlowLog
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import Testing

@Suite("Decision ledger (F5)")
struct DecisionLedgerTests {
    let policy: Policy
    var ledger = DecisionLedger()
    static let allowed = FixedNames.allowedCounter
    static let denied = CounterName("nsg/web/inbound/DenyRest")
    static let web = CounterName("nsg/web/inbound/AllowWeb")

    init() throws { policy = try TwoMachines.policy() }

    private static func side(_ name: String, _ access: Access) -> LoggedSide {
        let rule = RuleReference(owner: TwoMachines.group, name: name, kind: .custom)
        let stage = StageRecord(level: .nic, rule: rule, groupGUID: .zero, priority: Priority(100), access: access)
        let interface = LoggedInterface(networkInterface: nil, device: "v-web")
        return LoggedSide(SideFacts(interface: interface, direction: .inbound, stages: [stage]))
    }

    private static func tally(web: UInt64 = 0, denied: UInt64 = 0) -> DecisionTally {
        var tally = DecisionTally()
        tally.add(side("AllowWeb", .allow), web)
        tally.add(side("DenyRest", .deny), isDenied: true, denied)
        return tally
    }

    /// Everything that is allowed is by one rule.
    private func counters(web: UInt64, denied: UInt64) -> [CounterName: CounterValue] {
        [Self.allowed: web, Self.web: web, Self.denied: denied].mapValues { CounterValue(packets: $0, bytes: 0) }
    }

    private mutating func begin(web: UInt64 = 0, denied: UInt64 = 0, after earlier: DecisionLedger.Accounts? = nil)
        -> [GapRecord]
    {
        ledger.begin(
            with: counters(web: web, denied: denied), at: Timestamp(seconds: 0), in: policy, after: earlier)
    }

    private mutating func compare(web: UInt64, denied: UInt64, second: UInt64) -> [GapRecord] {
        ledger.compare(
            with: counters(web: web, denied: denied), at: Timestamp(seconds: second), in: policy, reason: .counterAhead)
    }

    @Test("what was counted before the beginning is somebody else's business, what is on its way is not lost yet")
    mutating func isPatient() {
        _ = begin(web: 100, denied: 50)
        let compared1 = compare(web: 103, denied: 50, second: 10)
        #expect(compared1 == [])
        ledger.count(Self.tally(web: 3))
        let compared2 = compare(web: 103, denied: 50, second: 20)
        #expect(compared2 == [])
        #expect(ledger.totalMissing == 0)
    }

    @Test("missing decisions are declared once, by rule, with their interval, and with the rules that let them pass")
    mutating func declares() throws {
        _ = begin()
        ledger.count(Self.tally(denied: 1))
        let compared3 = compare(web: 4, denied: 3, second: 10)
        #expect(compared3 == [])
        let gaps = compare(web: 4, denied: 3, second: 20)
        #expect(gaps.map(\.missing) == [4, 2])
        #expect(gaps.map(\.rule?.rule.name) == [nil, "DenyRest"])
        #expect(gaps[0].passed.map(\.rule.rule.name) == ["AllowWeb"])
        #expect(gaps[0].passed.map(\.missing) == [4])
        #expect(gaps.allSatisfy { $0.from == Timestamp(seconds: 10) && $0.to == Timestamp(seconds: 20) })
        let compared4 = compare(web: 4, denied: 3, second: 30)
        #expect(compared4 == [])
        #expect(ledger.totalMissing == 6)
    }

    @Test("a counter that was made anew is another account: no false gap, and no loss hidden behind the old one")
    mutating func survivesResets() {
        _ = begin(web: 100)
        ledger.count(Self.tally(web: 1000))
        _ = compare(web: 1100, denied: 0, second: 10)
        let compared5 = compare(web: 3, denied: 0, second: 20)
        #expect(compared5 == [])
        _ = compare(web: 903, denied: 0, second: 30)
        let compared6 = compare(web: 903, denied: 0, second: 40)
        #expect(compared6.map(\.missing) == [900])
    }

    @Test("records that name another rule than was counted hide no loss of that rule")
    mutating func noticesExcess() {
        _ = begin()
        ledger.count(Self.tally(web: 5))
        _ = compare(web: 2, denied: 0, second: 10)
        _ = compare(web: 12, denied: 0, second: 20)
        let compared7 = compare(web: 12, denied: 0, second: 30)
        #expect(compared7.map(\.missing) == [10])
    }

    @Test("what the log did not take is declared at once, and not once more")
    mutating func declaresLosses() {
        _ = begin()
        ledger.count(Self.tally(web: 5, denied: 7))
        let gaps = ledger.lose(
            Self.tally(web: 2, denied: 3), from: Timestamp(seconds: 4), to: Timestamp(seconds: 9), in: policy,
            because: .writeFailed)
        #expect(gaps.map(\.missing) == [2, 3])
        _ = compare(web: 5, denied: 7, second: 10)
        let compared8 = compare(web: 5, denied: 7, second: 20)
        #expect(compared8 == [])
    }

    @Test("decisions while nobody was there are declared at the next start; what waited to be written is among them")
    mutating func declaresAbsence() {
        _ = begin(web: 10)
        ledger.count(Self.tally(web: 5, denied: 4))
        let accounts = ledger.accounts(at: Timestamp(seconds: 9), in: policy, without: Self.tally(denied: 1))
        ledger = DecisionLedger()
        let gaps = begin(web: 22, denied: 6, after: accounts)
        #expect(gaps.map(\.missing) == [7, 3])
        #expect(gaps.allSatisfy { $0.reason == .daemonStopped && $0.from == Timestamp(seconds: 9) })
    }

    @Test("a reading that was taken on purpose declares what is missing without waiting for the next")
    mutating func proves() {
        _ = begin()
        ledger.count(Self.tally(web: 5))
        let first = counters(web: 7, denied: 0)
        let second = counters(web: 9, denied: 1)
        let gaps = ledger.compare(
            first, at: Timestamp(seconds: 1), with: second, at: Timestamp(seconds: 2), in: policy, reason: .counterAhead
        )
        #expect(gaps.map(\.missing) == [2])
        let lines = ledger.lines(in: policy, waiting: DecisionTally())
        let line = lines.first { $0.name == Self.web }?.line
        #expect(line?.counted == 9)
        #expect(line?.account.recorded == 5)
        #expect(line?.account.declared == 2)
        #expect(line?.onTheWay == 2)
    }
}
