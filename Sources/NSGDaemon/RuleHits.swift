import FlowLog
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import NftablesKernel
import TrafficReport

/// How many first packets each rule has matched, by the kernel's own count.
struct RuleCounters {
    private let values: [CounterName: CounterValue]

    init(_ store: KernelRulesetStore) throws(KernelError) {
        values = try store.counters(table: FixedNames.table)
    }

    func packets(_ name: CounterName) -> UInt64? { values[name]?.packets }
}

extension TrafficSummary {
    private struct RuleKey: Hashable {
        var group: ResourceID
        var name: String
        var direction: Direction
    }

    /// Puts the rules in force beside those that have rows, most used first. A rule counts as one that never fired
    /// where the kernel's counter is zero, which outlives every change of the rule, and where there is no row either.
    mutating func completeRules(from policy: Policy, counters: RuleCounters?, _ query: TrafficQuery) {
        var known = Dictionary(
            rules.map { (RuleKey(group: ResourceID($0.group), name: $0.name, direction: $0.direction), $0) },
            uniquingKeysWith: { first, _ in first })
        var counted: Set<CounterName> = []
        for (rule, group) in policy.rulesInForce(at: query.networkInterface) {
            let key = RuleKey(group: group, name: rule.name, direction: rule.direction)
            var entry =
                known[key]
                ?? Rule(
                    group: group.description, name: rule.name, type: rule.kind.analyticsName, direction: rule.direction,
                    priority: nil, access: rule.access.rawValue, hits: nil, flows: 0, bytes: 0)
            entry.priority = rule.priority.value
            entry.access = rule.access.rawValue
            let name = policy.names.counterName(of: NumberedRule(rule))
            // A group that stands in several places has one counter for them all.
            if counted.insert(name).inserted, let packets = counters?.packets(name) {
                entry.hits = (entry.hits ?? 0) + packets
            }
            known[key] = entry
        }
        let sorted = known.values.sorted {
            ($1.flows, $1.hits ?? 0, $0.group, $0.direction.rawValue, $0.priority ?? 0, $0.name)
                < ($0.flows, $0.hits ?? 0, $1.group, $1.direction.rawValue, $1.priority ?? 0, $1.name)
        }
        ruleCount = UInt64(sorted.count { $0.priority != nil })
        let silent = sorted.filter(\.hasNeverFired)
        neverFiredCount = UInt64(silent.count)
        neverFired = Array(silent.prefix(query.limit))
        rules = Array(sorted.lazy.filter { !$0.hasNeverFired }.prefix(query.limit))
    }
}

extension Policy {
    /// The rules of bound interfaces, or of one, with the group or manager that answers and logs name; the end of a
    /// list of admin rules is none of them.
    fileprivate func rulesInForce(at interface: String?) -> [(rule: SecurityRule, group: ResourceID)] {
        let lists: [PolicyList]
        if let interface {
            let bound = estate.bindings.map(\.networkInterface).filter { $0.isNamed(interface) }
            lists = bound.flatMap { id in Direction.allCases.flatMap { book.lists(of: id, $0) } }
        } else {
            lists = book.boundLists
        }
        return lists.flatMap(\.rules).map(\.rule).filter { !$0.isNoAdminRule }.map { rule in
            (rule, RuleReference(owner: rule.owner, name: rule.name, kind: rule.kind).group)
        }
    }
}

extension ResourceID {
    /// Whether a name, or an id, is this one's.
    func isNamed(_ text: String) -> Bool { self == ResourceID(text) || name.lowercased() == text.lowercased() }
}
