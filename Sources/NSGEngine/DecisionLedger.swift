package import FlowLog
package import NSGCompiler
import NSGModel
package import Nftables

/// Holds the decisions that reached the log against those the kernel counted, rule by rule (F5). Counters are read a
/// while before they are compared, so that what is still on its way is not taken for lost.
package struct DecisionLedger: Sendable {
    /// What is accounted for of one counter: `baseline + recorded + declared - excess` of its packets.
    package struct Account: Hashable, Sendable {
        package var since: Timestamp
        /// The counter when the account began.
        package var baseline: UInt64
        /// Decisions that records tell of.
        package var recorded: UInt64 = 0
        /// Decisions that gaps declare missing.
        package var declared: UInt64 = 0
        /// Records that name the rule though another was counted: the evaluator tells which rules a refused packet had
        /// passed, and the policy had changed since.
        package var excess: UInt64 = 0

        package init(since: Timestamp, baseline: UInt64 = 0) {
            self.since = since
            self.baseline = baseline
        }

        fileprivate var accounted: UInt64 { baseline &+ recorded &+ declared &- excess }

        /// Decisions up to a reading of the counter that nothing tells of.
        fileprivate func missing(at reading: UInt64) -> UInt64 { reading > accounted ? reading - accounted : 0 }
    }

    /// What outlives a run.
    package struct Accounts: Hashable, Sendable {
        package var time: Timestamp
        package var counters: [CounterName: Account]

        package init(time: Timestamp, counters: [CounterName: Account]) {
            self.time = time
            self.counters = counters
        }
    }

    private var accounts: [CounterName: Account] = [:]
    private var previous: (time: Timestamp, counters: [CounterName: UInt64])?
    private var began = Timestamp(nanoseconds: 0)
    /// When a counter that was not there at the last reading may have begun to count.
    private var lastLook: Timestamp { previous?.time ?? began }
    /// Decisions received since they were last booked; which counters they are of is found out once for all of them.
    private var recent = DecisionTally()
    /// Of the present policy; worked out when first asked for.
    private var rules: [CounterName: CountedRule]?
    /// Names of counters whose rules refuse.
    private var refusing: Set<CounterName> = []
    package private(set) var totalReceived: UInt64 = 0
    package private(set) var totalMissing: UInt64 = 0

    package init() {}

    // MARK: What comes in

    /// A first packet was judged; what records tell of it is counted by `count`.
    package mutating func received() { totalReceived += 1 }

    package mutating func count(_ tally: DecisionTally) { recent.add(tally) }

    /// Books what was counted under a policy; to be called before another takes its place.
    package mutating func settle(in policy: Policy) {
        book(recent, in: policy) { $0.recorded += $1 }
        recent.removeAll()
    }

    /// Another policy takes the place of the one that was settled.
    package mutating func forgetPolicy() { rules = nil }

    private mutating func book(
        _ tally: DecisionTally, in policy: Policy, _ change: (inout Account, UInt64) -> Void
    ) {
        guard !tally.isEmpty else { return }
        let lastLook = lastLook
        for (name, count) in Self.counters(of: tally, in: policy) {
            change(&accounts[name, default: Account(since: lastLook)], count)
        }
    }

    static func counters(of tally: DecisionTally, in policy: Policy) -> [CounterName: UInt64] {
        var counters: [CounterName: UInt64] = [:]
        for (rule, count) in tally.rules { counters[policy.names.counterName(of: rule), default: 0] += count }
        let allowed = tally.allowed
        if allowed > 0 { counters[FixedNames.allowedCounter, default: 0] += allowed }
        return counters
    }

    // MARK: The account

    /// Begins the account.
    /// - Parameter earlier: what an earlier run had accounted for; without it, what has been counted by now was
    ///   somebody else's business.
    /// - Returns: the decisions made since, which nobody was there to log.
    package mutating func begin(
        with counters: [CounterName: CounterValue], at time: Timestamp, in policy: Policy,
        after earlier: Accounts? = nil
    ) -> [GapRecord] {
        let reading = Self.reading(counters)
        recent.removeAll()
        previous = nil
        began = time
        guard let earlier else {
            accounts = reading.mapValues { Account(since: time, baseline: $0) }
            return []
        }
        accounts = earlier.counters.filter { reading[$0.key] != nil }
        for (name, value) in reading {
            // Made anew, with the table, or not there before: it began at zero.
            if accounts[name].map({ value < $0.accounted }) ?? true { accounts[name] = Account(since: time) }
        }
        return declare(reading, from: earlier.time, to: time, in: policy, because: .daemonStopped)
    }

    /// Takes a reading; gives the gaps that show by now in the reading before it.
    package mutating func compare(
        with counters: [CounterName: CounterValue], at time: Timestamp, in policy: Policy, reason: GapRecord.Reason
    ) -> [GapRecord] {
        settle(in: policy)
        let reading = Self.reading(counters)
        var before = previous
        previous = (time, reading)
        accounts = accounts.filter { reading[$0.key] != nil }
        for (name, value) in reading {
            guard let account = accounts[name] else {
                accounts[name] =
                    before?.counters[name] == nil
                    ? Account(since: before?.time ?? began) : Account(since: time, baseline: value)
                continue
            }
            if let earlier = before?.counters[name], value < earlier {
                // Made anew, by a flush or a heal: from here on it is another account.
                accounts[name] = Account(since: time, baseline: value)
                before?.counters[name] = nil
            } else if value < account.accounted {
                // All that is recorded was counted before.
                accounts[name]?.excess += account.accounted - value
            }
        }
        guard let before else { return [] }
        return declare(before.counters, from: before.time, to: time, in: policy, because: reason)
    }

    /// Declares what is missing in a reading of a while ago, by another of now: for whoever does not want to wait for
    /// the next comparison.
    package mutating func compare(
        _ earlier: [CounterName: CounterValue], at earlierTime: Timestamp, with counters: [CounterName: CounterValue],
        at time: Timestamp, in policy: Policy, reason: GapRecord.Reason
    ) -> [GapRecord] {
        previous = (previous?.time ?? earlierTime, Self.reading(earlier))
        return compare(with: counters, at: time, in: policy, reason: reason)
    }

    /// What was counted as recorded, and did not get into the log.
    package mutating func lose(
        _ tally: DecisionTally, from: Timestamp, to: Timestamp, in policy: Policy, because reason: GapRecord.Reason
    ) -> [GapRecord] {
        settle(in: policy)
        book(tally, in: policy) { account, count in
            account.recorded -= min(count, account.recorded)
            account.declared += count
        }
        return gaps(Self.counters(of: tally, in: policy), from: from, to: to, in: policy, because: reason)
    }

    private mutating func declare(
        _ reading: [CounterName: UInt64], from: Timestamp, to: Timestamp, in policy: Policy,
        because reason: GapRecord.Reason
    ) -> [GapRecord] {
        let known = counters(of: policy)
        var missing: [CounterName: UInt64] = [:]
        for (name, value) in reading where known[name] != nil || name == FixedNames.allowedCounter {
            guard let account = accounts[name], account.missing(at: value) > 0 else { continue }
            missing[name] = account.missing(at: value)
            accounts[name]?.declared += account.missing(at: value)
        }
        return gaps(missing, from: from, to: to, in: policy, because: reason)
    }

    /// One gap for each rule that refused, and one for what every list allowed, with the rules that let any of all
    /// these pass.
    private mutating func gaps(
        _ missing: [CounterName: UInt64], from: Timestamp, to: Timestamp, in policy: Policy,
        because reason: GapRecord.Reason
    ) -> [GapRecord] {
        let known = counters(of: policy)
        var allowed = GapRecord(
            from: from, to: to, missing: missing[FixedNames.allowedCounter] ?? 0, reason: reason)
        var gaps: [GapRecord] = []
        for (name, count) in missing.sorted(by: { $0.key < $1.key }) {
            guard let rule = known[name] else { continue }
            if refusing.contains(name) {
                gaps.append(GapRecord(from: from, to: to, missing: count, reason: reason, rule: rule))
            } else {
                allowed.passed.append(GapRecord.Passed(rule: rule, missing: count))
            }
        }
        if allowed.missing > 0 || !allowed.passed.isEmpty { gaps.insert(allowed, at: 0) }
        totalMissing += gaps.reduce(0) { $0 + $1.missing }
        return gaps
    }

    /// What is accounted for by now, without what `waiting` holds: decisions that will be told of by records to come.
    package mutating func accounts(
        at time: Timestamp, in policy: Policy, without waiting: DecisionTally
    ) -> Accounts {
        settle(in: policy)
        var counters = accounts
        for (name, count) in Self.counters(of: waiting, in: policy) {
            let recorded = counters[name]?.recorded ?? 0
            counters[name]?.recorded = recorded - min(count, recorded)
        }
        return Accounts(time: time, counters: counters)
    }

    // MARK: Counters

    /// Those that decisions are held against, the two of allowed packets as one.
    private static func reading(_ counters: [CounterName: CounterValue]) -> [CounterName: UInt64] {
        var reading: [CounterName: UInt64] = [:]
        for (name, value) in counters {
            let name = name == FixedNames.allowedAgainCounter ? FixedNames.allowedCounter : name
            if name == FixedNames.allowedCounter || ChainNames.isOfRule(name) {
                reading[name, default: 0] += value.packets
            }
        }
        return reading
    }

    /// The counters of rules on bound interfaces, and of the platform. O(rules) once for each policy.
    private mutating func counters(of policy: Policy) -> [CounterName: CountedRule] {
        if let rules { return rules }
        var found: [CounterName: CountedRule] = [:]
        refusing = [policy.names.counterName(of: .platform(.deny))]
        for access in [Access.allow, .deny] {
            found[policy.names.counterName(of: .platform(access))] = .platform(access)
        }
        for list in policy.book.boundLists {
            for resolved in list.rules {
                let rule = resolved.rule
                let counted = CountedRule(
                    rule: RuleReference(owner: rule.owner, name: rule.name, kind: rule.kind),
                    direction: rule.direction)
                let name = policy.names.counterName(of: counted)
                found[name] = counted
                if rule.access == .deny { refusing.insert(name) }
            }
        }
        rules = found
        return found
    }

    /// One counter of the proof.
    package struct Line: Hashable, Sendable {
        /// Nil of what every list allowed.
        package var rule: CountedRule?
        package var isRefusing: Bool
        package var account: Account
        /// Of `account.recorded`, what records to come will tell of.
        package var waiting: UInt64
        /// Decisions since the account began, by the last reading.
        package var counted: UInt64
        /// Of these, what has not been heard of yet.
        package var onTheWay: UInt64
    }

    /// The accounts of the rules on bound interfaces, by their counters' names.
    package mutating func lines(
        in policy: Policy, waiting: DecisionTally
    ) -> [(name: CounterName, line: Line)] {
        settle(in: policy)
        let waiting = Self.counters(of: waiting, in: policy)
        let known = counters(of: policy)
        let reading = previous?.counters ?? [:]
        return accounts.sorted { $0.key < $1.key }.compactMap { name, account in
            guard known[name] != nil || name == FixedNames.allowedCounter else { return nil }
            return (
                name,
                Line(
                    rule: known[name], isRefusing: refusing.contains(name), account: account,
                    waiting: waiting[name] ?? 0, counted: (reading[name] ?? account.accounted) &- account.baseline,
                    onTheWay: account.missing(at: reading[name] ?? 0))
            )
        }
    }
}

extension ChainNames {
    /// The same for a rule as logs name it.
    package func counterName(of rule: CountedRule) -> CounterName {
        counterName(ofRule: rule.rule.name, owner: rule.rule.owner, kind: rule.rule.kind, rule.direction)
    }
}
