import NetworkTypes
import TestSupport
import Testing

@testable import Netlink

/// Netlink bytes are hostile until parsed: nothing here may trap or read beyond its end.
@Suite struct NetlinkMessageTests {
    /// Two messages: one with a family header, a number, a string and a nest; an acknowledgement.
    private static func datagram() throws -> [UInt8] {
        var writer = NetlinkWriter()
        writer.begin(type: 0x0102, flags: 0x300, sequence: 7)
        writer.putNetfilterHeader(family: 2, resourceID: 5)
        writer.put(1, UInt32(0x0a00_0001))
        try writer.put(2, string: "veth-web1")
        let nest = writer.beginNested(3)
        writer.put(1, UInt8(6))
        writer.put(2, native: UInt16(0x1234))
        try writer.endNested(nest)
        writer.end()
        writer.begin(type: 2, flags: 0, sequence: 7)
        writer.putRaw([UInt8](repeating: 0, count: 20))
        writer.end()
        return writer.bytes
    }

    @Test("what the writer builds is read back")
    func roundTrip() throws {
        let bytes = try Self.datagram()
        var messages = NetlinkMessages(bytes[...])
        let head = messages.next()
        let first = try #require(head)
        #expect(first.type == 0x0102 && first.flags == 0x301 && first.sequence == 7)
        #expect(first.subsystem == 1 && first.operation == 2)
        #expect(Array(first.payload.prefix(4)) == [2, 0, 0, 5])
        let attributes = Array(first.attributes(after: 4))
        #expect(attributes.map(\.type) == [1, 2, 3])
        #expect(attributes[0].uint32 == 0x0a00_0001 && attributes[0].uint16 == nil)
        #expect(attributes[1].string == "veth-web1")
        #expect(attributes[2].nested.first(1)?.uint8 == 6)
        #expect(attributes[2].nested.first(2)?.hostUInt16 == 0x1234)
        let second = messages.next()
        #expect(second?.answer == NetlinkAnswer(errno: 0, sequence: 7))
        let third = messages.next()
        #expect(third == nil && !messages.isDamaged)
    }

    @Test("a datagram cut at any byte gives fewer messages, and says so")
    func truncated() throws {
        let bytes = try Self.datagram()
        let whole = try #require(NetlinkMessage(bytes[...])).bytes.count
        for length in 0..<bytes.count {
            var messages = NetlinkMessages(bytes[..<length])
            var count = 0
            while messages.next() != nil { count += 1 }
            #expect(count == (length >= whole ? 1 : 0))
            #expect(messages.isDamaged == (length != 0 && length != whole), "\(length) bytes")
        }
        for length in 0...(whole - 20) {
            for attribute in NetlinkAttributes(bytes[20..<20 + length]) { _ = attribute.nested.first(1)?.uint32 }
        }
    }

    @Test("stated lengths that lie end the iteration", arguments: [0, 1, 15, 17, 200, UInt32.max])
    func wrongMessageLength(stated: UInt32) {
        var bytes = [UInt8](repeating: 0, count: 16)
        bytes.replaceSubrange(0..<4, with: stated.hostBytes)
        var messages = NetlinkMessages(bytes[...])
        let first = messages.next()
        #expect(first == nil && messages.isDamaged)
    }

    @Test("an attribute's stated length that lies ends the iteration", arguments: [0, 3, 9, UInt16.max])
    func wrongAttributeLength(stated: UInt16) {
        var attributes = NetlinkAttributes((stated.hostBytes + [1, 0, 0, 0, 0, 0])[...])
        let first = attributes.next()
        #expect(first == nil && attributes.isDamaged)
    }

    @Test("an error carries errno, sequence, the kernel's words and the offset", arguments: [true, false])
    func extendedError(isCapped: Bool) throws {
        var writer = NetlinkWriter()
        writer.begin(type: 2, flags: isCapped ? 0x300 : 0x200, sequence: 9)
        writer.putRaw(Int32(-22).hostBytes)
        writer.putRaw(UInt32(isCapped ? 400 : 24).hostBytes + [UInt8](repeating: 0, count: 12))
        if !isCapped { writer.putRaw([1, 2, 3, 4, 5, 6, 7, 8]) }
        try writer.put(1, string: "Unknown set type")
        writer.put(2, native: UInt32(36))
        writer.end()
        let answer = try #require(NetlinkMessage(writer.bytes[...])?.answer)
        #expect(answer == NetlinkAnswer(errno: 22, sequence: 9, explanation: "Unknown set type", offset: 36))
        #expect("\(try #require(answer.error(doing: "add a set")))".contains("Unknown set type"))
        for length in 16..<writer.bytes.count {
            var cut = Array(writer.bytes.prefix(length))
            cut.replaceSubrange(0..<4, with: UInt32(length).hostBytes)
            #expect(NetlinkMessage(cut[...])?.answer?.errno == (length < 20 ? 74 : 22))
        }
    }

    @Test("a dump's end may be an error, and messages may say that the dump is void")
    func endOfDump() throws {
        var writer = NetlinkWriter()
        writer.begin(type: 3, flags: 2, sequence: 1)
        writer.putRaw(Int32(-95).hostBytes)
        writer.end()
        writer.begin(type: 0x14, flags: 0x12, sequence: 1)
        writer.end()
        let messages = Array(NetlinkMessages(writer.bytes[...]))
        #expect(messages[0].isDone && messages[0].answer?.errno == 95)
        #expect(messages[1].isDumpInterrupted && messages[1].answer == nil)
    }

    @Test("an attribute beyond 64 KiB is an error, not a wrapped length")
    func attributeLimit() throws {
        var writer = NetlinkWriter()
        writer.begin(type: 0x14, flags: 0)
        try writer.put(1, bytes: [UInt8](repeating: 1, count: 65531))
        #expect(throws: KernelError.self) { try writer.put(1, bytes: [UInt8](repeating: 1, count: 65532)) }
        let nest = writer.beginNested(2)
        try writer.put(1, bytes: [UInt8](repeating: 1, count: 65527 - 4))
        try writer.endNested(nest)
        let second = writer.beginNested(2)
        try writer.put(1, bytes: [UInt8](repeating: 1, count: 65531))
        #expect(throws: KernelError.self) { try writer.endNested(second) }
    }

    @Test("random bytes", arguments: UInt64(0)..<64)
    func garbage(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<200 {
            var bytes = (0..<Int.random(in: 0...120, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            // Lengths that are almost right get further than random ones.
            if bytes.count > 24 {
                bytes.replaceSubrange(0..<4, with: UInt32.random(in: 0...130, using: &random).hostBytes)
                bytes.replaceSubrange(4..<6, with: UInt16.random(in: 0...20, using: &random).hostBytes)
                bytes.replaceSubrange(20..<22, with: UInt16.random(in: 0...130, using: &random).hostBytes)
            }
            for message in NetlinkMessages(bytes[...]) {
                _ = message.answer
                for attribute in message.attributes(after: 4) {
                    _ = (attribute.string, attribute.nested.first(1)?.uint64)
                }
            }
        }
    }
}
