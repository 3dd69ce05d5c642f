package import NetworkTypes
package import Nftables

/// Tables in memory, which refuse what the kernel refuses: an object added twice, a jump or look-up into nothing, the
/// deletion of what is referred to, a replacement where there is not exactly one rule. Can be told to fail.
package final class FakeRulesetStore: RulesetStore {
    package private(set) var tables: [String: Ruleset] = [:]
    package private(set) var generation = Generation(1)
    /// The operations of each transaction that was committed, in order.
    package private(set) var transactions: [[Operation]] = []
    /// Transactions that were asked for, refused ones included.
    package private(set) var attempts = 0
    /// What `counters` answers.
    package var counterValues: [CounterName: CounterValue] = [:]

    /// Operations that one transaction of `commitInParts` takes, and `EMSGSIZE` beyond which `commit` refuses.
    package var capacity = Int.max
    /// The error that the n-th operation of a transaction meets, counted from 0.
    package var failingOperation: (index: Int, error: KernelError)?
    /// The error that the n-th transaction meets, counted from 0 over all that were asked for.
    package var failingAttempt: (index: Int, error: KernelError)?

    package init() {}

    package func dump(table: String) throws(KernelError) -> (ruleset: Ruleset?, generation: Generation) {
        (tables[table], generation)
    }

    package func commit(
        _ operations: [Operation], table: String, expecting expected: Generation?
    ) throws(KernelError) -> Generation {
        attempts += 1
        if let failure = failingAttempt, failure.index == attempts - 1 { throw failure.error }
        let doing = "commit \(operations.count) operations to table inet \(table)"
        if let expected, expected != generation { throw KernelError(errno: 85, doing: doing) }
        if operations.count > capacity { throw KernelError(errno: 90, doing: doing) }
        var transaction = FakeTransaction(table: table, ruleset: tables[table])
        for (index, operation) in operations.enumerated() {
            if let failure = failingOperation, failure.index == index { throw failure.error }
            try transaction.carryOut(operation)
        }
        tables[table] = transaction.ruleset
        transactions.append(operations)
        generation = Generation(generation.number + 1)
        return generation
    }

    package func commitInParts(
        _ operations: [Operation], table: String, expecting expected: Generation?
    ) throws(KernelError) -> Generation {
        var current = expected
        var rest = operations[...]
        while !rest.isEmpty {
            let reached = try commit(Array(rest.prefix(capacity)), table: table, expecting: current)
            if expected != nil { current = reached }
            rest = rest.dropFirst(capacity)
        }
        return generation
    }

    package func counters(table: String) throws(KernelError) -> [CounterName: CounterValue] {
        let names = tables[table]?.counters ?? []
        return counterValues.filter { names.contains($0.key) }
    }

    /// A change by somebody else's hand: takes effect and moves the generation.
    package func tamper(_ table: String, _ change: (inout Ruleset?) -> Void) {
        change(&tables[table])
        generation = Generation(generation.number + 1)
    }
}

/// One transaction on a copy of the table.
private struct FakeTransaction {
    let table: String
    var ruleset: Ruleset?

    mutating func carryOut(_ operation: Operation) throws(KernelError) {
        if case .addTable = operation {
            guard ruleset == nil else { throw refusal(17, operation) }
            ruleset = Ruleset(table: table)
            return
        }
        guard var present = ruleset else { throw refusal(2, operation) }
        if case .deleteTable = operation {
            ruleset = nil
            return
        }
        try Self.carryOut(operation, on: &present)
        ruleset = present
    }

    private static func carryOut(_ operation: Operation, on present: inout Ruleset) throws(KernelError) {
        switch operation {
        case .addTable, .deleteTable:
            break
        case .wakeTable:
            present.isDormant = false
        case .addChain(let name, let attachpoint):
            guard present.chains[name] == nil else { throw refusal(17, operation) }
            present.chains[name] = Chain(name, at: attachpoint, rules: [])
        case .addCounter(let name):
            guard present.counters.insert(name).inserted else { throw refusal(17, operation) }
        case .addSet(var set):
            guard present.sets[set.name] == nil else { throw refusal(17, operation) }
            set.elements = []
            present.sets[set.name] = set
        case .addElements(let elements, let set):
            try add(elements, to: set.name, of: &present, operation)
        case .addRule(let rule, let chain):
            guard present.chains[chain] != nil else { throw refusal(2, operation) }
            try check(rule, in: present, operation)
            present.chains[chain]?.rules.append(rule)
        case .insertRule(let rule, let index, let chain):
            guard let count = present.chains[chain]?.rules.count, (0...count).contains(index) else {
                throw refusal(2, operation)
            }
            try check(rule, in: present, operation)
            present.chains[chain]?.rules.insert(rule, at: index)
        case .replaceRule(let index, let chain, let rule):
            guard present.chains[chain]?.rules.indices.contains(index) == true else { throw refusal(2, operation) }
            try check(rule, in: present, operation)
            present.chains[chain]?.rules[index] = rule
        case .deleteRule(let index, let chain):
            guard present.chains[chain]?.rules.indices.contains(index) == true else { throw refusal(2, operation) }
            present.chains[chain]?.rules.remove(at: index)
        case .flushChain(let name):
            guard present.chains[name] != nil else { throw refusal(2, operation) }
            present.chains[name]?.rules = []
        case .deleteChain(let name):
            guard let chain = present.chains[name] else { throw refusal(2, operation) }
            // The kernel counts a chain's own rules as users.
            guard chain.rules.isEmpty, !present.targets.contains(name) else { throw refusal(16, operation) }
            present.chains[name] = nil
        case .deleteSet(let name):
            guard present.sets[name] != nil else { throw refusal(2, operation) }
            guard !present.usedSets.contains(name) else { throw refusal(16, operation) }
            present.sets[name] = nil
        case .deleteCounter(let name):
            guard present.counters.contains(name) else { throw refusal(2, operation) }
            guard !present.usedCounters.contains(name) else { throw refusal(16, operation) }
            present.counters.remove(name)
        }
    }

    private static func add(
        _ elements: [SetElement], to name: SetName, of present: inout Ruleset, _ operation: Operation
    ) throws(KernelError) {
        guard var set = present.sets[name] else { throw refusal(2, operation) }
        for element in elements {
            guard (element.verdict != nil) == set.isVerdictMap else { throw refusal(22, operation) }
            if let target = element.verdict?.target, present.chains[target] == nil { throw refusal(2, operation) }
        }
        set.elements += elements
        set.elements.sort { Self.precedes($0.key, $1.key) }
        for (left, right) in zip(set.elements, set.elements.dropFirst()) where !Self.precedes(left.key, right.key) {
            throw refusal(17, operation)
        }
        present.sets[name] = set
    }

    /// Wholly before: keys that overlap precede neither way.
    private static func precedes(_ left: SetKey, _ right: SetKey) -> Bool {
        switch (left, right) {
        case (.values(let left), .values(let right)): left.upperBound < right.lowerBound
        case (.device(let left), .device(let right)): left < right
        case (.values, .device): true
        case (.device, .values): false
        }
    }

    private static func check(_ rule: Rule, in present: Ruleset, _ operation: Operation) throws(KernelError) {
        for step in rule.steps {
            let isSound: Bool =
                switch step {
                case .lookup(_, let set): present.sets[set].map { !$0.isVerdictMap } ?? false
                case .dispatch(_, let map): present.sets[map].map { $0.isVerdictMap } ?? false
                case .counter(let name): present.counters.contains(name)
                case .verdict(let verdict):
                    verdict.target.map { present.chains[$0]?.attachpoint == nil && present.chains[$0] != nil } ?? true
                case .match, .setLabel, .log: true
                }
            guard isSound else { throw refusal(2, operation) }
        }
    }

    private static func refusal(_ errno: Int32, _ operation: Operation) -> KernelError {
        KernelError(errno: errno, doing: "commit", object: "\(operation)")
    }

    private func refusal(_ errno: Int32, _ operation: Operation) -> KernelError { Self.refusal(errno, operation) }
}

extension Ruleset {
    private var steps: [Step] { chains.values.flatMap { $0.rules.flatMap(\.steps) } }

    /// Chains that a rule or an element goes to.
    fileprivate var targets: Set<ChainName> {
        var found = Set(sets.values.flatMap { $0.elements.compactMap { $0.verdict?.target } })
        for case .verdict(let verdict) in steps { if let target = verdict.target { found.insert(target) } }
        return found
    }

    fileprivate var usedSets: Set<SetName> {
        Set(
            steps.compactMap { step in
                switch step {
                case .lookup(_, let set), .dispatch(_, let set): set
                default: nil
                }
            })
    }

    fileprivate var usedCounters: Set<CounterName> {
        Set(steps.compactMap { step in if case .counter(let name) = step { name } else { nil } })
    }
}
