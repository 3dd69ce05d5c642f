internal import Dispatch
internal import NetworkTypes
internal import Nftables
internal import Synchronization

/// Operations as transactions that a thread of its own encodes, so that it is at the next one while the kernel
/// carries one out. It is never more than one ahead: there may be any number of them, of a mebibyte each.
final class EncodedParts: Sendable {
    private struct State {
        /// Encoded and not taken; `.success(nil)` behind the last.
        var next: Result<SealedBatch?, KernelError>?
        var isAbandoned = false
    }

    private let state = Mutex(State())
    /// Signalled for each that is encoded, and for each that is taken.
    private let encoded = DispatchSemaphore(value: 0)
    private let taken = DispatchSemaphore(value: 0)

    /// - Parameter limit: bytes of a transaction.
    init(
        of operations: [Operation], table: String, tableFlags: UInt32, _ handles: RuleHandles, firstSequence: UInt32,
        limit: Int
    ) {
        DispatchQueue.global().async { [self] in
            do throws(KernelError) {
                var encoder = try BatchEncoder(
                    operations, table: table, tableFlags: tableFlags, handles, firstSequence: firstSequence)
                try encoder.batches(limit: limit) { handOver(.success($0)) }
                _ = handOver(.success(nil))
            } catch {
                _ = handOver(.failure(error))
            }
        }
    }

    /// The next transaction, or nil behind the last.
    func next() throws(KernelError) -> SealedBatch? {
        encoded.wait()
        let next = state.withLock { $0.next.take() }
        taken.signal()
        return try next?.get()
    }

    /// No more will be taken. To be called in any case, or the thread waits for ever.
    func abandon() {
        state.withLock { $0.isAbandoned = true }
        taken.signal()
    }

    /// Waits until it is taken. False where no more is wanted, at once where that is known.
    private func handOver(_ part: Result<SealedBatch?, KernelError>) -> Bool {
        let isWanted = state.withLock { state in
            if !state.isAbandoned { state.next = part }
            return !state.isAbandoned
        }
        guard isWanted else { return false }
        encoded.signal()
        taken.wait()
        return state.withLock { !$0.isAbandoned }
    }
}
