import CBatches
import Glibc

/// The server's side: accepts, receives and counts.
///
/// Commands: `reset`; `counts`, of what arrived since; `stamps on`, `stamps off`, which answers how long each datagram that carries
/// the time it was sent at took to arrive.
struct TrafficServer: CommandHandler, ~Copyable {
    private let address: UInt32
    private let arrivals: [Arrivals]
    private let stampedPort: UInt16
    private var stamped: StampedArrivals?

    /// ADDRESS, ports of connections, of streams, of stamped datagrams, and those of datagrams with commas between them.
    init(arguments: [String]) throws {
        let address = try Endpoint.address(arguments[0])
        var arrivals = [
            try Arrivals.ofConnections(at: Endpoint(address: address, port: try arguments.port(1))),
            try Arrivals.ofBytes(at: Endpoint(address: address, port: try arguments.port(2))),
        ]
        let ports = arguments[4].split(separator: ",").map(String.init)
        for index in ports.indices {
            arrivals.append(try .ofDatagrams(at: Endpoint(address: address, port: try ports.port(index))))
        }
        let stampedPort = try arguments.port(3)
        self.address = address
        self.arrivals = arrivals
        self.stampedPort = stampedPort
    }

    mutating func answer(to command: String, _ arguments: [String]) throws -> String {
        switch command {
        case "reset":
            for arrivals in arrivals { arrivals.reset() }
            return ""
        case "counts":
            let counts = arrivals.map { arrivals in
                let count = arrivals.current
                return "\"\(arrivals.name)\": [\(count.total), \(count.first), \(count.last)]"
            }
            return counts.joined(separator: ", ")
        case "stamps":
            switch arguments.first {
            case "on":
                stamped = try StampedArrivals(at: Endpoint(address: address, port: stampedPort))
                return ""
            case "off":
                let latencies = stamped?.drained() ?? []
                stamped = nil
                return "\"nanoseconds\": \(latencies)"
            default: throw TrafficError(description: "on or off")
            }
        default: throw TrafficError(description: "unknown command")
        }
    }
}

/// A socket whose datagrams the kernel stamps when they come in at the device. While one is open, the kernel stamps all packets of
/// the machine; so none is open in other measurements.
struct StampedArrivals: ~Copyable {
    private let socket: Socket

    init(at endpoint: Endpoint) throws {
        let socket = try Socket(SOCK_DGRAM)
        try socket.set(SO_RCVBUF, to: 4 << 20)
        guard bench_stamp_arrivals(socket.descriptor) == 0 else { throw TrafficError(doing: "stamp arrivals") }
        try socket.bind(to: endpoint)
        socket.waitAtMost(milliseconds: 50, to: SO_RCVTIMEO)
        self.socket = socket
    }

    /// Nanoseconds from sending to arrival of each datagram received so far.
    func drained() -> [UInt64] {
        var latencies: [UInt64] = []
        while true {
            var sent: UInt64 = 0
            var arrived: UInt64 = 0
            guard unsafe bench_receive_stamped(socket.descriptor, &sent, 8, &arrived) == 8 else { return latencies }
            sent = UInt64(bigEndian: sent)
            if sent != 0 && arrived > sent { latencies.append(arrived - sent) }
        }
    }
}
