package import NetworkTypes

/// What a kernel takes, as far as that can be said before anything is sent. A change that does not fit is refused
/// whole, with the number, the limit, and the object that is too large; the policy in force stays.
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
        for operations in [change.skeleton, change.build, change.swap, change.sweep] {
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
        // No step takes more than 20: a look-up one for each field, of which the kernel's 16 registers hold as many,
        // and one beside; others take less.
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

    /// Only of a change that makes many chains, as it looks at all of the table; of another the kernel itself refuses
    /// the swap (`EMLINK`).
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
