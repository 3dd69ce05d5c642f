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
    package private(set) var totalReceived: UInt64 = 0
    package private(set) var totalMissing: UInt64 = 0

    package init() {}

    /// Begins the account: decisions counted until now were an earlier run's business.
    package mutating func begin(with counters: [CounterName: CounterValue], at time: Timestamp) {
        baseline = counters.mapValues(\.packets)
        received = [:]
        declared = [:]
        previous = nil
    }

    package mutating func count(_ mark: DecisionMark, in policy: Policy) {
        totalReceived += 1
        guard let name = Self.counter(of: mark, in: policy) else { return }
        received[name, default: 0] += 1
    }

    /// Takes a reading; gives the gaps that show by now in the reading before it.
    package mutating func compare(
        with counters: [CounterName: CounterValue], at time: Timestamp, in policy: Policy, reason: GapRecord.Reason
    ) -> [GapRecord] {
        defer { previous = (time, counters.mapValues(\.packets)) }
        guard let (from, earlier) = previous else { return [] }
        let rules = Self.decisionCounters(of: policy)
        var gaps: [GapRecord] = []
        for (name, rule) in rules.sorted(by: { $0.key < $1.key }) {
            guard let counted = earlier[name] else { continue }
            let decisions = counted >= baseline[name, default: 0] ? counted - baseline[name, default: 0] : counted
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

    /// The counters each of whose packets is one logged decision.
    private static func decisionCounters(of policy: Policy) -> [CounterName: RuleReference?] {
        var counters: [CounterName: RuleReference?] = [
            FixedNames.allowedCounter: nil, FixedNames.allowedAgainCounter: nil,
        ]
        for list in policy.book.boundLists {
            for rule in list.rules.map(\.rule) where rule.access == .deny {
                counters[policy.names.counterName(of: NumberedRule(rule, of: list.key.group))] = RuleReference(
                    networkSecurityGroup: list.key.group, name: rule.name, isDefault: rule.isDefault)
            }
        }
        return counters
    }
}
