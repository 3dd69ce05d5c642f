import CBatches
import Glibc

/// The client's side. The server counts what arrives; answers say what was sent and how long that took, in seconds.
///
/// Commands, SECONDS with a fraction:
/// `udp-new SECONDS MOST PORT…`   datagrams, each a flow of its own, to the ports by turns; at most so many
/// `udp-same SECONDS PORT`        datagrams of one new flow, which is never answered
/// `udp-established SECONDS PORT` datagrams of one flow that was answered once
/// `udp-mix SECONDS MOST FILE`    like udp-new; a line of FILE is an address, a number of low bits that vary, and a port
/// `udp-paced RATE PORT…`         like udp-new, so many a second to each port, until the next command
/// `udp-stamped COUNT PORT`       datagrams that carry the time, 100 µs apart, each a flow of its own
/// `tcp-new SECONDS MOST PORT`    connections, one after the other: connect, close with RST
/// `tcp-stamped COUNT PORT`       the same, with the time that each connect took
/// `tcp-stream SECONDS STREAMS PORT`
/// `reset`                        nothing
struct TrafficSender: CommandHandler, ~Copyable {
    private let server: UInt32
    private let network: UInt32
    private var sources: FreshSources
    private var batch: DatagramBatch

    init(arguments: [String]) throws {
        let (server, network) = (try Endpoint.address(arguments[0]), try Endpoint.address(arguments[1]))
        let batch = try DatagramBatch(to: server)
        self.server = server
        self.network = network
        sources = FreshSources(network: network)
        self.batch = batch
    }

    mutating func answer(to command: String, _ arguments: [String]) throws -> String {
        switch command {
        case "reset": return ""
        case "udp-new":
            let ports = try arguments.indices.dropFirst(2).map { try arguments.port($0) }
            let targets = ports.map { Template(ports: $0) }
            return try newFlows(targets, seconds: arguments.number(0), most: Int(arguments.number(1)))
        case "udp-mix":
            guard arguments.count == 3 else { throw TrafficError(description: "SECONDS MOST FILE") }
            return try newFlows(
                Template.read(arguments[2]), seconds: arguments.number(0), most: Int(arguments.number(1)))
        case "udp-same": return try oneWay(seconds: arguments.number(0), port: arguments.port(1))
        case "udp-established": return try established(seconds: arguments.number(0), port: arguments.port(1))
        case "udp-paced":
            return try paced(rate: arguments.number(0), arguments.indices.dropFirst().map { try arguments.port($0) })
        case "udp-stamped": return try stamped(Int(arguments.number(0)), port: arguments.port(1))
        case "tcp-new":
            return try connections(
                seconds: arguments.number(0), most: Int(arguments.number(1)), port: arguments.port(2))
        case "tcp-stamped": return try stampedConnections(Int(arguments.number(0)), port: arguments.port(1))
        case "tcp-stream":
            return try StreamSender(
                to: Endpoint(address: server, port: arguments.port(2)), from: network | 1,
                streams: Int(arguments.number(1))
            ).run(seconds: arguments.number(0))
        default: throw TrafficError(description: "unknown command")
        }
    }

    private mutating func newFlows(_ templates: [Template], seconds: Double, most: Int) throws -> String {
        guard !templates.isEmpty else { throw TrafficError(description: "no port") }
        let stopwatch = Stopwatch(seconds: seconds)
        var sent = 0
        var next = 0
        while !stopwatch.isOver && sent < most {
            while !batch.isFull {
                batch.append(from: templates[next].source(sources.take()), to: templates[next].port)
                next = next + 1 == templates.count ? 0 : next + 1
            }
            sent += try batch.send()
        }
        return stopwatch.answer("sent", sent)
    }

    private mutating func oneWay(seconds: Double, port: UInt16) throws -> String {
        let source = sources.take()
        let stopwatch = Stopwatch(seconds: seconds)
        var sent = 0
        while !stopwatch.isOver {
            while !batch.isFull { batch.append(from: source, to: port) }
            sent += try batch.send()
        }
        return stopwatch.answer("sent", sent)
    }

    private mutating func established(seconds: Double, port: UInt16) throws -> String {
        let source = sources.take()
        // An ordinary socket takes the answer; without one, the answer would be answered by an ICMP error.
        let socket = try Socket(SOCK_DGRAM)
        try socket.bind(to: source)
        try socket.connect(to: Endpoint(address: server, port: port))
        socket.waitAtMost(milliseconds: 1000, to: SO_RCVTIMEO)
        var byte: UInt8 = 1
        guard unsafe write(socket.descriptor, &byte, 1) == 1, unsafe read(socket.descriptor, &byte, 1) == 1 else {
            throw TrafficError(doing: "wait for an answer")
        }
        let stopwatch = Stopwatch(seconds: seconds)
        var sent = 0
        while !stopwatch.isOver {
            while !batch.isFull { batch.append(from: source, to: port) }
            sent += try batch.send()
        }
        return stopwatch.answer("sent", sent)
    }

    private mutating func paced(rate: Double, _ ports: [UInt16]) throws -> String {
        guard rate >= 1, !ports.isEmpty else { throw TrafficError(description: "RATE PORT…") }
        var sent = [Int](repeating: 0, count: ports.count)
        var refused = 0
        let start = bench_clock_monotonic()
        while !CommandLoop.isTold {
            let due = Int(Double(bench_clock_monotonic() - start) / 1e9 * rate)
            if sent[0] >= due { bench_sleep(200_000) }
            // After a pause, what is missing is sent; a batch at a time, so that a command is not waited for.
            for round in sent[0]..<max(sent[0], min(due, sent[0] + 32)) where round >= 0 {
                for index in ports.indices {
                    batch.append(from: sources.take(), to: ports[index])
                    sent[index] += 1
                    if batch.isFull { refused += try batch.count - batch.send() }
                }
            }
            refused += try batch.count - batch.send()
        }
        let seconds = Double(bench_clock_monotonic() - start) / 1e9
        return "\"sent\": \(sent[0]), \"refused\": \(refused), \"seconds\": \(seconds)"
    }

    private mutating func stamped(_ count: Int, port: UInt16) throws -> String {
        var sent = 0
        for _ in 0..<count {
            let next = bench_clock_monotonic() + 100_000
            batch.append(from: sources.take(), to: port, stamp: bench_clock_realtime())
            sent += try batch.send()
            // Without sleeping: a core that slept is slow for a while.
            while bench_clock_monotonic() < next {}
        }
        return "\"sent\": \(sent)"
    }

    private mutating func connections(seconds: Double, most: Int, port: UInt16) throws -> String {
        let stopwatch = Stopwatch(seconds: seconds)
        var sent = 0
        while !stopwatch.isOver && sent < most {
            _ = try connect(to: port)
            sent += 1
        }
        return stopwatch.answer("sent", sent)
    }

    private mutating func stampedConnections(_ count: Int, port: UInt16) throws -> String {
        var durations: [UInt64] = []
        for _ in 0..<count { durations.append(try connect(to: port)) }
        return "\"nanoseconds\": \(durations)"
    }

    /// One connection. Nanoseconds from SYN to SYN-ACK, as connect took.
    private mutating func connect(to port: UInt16) throws -> UInt64 {
        let socket = try Socket(SOCK_STREAM)
        socket.resetOnClose()
        try socket.bind(to: sources.take())
        let start = bench_clock_monotonic()
        do {
            try socket.connect(to: Endpoint(address: server, port: port))
        } catch  where errno == ECONNRESET {
            // Accepted and closed before this core came to look.
        }
        return bench_clock_monotonic() - start
    }
}

/// Where flows of a mix come from and go to.
struct Template {
    /// Nil: from anywhere.
    var network: UInt32?
    /// Of the address, the low bits that vary.
    var mask: UInt32 = 0
    var port: UInt16

    init(ports port: UInt16) { self.port = port }

    /// An unused source, moved into this network. Where few bits of the address vary, the port has to.
    func source(_ fresh: Endpoint) -> Endpoint {
        guard let network else { return fresh }
        let port = UInt16(truncatingIfNeeded: fresh.address) &+ fresh.port
        return Endpoint(address: network | fresh.address & mask, port: max(1, port))
    }

    static func read(_ path: String) throws -> [Template] {
        guard let file = unsafe fopen(path, "r") else { throw TrafficError(doing: "open \(path)") }
        defer { unsafe fclose(file) }
        var templates: [Template] = []
        var line = [CChar](repeating: 0, count: 256)
        while unsafe fgets(&line, 256, file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let words = text.split { $0 == " " || $0 == "\n" }.map(String.init)
            guard words.count == 3 else { throw TrafficError(description: "\(path): ADDRESS BITS PORT") }
            var template = Template(ports: try words.port(2))
            template.mask = UInt32(1) << UInt32(min(16, try words.number(1))) - 1
            template.network = try Endpoint.address(words[0]) & ~template.mask
            templates.append(template)
        }
        return templates
    }
}

/// How long something has been going on.
struct Stopwatch {
    private let start = bench_clock_monotonic()
    private let limit: UInt64

    init(seconds: Double) { limit = UInt64(seconds * 1e9) }

    var isOver: Bool { bench_clock_monotonic() - start >= limit }

    /// The members of an answer.
    func answer(_ name: String, _ count: Int) -> String {
        "\"\(name)\": \(count), \"seconds\": \(Double(bench_clock_monotonic() - start) / 1e9)"
    }
}
