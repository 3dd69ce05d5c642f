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

        /// True when there was something to add.
        mutating func add(_ arrived: Int) -> Bool {
            guard arrived > 0 else { return false }
            last = bench_clock_monotonic()
            if total == 0 { first = last }
            total += arrived
            return true
        }
    }

    let name: String
    private let count = Mutex(Count())
    /// Takes some of what has come, without waiting; how much it was. Called under the lock.
    private let take: @Sendable () -> Int

    private init(name: String, take: @escaping @Sendable () -> Int = { 0 }) {
        self.name = name
        self.take = take
    }

    /// All that has come by now: what nobody has taken yet is taken here.
    var current: Count {
        takeAll()
        return count.withLock { $0 }
    }

    func reset() {
        takeAll()
        count.withLock { $0 = Count() }
    }

    /// Counts datagrams until the process ends, on a thread of its own.
    static func ofDatagrams(at endpoint: Endpoint) throws -> Arrivals {
        let socket = try Socket(SOCK_DGRAM)
        try socket.set(SO_RCVBUF, to: 4 << 20)
        try socket.bind(to: endpoint)
        let descriptor = socket.released()
        let arrivals = Arrivals(name: "udp/\(endpoint.port)") { Int(max(0, bench_receive_batch(descriptor))) }
        onThread { arrivals.follow(descriptor) }
        return arrivals
    }

    /// Counts connections, which are closed as soon as they are accepted.
    static func ofConnections(at endpoint: Endpoint) throws -> Arrivals {
        let listener = try listen(at: endpoint).released()
        _ = fcntl(listener, F_SETFL, O_NONBLOCK)
        let arrivals = Arrivals(name: "tcp/\(endpoint.port)") {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { return 0 }
            close(connection)
            return 1
        }
        onThread { arrivals.follow(listener) }
        return arrivals
    }

    /// True when something had come.
    @discardableResult private func takeAll() -> Bool {
        var hasTaken = false
        while count.withLock({ $0.add(take()) }) { hasTaken = true }
        return hasTaken
    }

    /// Takes what comes, for good. It waits only when nothing has come for a while: a receiver that waits is woken for each packet,
    /// and the sender pays for that, more than a firewall costs.
    private func follow(_ descriptor: Int32) {
        while true {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = unsafe poll(&waiting, 1, -1)
            var idleRounds = 0
            while idleRounds < 20 {
                idleRounds = takeAll() ? 0 : idleRounds + 1
                bench_sleep(1_000_000)
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
                        _ = arrivals.count.withLock { $0.add(received) }
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
