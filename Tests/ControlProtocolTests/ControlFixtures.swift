import ControlProtocol
import Dispatch
import Glibc
import JSONText
import Synchronization
import Testing

/// A folder that is removed with what is in it.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/nsgd-control-XXXXXX".utf8CString)
        path = try unsafe String(cString: #require(unsafe mkdtemp(&template)))
    }

    deinit {
        for name in ["socket", "file", "link"] { _ = unsafe unlink("\(path)/\(name)") }
        _ = unsafe rmdir(path)
    }
}

/// Something to wait for, with a deadline.
final class Signal: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    func send() { semaphore.signal() }
    func wait() -> Bool { semaphore.wait(timeout: .now() + 20) == .success }
}

/// Answers on a queue of its own. Check gives its directory back, Compile five megabytes of text; Log gives three
/// records and, with follow, stays open for the test.
final class TestHandler: ControlHandler {
    struct Record {
        var peers: [Peer] = []
        var concurrent = 0
        var mostConcurrent = 0
        var streams: [ReplyStream] = []
    }

    let record = Mutex(Record())
    let followed = Signal()
    let closed = Signal()
    let mayChange: Bool
    private let queue = DispatchQueue(label: "test.handler")

    init(mayChange: Bool = true) { self.mayChange = mayChange }

    func allows(_ peer: Peer, _ access: ControlInterface.Access) -> Bool { mayChange || access == .read }

    func handle(_ call: VarlinkCall, from peer: Peer, reply: ReplyStream) {
        record.withLock { record in
            record.peers.append(peer)
            record.concurrent += 1
            record.mostConcurrent = max(record.mostConcurrent, record.concurrent)
        }
        queue.async { [self] in
            record.withLock { $0.concurrent -= 1 }
            switch call.name {
            case "Ping", "Flush": reply.end()
            case "Check": reply.end(["faults": [["path": call.parameters["directory"] ?? nil]]])
            case "Compile": reply.end(["ruleset": JSONValue(String(repeating: "#", count: 5 << 20))])
            case "Verify": reply.fail(.badQuery, ["message": "no such nic; see nsgctl status"])
            case "Log":
                for index in 0..<3 { reply.send(["record": ["index": JSONValue(index)]]) }
                guard call.parameters["follow"]?.bool == true else { return reply.end(["record": [:]]) }
                reply.onClose { self.closed.send() }
                record.withLock { $0.streams.append(reply) }
                followed.send()
            default: break
            }
        }
    }
}

/// A server on a socket of its own, stopped with the value.
final class TestServer {
    let folder: TemporaryFolder
    let handler: TestHandler
    let server: ControlServer
    var path: String { folder.path + "/socket" }
    static let identity = ControlIdentity(vendor: "nsgd", product: "nsgd test", version: "1", url: "https://nsgd.io")

    init(handler: TestHandler = TestHandler(), limits: ControlLimits = ControlLimits()) throws {
        folder = try TemporaryFolder()
        self.handler = handler
        server = try ControlServer(
            path: folder.path + "/socket", identity: Self.identity, limits: limits, handler: handler
        )
        server.start()
    }

    deinit { server.stop() }

    /// A client that sends what it likes.
    func connect() throws -> RawClient { try RawClient(path) }

    func isAnswering() -> Bool {
        guard var client = try? ControlClient(path: path, seconds: 20) else { return false }
        return (try? client.call("io.nsgd.Control.Ping")) == [:]
    }
}

struct POSIXFailure: Error {}

func unboundSocket() throws -> ControlSocket {
    guard let socket = ControlSocket(blocking: true) else { throw POSIXFailure() }
    return socket
}

struct RawClient: ~Copyable {
    let socket: ControlSocket
    private var framer = VarlinkFramer(limit: 64 << 20)

    init(_ path: String) throws {
        let socket = try unboundSocket()
        socket.setTimeout(seconds: 20)
        guard socket.connect(to: path) == 0 else { throw POSIXFailure() }
        self.socket = socket
    }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool { socket.sendAll(bytes) == 0 }

    @discardableResult
    func call(_ name: String, _ parameters: JSONValue = [:], more: Bool = false, oneway: Bool = false) -> Bool {
        let method = name.contains(".") ? name : "io.nsgd.Control.\(name)"
        return send(VarlinkCall(method: method, parameters: parameters, oneway: oneway, more: more).bytes)
    }

    /// nil when the server has closed the connection.
    mutating func reply() throws -> VarlinkReply? {
        while true {
            if let message = try framer.next() { return try VarlinkReply(parsing: message) }
            let (bytes, failure) = socket.receive()
            if failure == ECONNRESET || (failure == 0 && bytes.isEmpty) { return nil }
            guard failure == 0 else { throw POSIXFailure() }
            framer.append(bytes)
        }
    }
}
