import ConntrackKernel
import Dispatch
import NetworkTypes

/// Lists the kernel's connections on a queue of its own and hands them over in pieces, a few ahead of who takes them.
final class ConnectionLister: Sendable {
    private let core: Core
    private let queue = DispatchQueue(label: "list of connections")

    init() throws(KernelError) { core = Core(try ConntrackTable()) }

    /// One list after the other. Call `goOn()` for each piece once it is dealt with.
    /// - Parameter piece: runs on the queue. After an interruption entries may come twice.
    func list(
        piece: @escaping @Sendable ([ConntrackEntry]) -> Void, ended: @escaping @Sendable (KernelError?) -> Void
    ) {
        queue.async { [core] in core.list(piece: piece, ended: ended) }
    }

    func goOn() { core.ahead.signal() }

    /// Touched on the queue alone, but for the semaphore.
    private final class Core: @unchecked Sendable {
        private var connections: ConntrackTable
        let ahead = DispatchSemaphore(value: Core.mostAhead)
        private static let mostAhead = 8
        private static let piece = 1024

        init(_ connections: consuming ConntrackTable) { self.connections = connections }

        deinit {
            // A semaphore may not be released below its first value; nobody waits by now.
            for _ in 0..<Self.mostAhead { ahead.signal() }
        }

        func list(piece: ([ConntrackEntry]) -> Void, ended: (KernelError?) -> Void) {
            var entries: [ConntrackEntry] = []
            func handOver() {
                guard !entries.isEmpty else { return }
                ahead.wait()
                piece(entries)
                entries.removeAll(keepingCapacity: true)
            }
            do throws(KernelError) {
                try connections.dump { entry in
                    entries.append(entry)
                    if entries.count >= Self.piece { handOver() }
                }
                handOver()
                ended(nil)
            } catch {
                ended(error)
            }
        }
    }
}
