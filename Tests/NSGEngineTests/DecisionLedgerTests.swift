import FlowLog
import NSGCompiler
import NSGEngine
import NSGModel
import Nftables
import Testing

@Suite("Decision ledger (F5)")
struct DecisionLedgerTests {
    let policy: Policy
    var ledger = DecisionLedger()
    let denied: CounterName
    let mark: DecisionMark

    init() throws {
        policy = try TwoMachines.policy()
        let number = try TwoMachines.number("DenyRest", of: "web", in: policy)
        mark = .denied(LabelSlot(side: .exit, level: .nic), number)
        denied = CounterName("nsg/web/inbound/DenyRest")
    }

    private func counters(allowed: UInt64, denied count: UInt64) -> [CounterName: CounterValue] {
        [
            FixedNames.allowedCounter: CounterValue(packets: allowed, bytes: 0),
            denied: CounterValue(packets: count, bytes: 0),
        ]
    }

    private mutating func compare(_ counters: [CounterName: CounterValue], second: UInt64) -> [GapRecord] {
        ledger.compare(with: counters, at: Timestamp(seconds: second), in: policy, reason: .counterAhead)
    }

    @Test("what was counted before the beginning is an earlier run's business, what is on its way is not lost yet")
    mutating func isPatient() {
        _ = ledger.begin(with: counters(allowed: 100, denied: 50), at: Timestamp(seconds: 0), in: policy)
        let gaps1 = compare(counters(allowed: 103, denied: 50), second: 10)
        #expect(gaps1.isEmpty)
        for _ in 0..<3 { ledger.count(.allowed) }
        let gaps2 = compare(counters(allowed: 103, denied: 50), second: 20)
        #expect(gaps2.isEmpty)
        #expect(ledger.totalMissing == 0)
    }

    @Test("missing decisions are declared once, by rule, with their interval")
    mutating func declares() throws {
        _ = ledger.begin(with: counters(allowed: 0, denied: 0), at: Timestamp(seconds: 0), in: policy)
        ledger.count(mark)
        let gaps3 = compare(counters(allowed: 4, denied: 3), second: 10)
        #expect(gaps3.isEmpty)
        let gaps = compare(counters(allowed: 4, denied: 3), second: 20)
        #expect(gaps.map(\.missing) == [4, 2])
        #expect(gaps.map(\.rule?.name) == [nil, "DenyRest"])
        #expect(gaps.allSatisfy { $0.from == Timestamp(seconds: 10) && $0.to == Timestamp(seconds: 20) })
        let gaps4 = compare(counters(allowed: 4, denied: 3), second: 30)
        #expect(gaps4.isEmpty)
        #expect(ledger.totalMissing == 6)
    }

    @Test("a counter that was made anew is another account: no false gap, and no loss hidden behind the old one")
    mutating func survivesResets() {
        _ = ledger.begin(with: counters(allowed: 100, denied: 0), at: Timestamp(seconds: 0), in: policy)
        for _ in 0..<1000 { ledger.count(.allowed) }
        _ = compare(counters(allowed: 1100, denied: 0), second: 10)
        let reset = compare(counters(allowed: 3, denied: 0), second: 20)
        #expect(reset.isEmpty)
        _ = compare(counters(allowed: 903, denied: 0), second: 30)
        let lost = compare(counters(allowed: 903, denied: 0), second: 40)
        #expect(lost.map(\.missing) == [900])
    }

    @Test("decisions while nobody was there are declared at the next start")
    mutating func declaresAbsence() {
        _ = ledger.begin(with: counters(allowed: 10, denied: 0), at: Timestamp(seconds: 0), in: policy)
        for _ in 0..<5 { ledger.count(.allowed) }
        let accounts = ledger.accounts(at: Timestamp(seconds: 9), in: policy)
        var next = DecisionLedger()
        let gaps = next.begin(
            with: counters(allowed: 22, denied: 3), at: Timestamp(seconds: 60), in: policy, after: accounts)
        #expect(gaps.map(\.missing) == [7, 3])
        #expect(gaps.allSatisfy { $0.reason == .daemonStopped && $0.from == Timestamp(seconds: 9) })
    }
}
