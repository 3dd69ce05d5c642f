package import Dispatch

/// Reads a socket on a serial queue of its own from `start` until the value dies: drains the descriptor, hands each
/// message to `message` and, when the socket is empty or 256 datagrams have been read, calls `drained`, which hands
/// over what has been gathered. `State` belongs to the queue alone.
package final class NetlinkListener<State>: Sendable {
    private let core: Core
    package let queue: DispatchQueue

    /// - Parameter drained: its second argument tells that the kernel dropped messages (`ENOBUFS`) since the last call.
    package init(
        _ label: String, socket: consuming NetlinkSocket, state: sending State,
        message: @escaping @Sendable (inout State, NetlinkMessage) -> Void,
        drained: @escaping @Sendable (inout State, _ lost: Bool) -> Void
    ) {
        queue = DispatchQueue(label: label)
        core = Core(socket, state, queue, message, drained)
    }

    package func start() {
        queue.async { [core] in core.start() }
    }

    /// Runs on the queue, between two drains.
    package func perform(_ body: @escaping @Sendable (inout State) -> Void) {
        queue.async { [core] in body(&core.state) }
    }

    /// Reads what the socket holds by now, and returns when all of it is handed over. Not to be called on the queue.
    package func drain() {
        queue.sync { [core] in
            // Bounded, should messages come faster than they are read.
            for _ in 0..<1024 { if core.drain() { break } }
        }
    }

    deinit { queue.async { [core] in core.stop() } }

    /// Everything here but `init` runs on the queue, which is what makes it safe to send.
    private final class Core: @unchecked Sendable {
        var state: State
        private var socket: NetlinkSocket
        private var buffer = [UInt8](repeating: 0, count: 65536)
        private let source: any DispatchSourceRead
        private let message: @Sendable (inout State, NetlinkMessage) -> Void
        private let drained: @Sendable (inout State, Bool) -> Void
        private var isStarted = false

        init(
            _ socket: consuming NetlinkSocket, _ state: sending State, _ queue: DispatchQueue,
            _ message: @escaping @Sendable (inout State, NetlinkMessage) -> Void,
            _ drained: @escaping @Sendable (inout State, Bool) -> Void
        ) {
            source = DispatchSource.makeReadSource(fileDescriptor: socket.descriptor, queue: queue)
            self.socket = socket
            self.state = state
            self.message = message
            self.drained = drained
        }

        func start() {
            guard !isStarted else { return }
            isStarted = true
            source.setEventHandler { [unowned self] in drain() }
            // Holds the socket open until Dispatch has let go of the descriptor.
            source.setCancelHandler { withExtendedLifetime(self) {} }
            source.activate()
        }

        func stop() {
            // A source may not be released before it has been activated.
            start()
            source.cancel()
        }

        /// After a loss the socket is read until it is empty: what was queued before the loss is older than a dump
        /// taken now.
        /// - Returns: whether the socket was empty at the end.
        @discardableResult
        func drain() -> Bool {
            var isLost = false
            var remaining = 256
            while remaining > 0 || isLost {
                remaining -= 1
                // An error of the descriptor itself shows as loss, so that the reader lists anew.
                let reception = try? socket.receive(into: &buffer, waiting: .none)
                switch reception {
                case .datagram(let count):
                    for each in NetlinkMessages(buffer[..<count]) where !each.isControl { message(&state, each) }
                case .overrun, .truncated: isLost = true
                case .nothing:
                    drained(&state, isLost)
                    return true
                case nil:
                    drained(&state, true)
                    return true
                }
            }
            drained(&state, isLost)
            return false
        }
    }
}
