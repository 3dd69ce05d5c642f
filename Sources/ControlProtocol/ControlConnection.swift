import Dispatch
import Glibc
import Synchronization

/// One client of the control socket. Hands out one call at a time; the next when the one before has ended.
///
/// Unchecked, because: the constants are values or safe by themselves, `outbox` is a mutex, and every `var` and both
/// dispatch sources are touched on `queue` alone.
final class ControlConnection: @unchecked Sendable {
    /// What replies from any thread share with the queue.
    private struct Outbox {
        var bytes: [UInt8] = []
        /// How much of `bytes` the kernel has taken.
        var sent = 0
        /// The call that is being answered; 0 for none.
        var call: UInt64 = 0
        var isOneway = false
        var closeActions: [@Sendable () -> Void] = []
        var isTurnScheduled = false
        var isOverflowing = false
        var isClosed = false

        var waiting: Int { bytes.count - sent }
    }

    private let descriptor: CInt
    let peer: Peer
    private let router: ControlRouter
    private let limits: ControlLimits
    private let queue: DispatchQueue
    private let outbox = Mutex(Outbox())
    private let reader: any DispatchSourceRead
    private let writer: any DispatchSourceWrite
    private var onEnd: (() -> Void)?

    private var framer: VarlinkFramer
    private var lastCall: UInt64 = 0
    private var isReading = false
    private var isWriting = false
    private var hasInputEnded = false
    private var isClosing = false
    private var openSources = 2
    /// Since when the front message is incomplete.
    private var incompleteSince: DispatchTime?
    private var isTimerSet = false
    private var lastHeard = DispatchTime.now()

    /// On the queue: whether no call is being answered, and nothing has come for so long.
    func isIdle(longerThan milliseconds: Int) -> Bool {
        outbox.withLock { $0.call == 0 } && lastHeard + .milliseconds(milliseconds) < .now()
    }

    /// Takes over the descriptor, which does not block. `onEnd` is called on the queue, once.
    init(
        owning descriptor: CInt, peer: Peer, router: ControlRouter, limits: ControlLimits, queue: DispatchQueue,
        onEnd: @escaping () -> Void
    ) {
        self.descriptor = descriptor
        self.peer = peer
        self.router = router
        self.limits = limits
        self.queue = queue
        self.onEnd = onEnd
        let mayChange = router.handler.allows(peer, .change)
        framer = VarlinkFramer(limit: mayChange ? limits.administratorMessageBytes : limits.messageBytes)
        reader = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        writer = DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
    }

    /// On the queue. From here to `close()` the sources keep the connection alive.
    func open() {
        reader.setEventHandler { self.read() }
        writer.setEventHandler { self.turn() }
        reader.setCancelHandler { self.sourceEnded() }
        writer.setCancelHandler { self.sourceEnded() }
        isReading = true
        reader.activate()
        writer.activate()
        writer.suspend()
    }

    /// On the queue.
    func close() {
        guard !isClosing else { return }
        isClosing = true
        let actions = outbox.withLock { outbox in
            let actions = outbox.closeActions
            outbox = Outbox()
            outbox.isClosed = true
            return actions
        }
        setReading(true)  // a suspended source never calls its cancel handler
        setWriting(true)
        reader.cancel()
        writer.cancel()
        for action in actions { action() }
        onEnd?()
        onEnd = nil
    }

    private func sourceEnded() {
        openSources -= 1
        if openSources == 0 { _ = Glibc.close(descriptor) }
    }

    private func setReading(_ wanted: Bool) {
        guard wanted != isReading else { return }
        isReading = wanted
        if wanted { reader.resume() } else { reader.suspend() }
    }

    private func setWriting(_ wanted: Bool) {
        guard wanted != isWriting else { return }
        isWriting = wanted
        if wanted { writer.resume() } else { writer.suspend() }
    }
}

// Input, on the queue.
extension ControlConnection {
    private func read() {
        guard !isClosing, isReading, !hasInputEnded else { return }
        var failure: CInt = 0
        var received = 0
        let chunk = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            received = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
            failure = errno
            count = max(received, 0)
        }
        if received < 0 {
            if failure != EAGAIN, failure != EINTR { close() }
            return
        }
        if received == 0 { return inputEnded() }
        lastHeard = .now()
        framer.append(chunk)
        turn()
    }

    /// A client that has shut down only its sending side still gets the replies to what it has asked, except to a
    /// stream: nothing would tell that it has gone.
    private func inputEnded() {
        hasInputEnded = true
        setReading(false)
        var poll = pollfd(fd: descriptor, events: 0, revents: 0)
        let isGone = unsafe Glibc.poll(&poll, 1, 0) != 0
        if isGone || outbox.withLock({ !$0.closeActions.isEmpty }) { close() } else { turn() }
    }

    /// Sends what waits and hands out what has come, as far as both go.
    private func turn() {
        outbox.withLock { $0.isTurnScheduled = false }
        while !isClosing, flush(), isIdle {
            guard let message = nextMessage() else { break }
            start(message)
        }
        guard !isClosing else { return }
        if hasInputEnded {
            if isIdle, outbox.withLock({ $0.waiting == 0 }) { close() }
            return
        }
        // While a call is being answered, at most a reader's message's worth of the next ones is taken from the kernel.
        setReading(isIdle && isDrained || framer.count <= limits.messageBytes)
    }

    private var isIdle: Bool { outbox.withLock { $0.call == 0 } }
    private var isDrained: Bool { outbox.withLock { $0.waiting == 0 } }

    private func nextMessage() -> [UInt8]? {
        do {
            if let message = try framer.next() {
                incompleteSince = nil
                return message
            }
        } catch {
            close()
            return nil
        }
        if framer.count > 0, !hasInputEnded {
            incompleteSince = incompleteSince ?? .now()
            watchIncompleteMessage()
        }
        return nil
    }

    private func start(_ message: [UInt8]) {
        guard let call = try? VarlinkCall(parsing: message) else { return close() }
        lastCall += 1
        let number = lastCall
        outbox.withLock { outbox in
            outbox.call = number
            outbox.isOneway = call.oneway
        }
        router.route(call, from: peer, reply: ReplyStream(connection: self, number: number, call: call))
    }

    /// One timer at most is set, whatever the client does.
    private func watchIncompleteMessage() {
        guard !isTimerSet, let since = incompleteSince else { return }
        isTimerSet = true
        let deadline = since + .milliseconds(limits.messageMilliseconds)
        queue.asyncAfter(deadline: deadline) { [weak self] in
            guard let self, !isClosing else { return }
            isTimerSet = false
            guard let since = incompleteSince else { return }
            if since + .milliseconds(limits.messageMilliseconds) <= .now() { close() } else { watchIncompleteMessage() }
        }
    }
}

// Output.
extension ControlConnection {
    /// From any thread. False when the call has ended or the client has gone. A reply that does not continue ends the
    /// call.
    @discardableResult
    func deliver(_ reply: VarlinkReply, to call: UInt64) -> Bool {
        guard isOpen(call) else { return false }  // spares the encoding
        let bytes = reply.bytes
        let isTurnDue: Bool? = outbox.withLock { outbox in
            guard !outbox.isClosed, outbox.call == call else { return nil }
            if outbox.waiting > limits.queuedBytes {
                outbox.isOverflowing = true
            } else if !outbox.isOneway {
                outbox.bytes += bytes
            }
            if !reply.continues {
                outbox.call = 0
                outbox.closeActions = []
            }
            defer { outbox.isTurnScheduled = true }
            return !outbox.isTurnScheduled
        }
        if isTurnDue == true { queue.async { self.turn() } }
        return isTurnDue != nil
    }

    func isOpen(_ call: UInt64) -> Bool {
        outbox.withLock { !$0.isClosed && !$0.isOverflowing && $0.call == call }
    }

    var queuedBytes: Int { outbox.withLock { $0.waiting } }

    func onClose(of call: UInt64, _ action: @escaping @Sendable () -> Void) {
        let isGone = outbox.withLock { outbox in
            if !outbox.isClosed, outbox.call == call { outbox.closeActions.append(action) }
            return outbox.isClosed
        }
        if isGone { action() }
    }

    private enum Flush { case done, blocked, failed }

    /// On the queue. False when the client must read first, or is gone.
    private func flush() -> Bool {
        switch outbox.withLock({ send(&$0) }) {
        case .done:
            setWriting(false)
            return true
        case .blocked:
            setWriting(true)
            return false
        case .failed:
            close()
            return false
        }
    }

    private func send(_ outbox: inout Outbox) -> Flush {
        guard !outbox.isOverflowing else { return .failed }
        while outbox.waiting > 0 {
            let sent = unsafe outbox.bytes.withUnsafeBytes { bytes in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[outbox.sent...])
                return unsafe Glibc.send(descriptor, rest.baseAddress, rest.count, CInt(MSG_NOSIGNAL))
            }
            if sent >= 0 {
                outbox.sent += sent
            } else if errno == EAGAIN {
                if outbox.sent >= outbox.bytes.count / 2 {
                    outbox.bytes.removeSubrange(..<outbox.sent)
                    outbox.sent = 0
                }
                return .blocked
            } else if errno != EINTR {
                return .failed
            }
        }
        outbox.bytes = []
        outbox.sent = 0
        return .done
    }
}
