package import FlowLog
import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables

/// Reads the lines that were written since a checkpoint, after a run that ended suddenly: what they come to is what the
/// log holds, whatever the run had in mind.
package struct LogReplay: Sendable {
    private let checkpoint: LogCheckpoint
    /// Seconds of an interval.
    private let interval: UInt64
    private var reader: LogEntryReader
    private var tally = DecisionTally()
    private var gaps: [GapRecord] = []
    /// The last moment that a line tells of.
    private var last: Timestamp?
    /// What flows had carried by their last records.
    package private(set) var totals: [FlowKey: FlowCounters] = [:]
    /// Records that Azure's files do not have yet.
    package private(set) var pending: [FlowRecord] = []
    /// Records of the flush that was under way: some of Azure's files have them.
    package private(set) var flushing: [FlowRecord] = []

    /// The run before ended in order.
    package var isFinal: Bool { checkpoint.isFinal }

    package init(since checkpoint: LogCheckpoint, interval: UInt64, policy: Policy) {
        self.checkpoint = checkpoint
        self.interval = interval
        let estate = policy.estate
        reader = LogEntryReader {
            estate.guid(ofOwner: $0)
        } network: { id in
            estate.networkInterfaces[id].flatMap { estate.virtualNetwork(of: $0)?.id }
        }
    }

    /// Takes a line, without its newline, that begins at a position.
    package mutating func take(_ line: some Collection<UInt8>, at position: UInt64) {
        guard position >= checkpoint.replayFrom, let entry = reader.entry(line) else { return }
        switch entry {
        case .gap(let gap):
            if position >= checkpoint.accountedTo { gaps.append(gap) }
        case .flow(let record):
            if position >= checkpoint.accountedTo { tally.add(record) }
            if position >= checkpoint.totalsFrom { note(record) }
            sort(record, at: position)
        }
        last = max(last ?? entry.time, entry.time)
    }

    private mutating func note(_ record: FlowRecord) {
        guard let id = record.flowID else { return }
        let key = FlowKey(id: id, flow: record.flow)
        if let total = record.total { totals[key] = total }
        if case .ended = record.change { totals[key] = nil }
    }

    private mutating func sort(_ record: FlowRecord, at position: UInt64) {
        if checkpoint.isFinal || checkpoint.flushed.holds(record.time, at: position, length: interval) { return }
        if checkpoint.underWay?.flush.holds(record.time, at: position, length: interval) ?? false {
            flushing.append(record)
        } else {
            pending.append(record)
        }
    }

    /// What is accounted for with these lines.
    package func accounts(in policy: Policy) -> DecisionLedger.Accounts? {
        guard var accounts = checkpoint.accounts else { return nil }
        let since = accounts.time
        accounts.time = max(accounts.time, last ?? accounts.time)
        for (name, count) in DecisionLedger.counters(of: tally, in: policy) {
            accounts.counters[name, default: DecisionLedger.Account(since: since)].recorded &+= count
        }
        for gap in gaps {
            let name = gap.rule.map { policy.names.counterName(of: $0) } ?? FixedNames.allowedCounter
            accounts.counters[name]?.declared &+= gap.missing
            for passed in gap.passed {
                accounts.counters[policy.names.counterName(of: passed.rule)]?.declared &+= passed.missing
            }
        }
        return accounts
    }
}
