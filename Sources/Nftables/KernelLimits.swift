package import NetworkTypes

/// What a kernel takes, as far as that can be said before anything is sent. A change that does not fit is refused whole,
/// with the number, the limit, and the object that is too large; the policy in force stays.
package struct KernelLimits: Sendable {
    /// That one transaction may have: what the socket's send buffer takes in.
    package var transactionBytes: Int
    /// Bytes of memory that are free for the kernel; nil where that is not known.
    package var memory: Int?

    package init(transactionBytes: Int, memory: Int?) {
        self.transactionBytes = transactionBytes
        self.memory = memory
    }

    /// `NFT_NAME_MAXLEN` without the NUL.
    package static let nameBytes = 255
    /// Comments in user data and prefixes of logs (`NF_LOG_PREFIXLEN`).
    package static let textBytes = 127
    /// `NFT_RULE_MAXEXPRS`
    package static let expressionsPerRule = 128
    /// Chains that lead to one another below a base chain: `NFT_JUMP_STACK_SIZE`, 16, is refused.
    package static let depth = 15
    /// Of the free memory, what a change may take.
    private static let share = 0.75

    /// - Parameter size: bytes of the messages of operations.
    package func check(
        _ change: Change, size: ([Operation]) throws(KernelError) -> Int
    ) throws(KernelError) {
        for operations in [change.skeleton, change.build, change.swap] {
            for operation in operations { try Self.check(operation) }
        }
        try Self.checkDepth(of: change)
        try checkSize(of: change.skeleton, "the table's frame", size)
        try checkSize(of: change.swap, "what changes at once", size)
        try checkMemory(of: change)
    }

    // MARK: Objects

    private static func check(_ operation: Operation) throws(KernelError) {
        switch operation {
        case .addChain(let name, _): try checkName(name.description, of: "chain")
        case .addSet(let set): try checkName(set.name.description, of: set.kindText)
        case .addCounter(let name): try checkName(name.description, of: "counter")
        case .addTimeout(let object): try checkName(object.name.description, of: "ct timeout")
        case .addRule(let rule, let chain), .insertRule(let rule, _, let chain), .replaceRule(_, let chain, let rule):
            try check(rule, in: chain)
        default: break
        }
    }

    private static func checkName(_ name: String, of what: String) throws(KernelError) {
        try check(name.utf8.count, nameBytes, "bytes in the name of a \(what)", errno: 36, object: name)
    }

    private static func check(_ rule: Rule, in chain: ChainName) throws(KernelError) {
        // None takes more than six expressions but for a look-up of many fields, with one for each.
        if rule.steps.count > expressionsPerRule / 20 {
            let count = rule.steps.reduce(0) { $0 + $1.mostExpressions }
            try check(
                count, expressionsPerRule, "expressions in a rule", errno: 7, object: "a rule of chain \(chain)")
        }
        if let comment = rule.comment {
            try check(comment.utf8.count, textBytes, "bytes in a comment", errno: 36, object: "\(chain): \(comment)")
        }
        for case .log(let copy) in rule.steps {
            try check(
                copy.prefix.utf8.count, textBytes, "bytes in a log prefix", errno: 36,
                object: "\(chain): \(copy.prefix)"
            )
        }
    }

    private static func check(
        _ number: Int, _ limit: Int, _ what: String, errno: Int32, object: String
    ) throws(KernelError) {
        guard number > limit else { return }
        throw KernelError(
            errno: errno, doing: "make a policy of \(number) \(what), where \(limit) are the most", object: object)
    }

    // MARK: Whole

    /// Only of a change that makes many chains, as it looks at all of the table; of another the kernel itself refuses the
    /// swap (`EMLINK`).
    private static func checkDepth(of change: Change) throws(KernelError) {
        let ruleset = change.result
        guard !change.build.isEmpty, change.build.count > 256 || ruleset.chains.count <= 1024 else { return }
        var walk = DepthWalk(ruleset)
        for chain in ruleset.chains.values where chain.attachpoint != nil {
            guard let depth = walk.depth(below: chain.name, at: 0) else {
                throw KernelError(
                    errno: 31,
                    doing: "make a policy whose chains lead in a circle, or to one another more than "
                        + "\(Self.depth) deep", object: "chain \(walk.culprit ?? chain.name)")
            }
            try check(
                depth, Self.depth, "chains that lead to one another", errno: 31,
                object: "base chain \(chain.name)")
        }
    }

    private func checkSize(
        of operations: [Operation], _ what: String, _ size: ([Operation]) throws(KernelError) -> Int
    ) throws(KernelError) {
        guard let first = operations.first else { return }
        let bytes = try size(operations)
        guard bytes > transactionBytes else { return }
        throw KernelError(
            errno: 90, doing: "send \(what), \(operations.count) operations of \(bytes) bytes, in one transaction",
            object: "\(first)",
            explanation: "the socket's buffer takes \(transactionBytes) bytes; raise net.core.wmem_max")
    }

    private func checkMemory(of change: Change) throws(KernelError) {
        guard let memory else { return }
        let need = change.kernelMemory
        let limit = Int(Double(memory) * Self.share)
        guard need.bytes > limit else { return }
        throw KernelError(
            errno: 12,
            doing: "make a policy that takes about \(need.bytes >> 20) MiB of the kernel's memory, of which "
                + "\(limit >> 20) MiB may be used",
            object: need.largest)
    }
}

extension Step {
    fileprivate var mostExpressions: Int {
        switch self {
        case .membership(let fields, _, _): fields.count + 1
        case .classify: 9
        case .match: 4
        case .lookup, .dispatch, .setLabel: 2
        case .counter, .log, .setTimeout, .verdict: 1
        }
    }
}

extension Change {
    /// What the kernel takes to hold what is added, in bytes, with room for a transaction, and the set or chain that
    /// takes most of it. By measurement on Linux 6.18 (20,000 chains, 50,000 rules, 10,000 counters and 100,000 intervals
    /// took 50 MB of slabs), rounded up.
    package var kernelMemory: (bytes: Int, largest: String?) {
        var bytes = 0
        var largest: (bytes: Int, what: String?) = (0, nil)
        for operations in [skeleton, build, swap, sweep] {
            for operation in operations {
                switch operation {
                case .addChain: bytes += 768
                case .addRule, .insertRule: bytes += 448
                case .addCounter: bytes += 448
                case .addSet: bytes += 1024
                case .addElements(let elements, let set):
                    let size = elements.count * (set.isInterval ? 256 : 128)
                    bytes += size
                    if size > largest.bytes { largest = (size, "\(set.kindText) \(set.name)") }
                default: break
                }
            }
        }
        return (bytes, largest.what)
    }
}

/// How deep chains lead to one another; each is looked at once.
private struct DepthWalk {
    private let ruleset: Ruleset
    private var known: [ChainName: Int] = [:]
    private(set) var culprit: ChainName?

    init(_ ruleset: Ruleset) { self.ruleset = ruleset }

    /// Nil for a circle, or for a way that is much longer than the kernel allows.
    mutating func depth(below name: ChainName, at level: Int) -> Int? {
        if let depth = known[name] { return depth }
        guard level <= 2 * KernelLimits.depth else {
            culprit = name
            return nil
        }
        var deepest = 0
        for rule in ruleset.chains[name]?.rules ?? [] {
            for step in rule.steps {
                switch step {
                case .verdict(let verdict):
                    guard let target = verdict.target else { continue }
                    guard let below = depth(below: target, at: level + 1) else { return nil }
                    deepest = max(deepest, below + 1)
                case .dispatch, .classify:
                    for element in step.verdictMap.flatMap({ ruleset.sets[$0] })?.elements ?? [] {
                        guard let target = element.verdict?.target else { continue }
                        guard let below = depth(below: target, at: level + 1) else { return nil }
                        deepest = max(deepest, below + 1)
                    }
                case .match, .lookup, .membership, .counter, .setLabel, .log, .setTimeout: break
                }
            }
        }
        known[name] = deepest
        return deepest
    }
}
