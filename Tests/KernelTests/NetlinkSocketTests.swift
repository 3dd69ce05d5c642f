import Netlink
import NetworkTypes
import Testing

/// Against the kernel, with requests that any user may make.
@Suite struct NetlinkSocketTests {
    /// RTM_GETLINK with NLM_F_DUMP and `struct ifinfomsg`.
    private static func listLinks() -> [UInt8] {
        var writer = NetlinkWriter()
        writer.begin(type: 18, flags: 0x300)
        writer.putRaw([UInt8](repeating: 0, count: 16))
        writer.end()
        return writer.bytes
    }

    @Test("a dump of the links holds lo")
    func dumpsLinks() throws {
        var socket = try NetlinkSocket(.route)
        try socket.setExtendedAcknowledgement(true)
        var names: [String] = []
        for _ in 0..<2 {
            names = []
            try socket.dump(Self.listLinks(), doing: "list the links", restart: { names = [] }) { message in
                #expect(message.type == 16)
                if let name = message.attributes(after: 16).first(3)?.string { names.append(name) }
            }
        }
        #expect(names.contains("lo"))
        let portID = socket.portID
        #expect(portID != 0)
    }

    @Test("a closure's error ends the dump, and the socket remains usable")
    func errorInsideDump() throws {
        var socket = try NetlinkSocket(.route)
        let stop = KernelError(errno: 7, doing: "go on")
        #expect(throws: stop) {
            try socket.dump(Self.listLinks(), doing: "list the links") { (_: NetlinkMessage) throws(KernelError) in
                throw stop
            }
        }
        var count = 0
        try socket.dump(Self.listLinks(), doing: "list the links", restart: { count = 0 }) { _ in count += 1 }
        #expect(count > 0)
    }

    @Test("a refusal keeps errno and the kernel's words")
    func refusal() throws {
        var socket = try NetlinkSocket(.route)
        try socket.setExtendedAcknowledgement(true)
        var writer = NetlinkWriter()
        writer.begin(type: 18, flags: 4)
        writer.putRaw(
            [UInt8](repeating: 0, count: 4) + Int32.max.bigEndian.bigEndianBytes + [UInt8](repeating: 0, count: 8))
        writer.end()
        let error = #expect(throws: KernelError.self) {
            try socket.request(writer.bytes, doing: "find link 2147483647")
        }
        #expect(error?.errno == 19)
    }

    @Test("an empty socket is not an error; buffers grow as far as allowed")
    func emptyAndBuffers() throws {
        var socket = try NetlinkSocket(.route)
        var buffer = [UInt8](repeating: 0, count: 4096)
        for wait in [NetlinkSocket.Wait.none, .milliseconds(1)] {
            let found = try socket.receive(into: &buffer, waiting: wait)
            #expect(found == .nothing)
        }
        let sizes = socket.enlargeBuffers(send: 1 << 20, receive: 1 << 20)
        #expect(sizes.send >= 4096 && sizes.receive >= 4096)
    }

    @Test("a datagram longer than the buffer is reported with its length")
    func truncatedDatagram() throws {
        var socket = try NetlinkSocket(.route)
        try socket.send(Self.listLinks())
        var buffer = [UInt8](repeating: 0, count: 64)
        guard case .truncated(let length) = try socket.receive(into: &buffer, waiting: .milliseconds(5000)) else {
            Issue.record("a whole link in 64 bytes")
            return
        }
        #expect(length > 64)
    }
}
