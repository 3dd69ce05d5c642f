import FlowLog
import JSONText
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import Testing

/// What a run finds that follows a sudden end (F3, F5).
@Suite("Checkpoint and replay of the log")
struct LogReplayTests {
    let policy: Policy
    private let start: UInt64 = 1_795_183_200  // a full minute
    private let denied = CounterName("nsg/web/inbound/DenyRest")

    init() throws { policy = try TwoMachines.policy() }

    private func record(
        _ change: FlowChange, second: UInt64, flowID: UInt32? = nil, total: FlowCounters? = nil
    ) throws -> FlowRecord {
        let isDenied = change == .denied
        let rule = RuleReference(owner: TwoMachines.group, name: isDenied ? "DenyRest" : "AllowWeb", kind: .custom)
        let stage = StageRecord(
            level: .nic, rule: rule, groupGUID: .zero, priority: Priority(100), access: isDenied ? .deny : .allow)
        let interface = LoggedInterface(networkInterface: nil, device: "v-web")
        return FlowRecord(
            time: Timestamp(seconds: start + second),
            side: LoggedSide(SideFacts(interface: interface, direction: .inbound, stages: [stage])),
            flow: try TwoMachines.flow(port: 80), change: change, flowID: flowID, total: total)
    }

    private func checkpoint() -> LogCheckpoint {
        var checkpoint = LogCheckpoint()
        checkpoint.accounts = DecisionLedger.Accounts(
            time: Timestamp(seconds: start + 62),
            counters: [denied: DecisionLedger.Account(since: Timestamp(seconds: 5), baseline: 100)])
        checkpoint.accountedTo = 1000
        checkpoint.pendingFrom = 500
        checkpoint.totalsFrom = 700
        checkpoint.flushed = LogCheckpoint.Flush(time: Timestamp(seconds: start + 62), position: 900)
        return checkpoint
    }

    @Test("lines behind the accounts are counted, and gaps that were declared are not declared again")
    func accounts() throws {
        var replay = LogReplay(since: checkpoint(), interval: 60, policy: policy)
        replay.take(try record(.denied, second: 61).jsonLine.utf8, at: 950)
        replay.take(try record(.denied, second: 63).jsonLine.utf8, at: 1000)
        replay.take(try record(.denied, second: 64).jsonLine.utf8, at: 1100)
        let rule = CountedRule(
            rule: RuleReference(owner: TwoMachines.group, name: "DenyRest", kind: .custom), direction: .inbound)
        let gap = GapRecord(
            from: Timestamp(seconds: start), to: Timestamp(seconds: start + 70), missing: 6, reason: .backlogFull,
            rule: rule)
        replay.take(LogEntry.gap(gap).jsonLine.utf8, at: 1200)
        replay.take(#"{"time":"2026-11-"#.utf8, at: 1300)
        let accounts = try #require(replay.accounts(in: policy))
        #expect(accounts.counters[denied]?.recorded == 2)
        #expect(accounts.counters[denied]?.declared == 6)
        #expect(accounts.time == Timestamp(seconds: start + 70))
    }

    @Test("a record is pending unless its interval was over at the flush that its line came before")
    func pending() throws {
        var replay = LogReplay(since: checkpoint(), interval: 60, policy: policy)
        for (second, position) in [(10, 499), (10, 600), (61, 800), (10, 900), (70, 950)] as [(UInt64, UInt64)] {
            replay.take(try record(.denied, second: second).jsonLine.utf8, at: position)
        }
        #expect(replay.pending.map { $0.time.seconds - start } == [61, 10, 70])
        #expect(replay.flushing.isEmpty)
    }

    @Test("of a flush that was under way it is known which records it had")
    func underWay() throws {
        var checkpoint = checkpoint()
        checkpoint.underWay = LogCheckpoint.FlushUnderWay(
            flush: LogCheckpoint.Flush(time: Timestamp(seconds: start + 122), position: 1500),
            blocks: [LogCheckpoint.FlushUnderWay.Block(path: "a/PT1H.json", length: 7)])
        let read = try #require(
            LogCheckpoint(try JSONValue(parsing: checkpoint.json.text(style: .compact), dialect: .json)))
        #expect(read == checkpoint)
        var replay = LogReplay(since: read, interval: 60, policy: policy)
        for (second, position) in [(10, 600), (61, 800), (121, 1400), (119, 1600)] as [(UInt64, UInt64)] {
            replay.take(try record(.denied, second: second).jsonLine.utf8, at: position)
        }
        #expect(replay.flushing.map { $0.time.seconds - start } == [61])
        #expect(replay.pending.map { $0.time.seconds - start } == [121, 119])
    }

    @Test("what flows had carried is known from their last C; those that ended are forgotten (F1)")
    func totals() throws {
        var replay = LogReplay(since: checkpoint(), interval: 60, policy: policy)
        let total = FlowCounters(packetsSent: 9, bytesSent: 900, packetsReceived: 8, bytesReceived: 800)
        let increment = FlowChange.continued(.counted(FlowCounters(packetsSent: 1)))
        replay.take(try record(increment, second: 61, flowID: 1, total: total).jsonLine.utf8, at: 699)
        replay.take(try record(increment, second: 61, flowID: 2, total: total).jsonLine.utf8, at: 700)
        replay.take(try record(increment, second: 61, flowID: 3, total: total).jsonLine.utf8, at: 800)
        replay.take(try record(.ended(.uncounted), second: 62, flowID: 3).jsonLine.utf8, at: 900)
        #expect(replay.totals == [FlowKey(id: 2, flow: try TwoMachines.flow(port: 80)): total])
    }

    @Test("an orderly end leaves nothing to be read")
    func final() throws {
        var checkpoint = checkpoint()
        checkpoint.isFinal = true
        checkpoint.segments = [
            LogCheckpoint.Segment(device: 1, inode: 2, start: 0),
            LogCheckpoint.Segment(device: 1, inode: 3, start: 990),
        ]
        checkpoint.forgetSegments()
        #expect(checkpoint.segments.map(\.inode) == [3])
        var replay = LogReplay(since: checkpoint, interval: 60, policy: policy)
        replay.take(try record(.denied, second: 61).jsonLine.utf8, at: 800)
        #expect(replay.pending.isEmpty)
    }
}
