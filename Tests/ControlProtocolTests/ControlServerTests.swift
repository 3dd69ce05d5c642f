import ControlProtocol
import Glibc
import JSONText
import Synchronization
import Testing

@Suite("The control server, on a Unix socket", .serialized)
struct ControlServerTests {
    @Test("K1: it introduces itself")
    func introspection() throws {
        let server = try TestServer()
        var client = try ControlClient(path: server.path, seconds: 20)
        let info = try client.call("org.varlink.service.GetInfo")
        #expect(info["interfaces"] == ["org.varlink.service", "io.nsgd.Control"] && info["version"] == "1")
        for (name, text) in [
            (ControlInterface.name, ControlInterface.text), (VarlinkService.name, VarlinkService.text),
        ] {
            let answer = try client.call("org.varlink.service.GetInterfaceDescription", ["interface": JSONValue(name)])
            #expect(answer["description"]?.string == text)
        }
    }

    @Test(
        "a call that cannot be answered gets the error Varlink has for it, and the connection goes on",
        arguments: [
            ("io.nsgd.Control.Nothing", [:], "MethodNotFound", ["method": "io.nsgd.Control.Nothing"]),
            ("org.varlink.service.Nothing", [:], "MethodNotFound", ["method": "org.varlink.service.Nothing"]),
            ("io.nsgd.Other.Ping", [:], "InterfaceNotFound", ["interface": "io.nsgd.Other"]),
            ("Ping", [:], "InterfaceNotFound", ["interface": ""]),
            (
                "org.varlink.service.GetInterfaceDescription", ["interface": "a.b"], "InterfaceNotFound",
                ["interface": "a.b"]
            ),
            ("org.varlink.service.GetInterfaceDescription", [:], "InvalidParameter", ["parameter": "interface"]),
            ("io.nsgd.Control.Check", ["directory": 1], "InvalidParameter", ["parameter": "directory"]),
            ("io.nsgd.Control.Status", [:], "MethodNotImplemented", ["method": "io.nsgd.Control.Status"]),
            ("io.nsgd.Control.Log", ["follow": false], "ExpectedMore", [:]),
        ] as [(String, JSONValue, String, JSONValue)]
    )
    func errors(method: String, parameters: JSONValue, error: String, details: JSONValue) throws {
        let server = try TestServer()
        var client = try ControlClient(path: server.path, seconds: 20)
        #expect(throws: ControlError.method(name: "org.varlink.service.\(error)", parameters: details)) {
            try client.call(method, parameters)
        }
        #expect(try client.call("io.nsgd.Control.Ping") == [:])
    }

    @Test("K2: who may not change anything is refused, and the handler never sees the call")
    func permission() throws {
        let server = try TestServer(handler: TestHandler(mayChange: false))
        var client = try ControlClient(path: server.path, seconds: 20)
        for method in ["Flush", "Reload"] {
            #expect(throws: ControlError.method(name: "org.varlink.service.PermissionDenied", parameters: [:])) {
                try client.call("io.nsgd.Control.\(method)")
            }
        }
        #expect(server.handler.record.withLock { $0.peers.isEmpty })
        #expect(try client.call("io.nsgd.Control.Ping") == [:])
    }

    @Test("K2: the peer's credentials come from the kernel")
    func credentials() throws {
        let server = try TestServer()
        #expect(server.isAnswering())
        let peer = try #require(server.handler.record.withLock { $0.peers.first })
        #expect(
            peer.process == getpid() && peer.user == getuid() && peer.group == getgid() && peer.isMember(of: getgid()))
    }

    @Test(
        "garbage closes the connection it came from, and no other",
        arguments: ["", "{}", "GET / HTTP/1.1\r\n\r\n", "\u{1}\u{2}", #"{"method":"io.nsgd.Control.Ping","x":1}"#]
    )
    func garbage(text: String) throws {
        let server = try TestServer()
        var bystander = try server.connect()
        bystander.call("Ping")
        #expect(try bystander.reply() == VarlinkReply())
        var client = try server.connect()
        client.send(Array(text.utf8) + [0])
        #expect(try client.reply() == nil)
        bystander.call("Ping")
        #expect(try bystander.reply() == VarlinkReply())
    }

    @Test("K2: a reader's message of a megabyte is read; one byte more closes the connection")
    func megabyte() throws {
        let server = try TestServer(handler: TestHandler(mayChange: false))
        let frame = VarlinkCall(method: "io.nsgd.Control.Check", parameters: ["directory": ""]).bytes.count - 1
        for (length, isRead) in [(1 << 20, true), (1 << 20 + 1, false)] {
            var client = try server.connect()
            let directory = String(repeating: "d", count: length - frame)
            client.call("Check", ["directory": JSONValue(directory)])
            let answer = try client.reply()?.parameters[["faults", 0, "path"]]?.string
            #expect(answer == (isRead ? directory : nil))
        }
        #expect(server.isAnswering())
    }

    @Test("K3: an administrator's message may hold a file of service tags, and has a bound too")
    func longMessage() throws {
        var limits = ControlLimits()
        #expect(limits.administratorMessageBytes > 2 * 32 << 20)
        limits.administratorMessageBytes = 8 << 20
        let server = try TestServer(limits: limits)
        for (length, isRead) in [(6 << 20, true), (8 << 20, false)] {
            var client = try server.connect()
            client.call("Check", ["directory": JSONValue(String(repeating: "d", count: length))])
            let answer = try client.reply()?.parameters[["faults", 0, "path"]]?.string
            #expect(answer?.utf8.count == (isRead ? length : nil))
        }
        #expect(server.isAnswering())
    }

    @Test("half a message and a close leave nothing behind")
    func halfMessage() throws {
        var limits = ControlLimits()
        limits.clients = 2
        let server = try TestServer(limits: limits)
        for _ in 0..<20 {
            let client = try server.connect()
            client.send(Array("{\"method\":".utf8))
            _ = shutdown(client.socket.raw, CInt(SHUT_WR))
            var gone = client
            #expect(try gone.reply() == nil)
        }
        #expect(server.isAnswering())
    }

    @Test("a message that is not finished in time closes the connection; silence between messages does not")
    func incompleteMessage() throws {
        var limits = ControlLimits()
        limits.messageMilliseconds = 50
        let server = try TestServer(limits: limits)
        var quiet = try server.connect()
        var slow = try server.connect()
        slow.call("Ping")
        #expect(try slow.reply() == VarlinkReply())
        slow.send([0x7b])
        #expect(try slow.reply() == nil)
        quiet.call("Ping")
        #expect(try quiet.reply() == VarlinkReply())
    }

    @Test("of 40 clients 32 are served and the others closed; a place that is given up can be had")
    func fortyClients() throws {
        let server = try TestServer()
        var sockets: [CInt] = []
        defer { for socket in sockets { _ = close(socket) } }
        var served = 0
        for index in 0..<40 {
            var client = try server.connect()
            client.call("Ping")
            let answer = try client.reply()
            #expect((answer != nil) == (index < 32), "client \(index)")
            served += answer == nil ? 0 : 1
            let copy = dup(client.socket.raw)
            if answer != nil { sockets.append(copy) } else { _ = close(copy) }
        }
        #expect(served == 32)
        _ = close(sockets.removeLast())
        let deadline = ContinuousClock.now + .seconds(20)
        while !server.isAnswering() { try #require(ContinuousClock.now < deadline) }
    }

    @Test("clients that say nothing do not keep an administrator out")
    func idleClients() throws {
        var limits = ControlLimits()
        limits.clients = 2
        limits.idleMilliseconds = 0
        let server = try TestServer(limits: limits)
        var first = try server.connect()
        var second = try server.connect()
        first.call("Ping")
        #expect(try first.reply() == VarlinkReply())
        second.call("Ping")
        #expect(try second.reply() == VarlinkReply())
        #expect(server.isAnswering())
        #expect(try first.reply() == nil, "the oldest made room")
    }

    @Test("a client that does not read is dropped; the others do not notice")
    func slowReader() throws {
        let server = try TestServer()
        let client = try server.connect()
        client.call("Log", ["follow": true], more: true)
        #expect(server.handler.followed.wait())
        let stream = try #require(server.handler.record.withLock { $0.streams.first })
        let record: JSONValue = ["record": ["text": JSONValue(String(repeating: "x", count: 65_536))]]
        var sent = 0
        while stream.send(record), sent < 1000 { sent += 1 }
        #expect((60..<200).contains(sent), "4 MiB and what the kernel holds")
        #expect(server.handler.closed.wait())
        #expect(!stream.isOpen && stream.queuedBytes == 0)
        #expect(server.isAnswering())
    }

    @Test("one reply beyond the bound reaches a client that reads")
    func longReply() throws {
        let server = try TestServer()
        var client = try ControlClient(path: server.path, seconds: 20)
        let ruleset = try client.call("io.nsgd.Control.Compile", ["statistics": true])["ruleset"]?.string
        #expect(ruleset?.utf8.count == 5 << 20)
    }

    @Test("a stream gives each reply, and ends")
    func stream() throws {
        let server = try TestServer()
        var records: [JSONValue] = []
        let client = try ControlClient(path: server.path, seconds: 20)
        try client.stream("io.nsgd.Control.Log", ["follow": false]) {
            records.append($0["record"] ?? nil)
            return true
        }
        #expect(records == [["index": 0], ["index": 1], ["index": 2], [:]])
    }

    @Test("the handler learns that the client of a stream has gone")
    func streamClosed() throws {
        let server = try TestServer()
        var count = 0
        let client = try ControlClient(path: server.path, seconds: 20)
        try client.stream("io.nsgd.Control.Log", ["follow": true]) { _ in
            count += 1
            return count < 2
        }
        #expect(server.handler.followed.wait() && server.handler.closed.wait())
        let stream = try #require(server.handler.record.withLock { $0.streams.first })
        #expect(!stream.isOpen && !stream.send(["record": [:]]))
        let again = Signal()
        stream.onClose { again.send() }
        #expect(again.wait())
    }

    @Test("calls of one connection are answered in order, one at a time")
    func order() throws {
        let server = try TestServer()
        var client = try server.connect()
        let names = (0..<200).map { JSONValue("\($0)") }
        client.send(
            names.flatMap {
                VarlinkCall(method: "io.nsgd.Control.Check", parameters: ["directory": $0]).bytes
            })
        for name in names { #expect(try client.reply()?.parameters == ["faults": [["path": name]]]) }
        #expect(server.handler.record.withLock { $0.mostConcurrent } == 1)
    }

    @Test("a call of one way gets no reply; one that comes after it does")
    func oneway() throws {
        let server = try TestServer()
        var client = try server.connect()
        client.call("Check", ["directory": "a"], oneway: true)
        client.call("Nothing", oneway: true)
        client.call("Check", ["directory": "b"])
        #expect(try client.reply()?.parameters == ["faults": [["path": "b"]]])
        #expect(server.handler.record.withLock { $0.peers.count } == 2)
    }

    @Test("a client that has shut down its sending side gets the replies it waits for, then the end")
    func halfClosed() throws {
        let server = try TestServer()
        var client = try server.connect()
        for _ in 0..<3 { client.call("Ping") }
        _ = shutdown(client.socket.raw, CInt(SHUT_WR))
        for _ in 0..<3 { #expect(try client.reply() == VarlinkReply()) }
        #expect(try client.reply() == nil)
    }

    @Test("a client that pipelines and never reads costs no more than the bounds")
    func floodWithoutReading() throws {
        let server = try TestServer()
        let client = try server.connect()
        let flags = fcntl(client.socket.raw, F_GETFL)
        _ = fcntl(client.socket.raw, F_SETFL, flags | O_NONBLOCK)
        let calls = (0..<1000).flatMap { _ in VarlinkCall(method: "io.nsgd.Control.Ping").bytes }
        var taken = 0
        var ready = pollfd(fd: client.socket.raw, events: Int16(POLLOUT), revents: 0)
        // When there has been no room for so long, the server has stopped reading.
        while unsafe poll(&ready, 1, 500) == 1, taken < 64 << 20 {
            taken += max(0, unsafe Glibc.send(client.socket.raw, calls, calls.count, CInt(MSG_NOSIGNAL)))
        }
        #expect((1 << 20..<8 << 20).contains(taken))
        #expect(server.isAnswering())
    }
}
