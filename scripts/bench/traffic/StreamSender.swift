import Glibc

/// TCP connections that are written to as fast as they take it.
struct StreamSender: ~Copyable {
    private var descriptors: [Int32] = []

    init(to server: Endpoint, from address: UInt32, streams: Int) throws {
        for _ in 0..<streams {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw TrafficError(doing: "open a socket") }
            descriptors.append(descriptor)
            let source = Endpoint(address: address, port: 0)
            guard unsafe source.withSocketAddress({ unsafe bind(descriptor, $0, $1) }) == 0,
                unsafe server.withSocketAddress({ unsafe connect(descriptor, $0, $1) }) == 0,
                fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0
            else { throw TrafficError(doing: "connect a stream") }
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// Bytes written, and seconds.
    func run(seconds: Double) throws -> String {
        let bytes = [UInt8](repeating: 0, count: 128 << 10)
        var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLOUT), revents: 0) }
        let stopwatch = Stopwatch(seconds: seconds)
        var written = 0
        while !stopwatch.isOver {
            guard unsafe poll(&polled, nfds_t(polled.count), 100) >= 0 else { throw TrafficError(doing: "poll") }
            for index in polled.indices where polled[index].revents != 0 {
                let taken = unsafe write(polled[index].fd, bytes, bytes.count)
                guard taken >= 0 || errno == EAGAIN else { throw TrafficError(doing: "write") }
                written += max(0, taken)
            }
        }
        return stopwatch.answer("sent", written)
    }
}
