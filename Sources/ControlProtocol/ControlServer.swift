import CShims
import Dispatch
import Glibc
import NetworkTypes

/// Serves `io.nsgd.Control` on a Unix stream socket.
///
/// Unchecked, because every `var` and the dispatch source are touched on `queue` alone.
package final class ControlServer: @unchecked Sendable {
    private let descriptor: CInt
    /// The socket file that is ours to remove; nil for an inherited socket.
    private let file: (path: String, identity: FileIdentity)?
    private let router: ControlRouter
    private let limits: ControlLimits
    private let queue = DispatchQueue(label: "nsgd.control")
    private let listener: any DispatchSourceRead
    private var connections: [UInt64: ControlConnection] = [:]
    private var lastConnection: UInt64 = 0
    private var isStopped = false
    /// Given up for an instant to turn a client away when the process has no descriptors left.
    private var reserve: CInt = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)

    /// Creates the socket, mode 0660, with the group where one is given. A stale socket is replaced.
    package convenience init(
        path: String, group: UInt32? = nil, identity: ControlIdentity, limits: ControlLimits = ControlLimits(),
        handler: any ControlHandler
    ) throws(ControlSocketError) {
        guard let socket = ControlSocket(blocking: false) else {
            throw .refused(KernelError(errno: errno, doing: "open a Unix socket"))
        }
        try socket.listen(at: path, group: group)
        guard let file = FileIdentity(path) else {
            throw .refused(KernelError(errno: errno, doing: "look at \(path)"))
        }
        let router = ControlRouter(identity: identity, handler: handler)
        self.init(owning: socket.release(), file: (path, file), router: router, limits: limits)
    }

    /// Takes over a listening socket, as systemd hands one on.
    package convenience init(
        inherited descriptor: CInt, identity: ControlIdentity, limits: ControlLimits = ControlLimits(),
        handler: any ControlHandler
    ) throws(ControlSocketError) {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0,
            fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { throw .refused(KernelError(errno: errno, doing: "take over the socket \(descriptor)")) }
        let router = ControlRouter(identity: identity, handler: handler)
        self.init(owning: descriptor, file: nil, router: router, limits: limits)
    }

    private init(
        owning descriptor: CInt, file: (path: String, identity: FileIdentity)?, router: ControlRouter,
        limits: ControlLimits
    ) {
        self.descriptor = descriptor
        self.file = file
        self.router = router
        self.limits = limits
        listener = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        listener.setCancelHandler { _ = close(descriptor) }
    }

    /// Begins to answer. The server lives until `stop()` even if nobody else holds it.
    package func start() {
        queue.async { [self] in
            guard !isStopped else { return }
            listener.setEventHandler { self.accept() }
            listener.activate()
        }
    }

    /// Closes every connection, replies under way included, and removes the socket file unless another has taken its
    /// place. Returns at once; a server that was never started must be stopped too.
    package func stop() {
        queue.async { [self] in
            guard !isStopped else { return }
            isStopped = true
            if let file, FileIdentity(file.path) == file.identity { _ = unsafe unlink(file.path) }
            listener.activate()
            listener.cancel()
            for connection in connections.values { connection.close() }
            if reserve >= 0 { _ = close(reserve) }
        }
    }

    private func accept() {
        guard !isStopped else { return }
        while true {
            let client = nsgd_accept(descriptor)
            if client >= 0 {
                welcome(client)
                continue
            }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EMFILE, ENFILE:
                // The source would fire for ever while a client waits that cannot be accepted.
                guard reserve >= 0 else { return }
                _ = close(reserve)
                let client = nsgd_accept(descriptor)
                if client >= 0 { _ = close(client) }
                reserve = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
            default: return
            }
        }
    }

    /// Readers who hold every place do not keep an administrator out, nor do clients that connect and say nothing.
    private func makeRoom(for peer: Peer) -> Bool {
        guard connections.count >= limits.clients else { return true }
        guard router.handler.allows(peer, .change) else { return false }
        let oldest = connections.sorted { $0.key < $1.key }.map(\.value)
        let reader = oldest.first { !router.handler.allows($0.peer, .change) }
        guard let leaving = reader ?? oldest.first(where: { $0.isIdle(longerThan: limits.idleMilliseconds) }) else {
            return false
        }
        leaving.close()
        return true
    }

    private func welcome(_ client: CInt) {
        guard let peer = Peer(of: client), makeRoom(for: peer) else {
            _ = close(client)
            return
        }
        lastConnection += 1
        let number = lastConnection
        let connection = ControlConnection(
            owning: client, peer: peer, router: router, limits: limits, queue: queue
        ) { [weak self] in
            self?.connections[number] = nil
        }
        connections[number] = connection
        connection.open()
    }
}
