internal import NetworkTypes
internal import Nftables

/// Handles of the rules of chains that operations edit, as those so far leave them. Read before the first operation;
/// the number of the ruleset that the batch expects covers the time until it arrives.
struct RuleHandles: Sendable {
    /// Nil: a rule that one of the operations adds, whose handle is not known.
    private var chains: [ChainName: [UInt64?]] = [:]

    /// Whether the chain's handles have to be read for this operation.
    func needs(_ chain: ChainName, for operation: Operation) -> Bool {
        guard chains[chain] == nil else { return false }
        switch operation {
        case .insertRule, .replaceRule, .deleteRule: return true
        default: return false
        }
    }

    mutating func begin(_ chain: ChainName, with handles: [UInt64]) { chains[chain] = handles }

    /// The handle an operation refers to, and its effect on the chain.
    mutating func take(_ operation: Operation) throws(KernelError) -> UInt64? {
        switch operation {
        case .addRule(_, let chain):
            chains[chain]?.append(nil)
            return nil
        case .flushChain(let chain):
            if chains[chain] != nil { chains[chain] = [] }
            return nil
        case .insertRule(_, let index, let chain):
            guard let count = chains[chain]?.count, (0...count).contains(index) else { throw missing(operation) }
            let handle = index < count ? try known(index, of: chain, operation) : nil
            chains[chain]?.insert(nil, at: index)
            return handle
        case .replaceRule(let index, let chain, _):
            let handle = try known(index, of: chain, operation)
            chains[chain]?[index] = nil
            return handle
        case .deleteRule(let index, let chain):
            let handle = try known(index, of: chain, operation)
            chains[chain]?.remove(at: index)
            return handle
        default:
            return nil
        }
    }

    private func known(_ index: Int, of chain: ChainName, _ operation: Operation) throws(KernelError) -> UInt64 {
        guard let handles = chains[chain], handles.indices.contains(index), let handle = handles[index] else {
            throw missing(operation)
        }
        return handle
    }

    private func missing(_ operation: Operation) -> KernelError {
        KernelError(
            errno: 2, doing: "find the rule to edit", object: "\(operation)",
            explanation: "the chain has no rule there that was in it before this transaction")
    }
}

extension Operation {
    /// The chain whose rules the operation changes.
    var editedChain: ChainName? {
        switch self {
        case .addRule(_, let chain), .insertRule(_, _, let chain), .replaceRule(_, let chain, _),
            .deleteRule(_, let chain),
            .flushChain(let chain):
            chain
        default: nil
        }
    }
}
