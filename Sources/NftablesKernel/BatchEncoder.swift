internal import NetworkTypes
internal import Nftables

/// Makes transactions of a list of operations: one, or as many as a limit on their bytes asks for. Needs no socket.
struct BatchEncoder: ~Copyable {
    private let operations: [Operation]
    private var encoder: OperationEncoder
    private var handles: RuleHandles
    private let firstSequence: UInt32

    /// - Parameters:
    ///   - tableFlags: `NFT_TABLE_F_…` of a table that is made.
    ///   - handles: of the chains whose rules the operations name by an index.
    ///   - firstSequence: number of the first message; each further one has the next.
    init(
        _ operations: [Operation], table: String, tableFlags: UInt32, _ handles: RuleHandles, firstSequence: UInt32
    ) throws(KernelError) {
        self.operations = operations
        encoder = try OperationEncoder(table: table, tableFlags: tableFlags)
        self.handles = handles
        self.firstSequence = firstSequence
    }

    /// All operations in one transaction.
    mutating func batch() throws(KernelError) -> SealedBatch {
        var batch = Batch(of: operations, firstSequence: firstSequence)
        for index in operations.indices { try encode(index, into: &batch) { (_: inout Batch) in } }
        return batch.sealed()
    }

    /// All operations in order, in transactions of at most so many bytes; a message that is larger has one for itself.
    /// - Parameter take: returns false to have no more of them.
    mutating func batches(limit: Int, _ take: (SealedBatch) -> Bool) throws(KernelError) {
        var batch = Batch(of: operations, firstSequence: firstSequence)
        var isWanted = true
        for index in operations.indices where isWanted {
            try encode(index, into: &batch) { (batch: inout Batch) in
                guard isWanted, batch.byteCount > limit, batch.messageCount > 1 else { return }
                var full = Batch(of: [], firstSequence: 0)
                swap(&full, &batch)
                batch = full.splitOffLast()
                isWanted = take(full.sealed())
            }
        }
        if isWanted { _ = take(batch.sealed()) }
    }

    /// An operation that cannot be encoded is named like one that the kernel refuses.
    private mutating func encode(
        _ index: Int, into batch: inout Batch, afterEach: (inout Batch) -> Void
    ) throws(KernelError) {
        let operation = operations[index]
        let handle = try handles.take(operation)
        do throws(KernelError) {
            try encoder.encode(operation, index, at: handle, into: &batch, afterEach: afterEach)
        } catch {
            let reasons = [error.object, error.explanation].compactMap { $0 }
            throw KernelError(
                errno: error.errno, doing: error.operation, object: "\(operation)",
                explanation: reasons.isEmpty ? nil : reasons.joined(separator: ": "))
        }
    }
}
