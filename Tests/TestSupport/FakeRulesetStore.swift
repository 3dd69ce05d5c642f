package import NetworkTypes
package import Nftables

/// Tables in memory, which refuse what the kernel refuses: an object added twice, a jump or look-up into nothing, the
/// deletion of what is referred to, a replacement where there is not exactly one rule. Can be told to fail.
package final class FakeRulesetStore: RulesetStore {
    package private(set) var tables: [String: Ruleset] = [:]
    private var number = Generation(1)
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

    /// How many transactions there had been each time that packets were waited for.
    package private(set) var waits: [Int] = []

    package func waitForPackets() { waits.append(transactions.count) }

    /// How often the whole table was read.
    package private(set) var dumps = 0
    /// A transaction's bytes are its operations here.
    package var limits = KernelLimits(transactionBytes: .max, memory: nil)

    package init() {}

    package func dump(table: String) throws(KernelError) -> (ruleset: Ruleset?, generation: Generation) {
        dumps += 1
        return (tables[table], number)
    }

    package func outline(of table: String) throws(KernelError) -> Ruleset? {
        guard var ruleset = tables[table] else { return nil }
        for name in ruleset.chains.keys { ruleset.chains[name]?.rules = [] }
        for name in ruleset.sets.keys { ruleset.sets[name]?.elements = [] }
        return ruleset
    }

    package func generation() throws(KernelError) -> Generation { number }

    package func rules(of chain: ChainName, table: String) throws(KernelError) -> [Rule] {
        tables[table]?.chains[chain]?.rules ?? []
    }

    package func elements(of set: NamedSet, table: String) throws(KernelError) -> [SetElement]? {
        tables[table]?.sets[set.name]?.elements
    }

    package func check(_ change: Change) throws(KernelError) { try limits.check(change) { $0.count } }

    package func commit(
        _ operations: [Operation], table: String, expecting expected: Generation?
    ) throws(KernelError) -> Generation {
        attempts += 1
        if let failure = failingAttempt, failure.index == attempts - 1 { throw failure.error }
        let doing = "commit \(operations.count) operations to table inet \(table)"
        if let expected, expected != number { throw KernelError(errno: 85, doing: doing) }
        if operations.count > capacity { throw KernelError(errno: 90, doing: doing) }
        var transaction = FakeTransaction(table: table, ruleset: tables[table])
        for (index, operation) in operations.enumerated() {
            if let failure = failingOperation, failure.index == index { throw failure.error }
            try transaction.carryOut(operation)
        }
        tables[table] = transaction.ruleset
        transactions.append(operations)
        number = Generation(number.number + 1)
        return number
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
        return number
    }

    package func counters(table: String) throws(KernelError) -> [CounterName: CounterValue] {
        let names = tables[table]?.counters ?? []
        return counterValues.filter { names.contains($0.key) }
    }

    /// A change by somebody else's hand: takes effect and moves the generation.
    package func tamper(_ table: String, _ change: (inout Ruleset?) -> Void) {
        change(&tables[table])
        number = Generation(number.number + 1)
    }

    /// A difference that no commit has made: as if the kernel had done something else than it was told.
    package func tamperUnseen(_ table: String, _ change: (inout Ruleset?) -> Void) { change(&tables[table]) }
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
        do throws(Refusal) {
            try present.apply(operation)
        } catch {
            throw refusal(error.errno, operation)
        }
        ruleset = present
    }

    private func refusal(_ errno: Int32, _ operation: Operation) -> KernelError {
        KernelError(errno: errno, doing: "commit", object: "\(operation)")
    }
}
