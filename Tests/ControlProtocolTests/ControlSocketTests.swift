import ControlProtocol
import Glibc
import JSONText
import Testing

@Suite("The socket file", .serialized)
struct ControlSocketTests {
    private func open(_ path: String) throws -> ControlServer {
        try ControlServer(path: path, identity: TestServer.identity, handler: TestHandler())
    }

    @Test("it has mode 0660, and goes when the server stops")
    func lifetime() throws {
        let server = try TestServer()
        var status = stat()
        #expect(unsafe stat(server.path, &status) == 0)
        #expect(status.st_mode == S_IFSOCK | 0o660)
        server.server.stop()
        let deadline = ContinuousClock.now + .seconds(20)
        while unsafe stat(server.path, &status) == 0 { try #require(ContinuousClock.now < deadline) }
    }

    @Test("a stale socket is replaced, one that answers is not")
    func stale() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/socket"
        do {
            let abandoned = try unboundSocket()
            try abandoned.listen(at: path, group: nil)
            #expect(throws: ControlSocketError.alreadyServed(path)) { try self.open(path) }
        }
        let server = try open(path)
        #expect(throws: ControlSocketError.alreadyServed(path)) { try self.open(path) }
        server.stop()
    }

    @Test("a file, a folder or a link in its place is left alone and refused")
    func occupied() throws {
        let folder = try TemporaryFolder()
        let (file, link) = (folder.path + "/file", folder.path + "/link")
        let descriptor = unsafe creat(file, 0o600)
        #expect(descriptor >= 0 && close(descriptor) == 0)
        #expect(throws: ControlSocketError.occupied(file)) { try self.open(file) }
        #expect(throws: ControlSocketError.occupied(folder.path)) { try self.open(folder.path) }
        #expect(unsafe symlink(folder.path + "/socket", link) == 0)
        #expect(throws: ControlSocketError.occupied(link)) { try self.open(link) }
        #expect(unsafe access(file, F_OK) == 0)
    }

    @Test(
        "paths that no socket can have are refused", arguments: ["", String(repeating: "p", count: 108)])
    func unusable(path: String) {
        #expect(throws: ControlSocketError.unusablePath(path)) { try self.open(path) }
        #expect(throws: ControlSocketError.unusablePath("/tmp/a\0b")) { try self.open("/tmp/a\0b") }
    }

    @Test("an inherited socket is served, and its file left")
    func inherited() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/socket"
        let socket = try unboundSocket()
        try socket.listen(at: path, group: getgid())
        let server = try ControlServer(
            inherited: socket.release(), identity: TestServer.identity, handler: TestHandler()
        )
        server.start()
        var client = try ControlClient(path: path, seconds: 20)
        #expect(try client.call("io.nsgd.Control.Ping") == [:])
        server.stop()
        #expect(unsafe access(path, F_OK) == 0)
    }

    @Test("a client says why the daemon cannot be reached")
    func unreachable() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/socket"
        do {
            _ = try ControlClient(path: path)
            Issue.record("connected")
        } catch {
            #expect(error.description == "cannot reach the daemon at \(path): no such socket; is nsgd running?")
        }
    }
}
