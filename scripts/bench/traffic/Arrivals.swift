import CBatches
import Dispatch
import Glibc
import Synchronization

/// What arrived at one port since the last reset.
final class Arrivals: Sendable {
    struct Count {
        /// Datagrams, connections or bytes.
        var total = 0
        /// CLOCK_MONOTONIC in nanoseconds, of the first and the last; 0 before there was one.
        var first: UInt64 = 0
        var last: UInt64 = 0
    }

    let name: String
    private let count = Mutex(Count())

    init(name: String) { self.name = name }

    var current: Count { count.withLock { $0 } }

    func reset() { count.withLock { $0 = Count() } }

    func add(_ arrived: Int) {
        let now = bench_clock_monotonic()
        count.withLock { count in
            if count.total == 0 { count.first = now }
            count.last = now
            count.total += arrived
        }
    }

    /// Counts datagrams until the process ends, on a thread of its own.
    static func ofDatagrams(at endpoint: Endpoint) throws -> Arrivals {
        let socket = try Socket(SOCK_DGRAM)
        try socket.set(SO_RCVBUF, to: 4 << 20)
        try socket.bind(to: endpoint)
        let arrivals = Arrivals(name: "udp/\(endpoint.port)")
        onThread { arrivals.count { waits in Int(bench_receive_batch(socket.descriptor, waits ? 1 : 0)) } }
        return arrivals
    }

    /// Counts connections, which are closed as soon as they are accepted.
    static func ofConnections(at endpoint: Endpoint) throws -> Arrivals {
        let listener = try listen(at: endpoint)
        _ = fcntl(listener.descriptor, F_SETFL, O_NONBLOCK)
        let arrivals = Arrivals(name: "tcp/\(endpoint.port)")
        onThread {
            arrivals.count { waits in
                var waiting = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
                if waits { _ = unsafe poll(&waiting, 1, -1) }
                let connection = accept(listener.descriptor, nil, nil)
                guard connection >= 0 else { return 0 }
                close(connection)
                return 1
            }
        }
        return arrivals
    }

    /// Counts what `take` gives, for good. It waits only when nothing has come for a while: a receiver that waits is woken for each
    /// packet, and the sender pays for that, more than a firewall costs.
    private func count(_ take: (_ waits: Bool) -> Int) {
        while true {
            var idleRounds = 0
            var taken = take(true)
            while idleRounds < 20 {
                idleRounds = taken > 0 ? 0 : idleRounds + 1
                while taken > 0 {
                    add(taken)
                    taken = take(false)
                }
                bench_sleep(1_000_000)
                taken = take(false)
            }
        }
    }

    /// Counts the bytes of all connections, without copying them.
    static func ofBytes(at endpoint: Endpoint) throws -> Arrivals {
        let listener = try listen(at: endpoint)
        let arrivals = Arrivals(name: "bytes/\(endpoint.port)")
        onThread {
            while true {
                let connection = accept(listener.descriptor, nil, nil)
                guard connection >= 0 else { continue }
                onThread {
                    while true {
                        let received = recv(connection, nil, 1 << 20, Int32(MSG_TRUNC))
                        guard received > 0 else { break }
                        arrivals.add(received)
                    }
                    close(connection)
                }
            }
        }
        return arrivals
    }

    private static func listen(at endpoint: Endpoint) throws -> Socket {
        let listener = try Socket(SOCK_STREAM)
        try listener.set(SO_REUSEADDR)
        listener.resetOnClose()
        try listener.bind(to: endpoint)
        guard Glibc.listen(listener.descriptor, 65_535) == 0 else { throw TrafficError(doing: "listen") }
        return listener
    }

    private static func onThread(_ body: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "arrivals").async(execute: body)
    }
}
