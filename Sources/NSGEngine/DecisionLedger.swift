package import FlowLog
package import NSGCompiler
import NSGModel
package import Nftables

/// Holds the decisions that reached the log against those the kernel counted (F5). Counters are read a while before
/// they are compared, so that what is still on its way is not taken for lost.
package struct DecisionLedger: Sendable {
    /// Decisions received of each counter, since `baseline`.
    private var received: [CounterName: UInt64] = [:]
    private var baseline: [CounterName: UInt64] = [:]
    private var declared: [CounterName: UInt64] = [:]
    private var previous: (time: Timestamp, counters: [CounterName: UInt64])?
    /// Decisions received since the last reading; which counters they are of is found out once for all of them.
    private var recent: [DecisionMark: UInt64] = [:]
    package private(set) var totalReceived: UInt64 = 0
    package private(set) var totalMissing: UInt64 = 0

    package init() {}

    /// Begins the account: decisions counted until now were an earlier run's business.
    /// - Parameter earlier: what that run had accounted for when it ended in order, and when that was.
    /// - Returns: the decisions made in between, which nobody was there to log.
    package mutating func begin(
        with counters: [CounterName: CounterValue], at time: Timestamp, in policy: Policy,
        after earlier: Accounts? = nil
    ) -> [GapRecord] {
        baseline = counters.mapValues(\.packets)
        received = [:]
        recent = [:]
        declared = [:]
        previous = nil
        guard let earlier else { return [] }
        return Self.decisionCounters(of: policy).sorted { $0.key < $1.key }.compactMap { name, rule in
            let (now, before) = (baseline[name, default: 0], earlier.counters[name] ?? 0)
            guard now > before else { return nil }
            totalMissing += now - before
            return GapRecord(from: earlier.time, to: time, missing: now - before, reason: .daemonStopped, rule: rule)
        }
    }

    /// What is accounted for by now, logged or declared missing.
    package mutating func accounts(at time: Timestamp, in policy: Policy) -> Accounts {
        settle(in: policy)
        var counters = baseline
        for (name, count) in received { counters[name, default: 0] += count }
        for (name, count) in declared { counters[name, default: 0] += count }
        return Accounts(time: time, counters: counters)
    }

    package struct Accounts: Hashable, Sendable {
        package var time: Timestamp
        package var counters: [CounterName: UInt64]

        package init(time: Timestamp, counters: [CounterName: UInt64]) {
            self.time = time
            self.counters = counters
        }
    }

    package mutating func count(_ mark: DecisionMark) {
        totalReceived += 1
        recent[mark, default: 0] += 1
    }

    /// Books what was counted under a policy; to be called before another takes its place.
    package mutating func settle(in policy: Policy) {
        for (mark, count) in recent {
            guard let name = Self.counter(of: mark, in: policy) else { continue }
            received[name, default: 0] += count
        }
        recent = [:]
    }

    /// Takes a reading; gives the gaps that show by now in the reading before it.
    package mutating func compare(
        with counters: [CounterName: CounterValue], at time: Timestamp, in policy: Policy, reason: GapRecord.Reason
    ) -> [GapRecord] {
        settle(in: policy)
        defer { previous = (time, counters.mapValues(\.packets)) }
        guard let (from, earlier) = previous else { return [] }
        for (name, value) in counters where value.packets < earlier[name, default: 0] {
            // Made anew, by a flush or a heal: from here on it is another account.
            baseline[name] = value.packets
            received[name] = 0
            declared[name] = 0
        }
        let rules = Self.decisionCounters(of: policy)
        var gaps: [GapRecord] = []
        for (name, rule) in rules.sorted(by: { $0.key < $1.key }) {
            guard let counted = earlier[name] else { continue }
            guard counted >= baseline[name, default: 0], counters[name].map({ $0.packets >= counted }) ?? false else {
                continue
            }
            let decisions = counted - baseline[name, default: 0]
            let known = received[name, default: 0] + declared[name, default: 0]
            guard decisions > known else { continue }
            let missing = decisions - known
            declared[name, default: 0] += missing
            totalMissing += missing
            gaps.append(GapRecord(from: from, to: time, missing: missing, reason: reason, rule: rule))
        }
        return gaps
    }

    private static func counter(of mark: DecisionMark, in policy: Policy) -> CounterName? {
        switch mark {
        case .allowed: FixedNames.allowedCounter
        case .allowedAgain: FixedNames.allowedAgainCounter
        case .denied(_, let number):
            policy.numbering.rules[number].map { policy.names.counterName(of: $0) }
        }
    }

    /// The counters each of whose packets is one logged decision. A packet that the platform lets pass is counted among
    /// the allowed ones when it has passed the other side, too.
    private static func decisionCounters(of policy: Policy) -> [CounterName: RuleReference?] {
        var counters: [CounterName: RuleReference?] = [
            FixedNames.allowedCounter: nil, FixedNames.allowedAgainCounter: nil,
        ]
        let rules = PlatformRules.all + policy.book.boundLists.flatMap { $0.rules.map(\.rule) }
        for rule in rules where rule.access == .deny {
            counters[policy.names.counterName(of: NumberedRule(rule))] = RuleReference(
                owner: rule.owner, name: rule.name, kind: rule.kind)
        }
        return counters
    }
}
