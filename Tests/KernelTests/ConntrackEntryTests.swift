import NetworkTypes
import Testing

@testable import ConntrackKernel
@testable import Netlink

/// Decoding of ctnetlink messages that were written by hand.
@Suite struct ConntrackEntryTests {
    static func message(type: UInt16 = 0x0100, flags: UInt16 = 0x600) throws -> [UInt8] {
        var writer = NetlinkWriter()
        writer.begin(type: type, flags: flags)
        writer.putNetfilterHeader(family: 2)
        for (number, source, destination, ports) in [
            (UInt16(1), UInt32(0x0a00_0105), UInt32(0xcb00_7109), [UInt16(40000), 443]),
            (2, 0x0a00_0204, 0x0a00_0105, [8443, 40000]),
        ] {
            let tuple = writer.beginNested(number)
            let address = writer.beginNested(1)
            writer.put(1, source)
            writer.put(2, destination)
            try writer.endNested(address)
            let transport = writer.beginNested(2)
            writer.put(1, UInt8(6))
            writer.put(2, ports[0])
            writer.put(3, ports[1])
            try writer.endNested(transport)
            try writer.endNested(tuple)
        }
        writer.put(3, UInt32(14 | 32))
        let information = writer.beginNested(4)
        let tcp = writer.beginNested(1)
        writer.put(1, UInt8(7))
        try writer.endNested(tcp)
        try writer.endNested(information)
        for (number, packets, bytes) in [(UInt16(9), UInt64(12), UInt64(1 << 40)), (10, 7, 900)] {
            let counters = writer.beginNested(number)
            writer.put(1, packets)
            writer.put(2, bytes)
            try writer.endNested(counters)
        }
        writer.put(7, UInt32(119))
        writer.put(12, UInt32(0xdead_beef))
        writer.put(18, UInt16(5))
        let stamps = writer.beginNested(20)
        writer.put(1, UInt64(1_795_247_087_675_050_123))
        writer.put(2, UInt64(1_795_247_088_000_000_000))
        try writer.endNested(stamps)
        var label = ConnLabel(bits: 0)
        label[3] = true
        label[120] = true
        try writer.put(22, bytes: label.bytes)
        writer.end()
        return writer.bytes
    }

    @Test("every field is read")
    func decodes() throws {
        let bytes = try Self.message()
        let message = try #require(NetlinkMessage(bytes[...]))
        let entry = try #require(ConntrackEntry(message))
        #expect(entry.id == 0xdead_beef && entry.zone == 5 && entry.protocol == .tcp)
        #expect("\(entry.original)" == "10.0.1.5.40000 > 203.0.113.9.443")
        #expect("\(entry.reply)" == "10.0.2.4.8443 > 10.0.1.5.40000")
        #expect(entry.status == [.seenReply, .assured, .confirmed, .destinationNAT])
        #expect(entry.tcpState == .timeWait && entry.timeout == 119)
        #expect(entry.originalCounters == .init(packets: 12, bytes: 1 << 40))
        #expect(entry.replyCounters == .init(packets: 7, bytes: 900))
        #expect(entry.start == 1_795_247_087_675_050_123 && entry.stop == 1_795_247_088_000_000_000)
        #expect(entry.label?.bits == 1 << 3 | 1 << 120)
    }

    @Test(
        "flags and type tell the event",
        arguments: [(0x0100, 0x600, "new"), (0x0100, 0, "update"), (0x0102, 0, "destroy")])
    func events(type: UInt16, flags: UInt16, expected: String) throws {
        let bytes = try Self.message(type: type, flags: flags)
        let message = try #require(NetlinkMessage(bytes[...]))
        switch try #require(ConntrackEvent(message)) {
        case .new: #expect(expected == "new")
        case .update: #expect(expected == "update")
        case .destroy: #expect(expected == "destroy")
        }
    }

    @Test("a message cut at any byte gives an entry with less in it, or none")
    func truncated() throws {
        let bytes = try Self.message()
        var whole = 0
        for length in 16..<bytes.count {
            var cut = Array(bytes.prefix(length))
            cut.replaceSubrange(0..<4, with: UInt32(length).hostBytes)
            guard let message = NetlinkMessage(cut[...]), let entry = ConntrackEntry(message) else { continue }
            #expect(entry.original.destinationPort == 443 && entry.reply.sourcePort == 8443)
            whole += 1
        }
        #expect(whole > 20)
    }

    @Test("a label's bytes are its bits, lowest first")
    func label() {
        var label = ConnLabel(bits: 0)
        label[120] = true
        #expect(label.bytes == [UInt8](repeating: 0, count: 15) + [1])
        #expect(ConnLabel(bytes: label.bytes) == label && label[120] && !label[119] && !label[128])
        #expect(ConnLabel(bytes: [8]) == ConnLabel(bits: 8))
        #expect(ConnLabel(bytes: [UInt8](repeating: 0, count: 17)) == nil)
    }
}
