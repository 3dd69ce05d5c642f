import FlowLog
import TestSupport
import Testing

/// A reader of the format that shares nothing with the writer. Nil for what is no file.
private struct PcapngFile {
    struct Block {
        var type: UInt32
        var body: [UInt8]
        var options: [UInt16: [UInt8]] = [:]

        func number(_ offset: Int, _ size: Int = 4) -> UInt64 {
            body[offset..<offset + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        func text(_ code: UInt16) -> String? { options[code].map { String(decoding: $0, as: UTF8.self) } }
    }

    var blocks: [Block] = []

    init?(_ bytes: [UInt8]) {
        /// Where options begin, by type.
        let fixed: [UInt32: Int] = [0x0a0d_0d0a: 16, 1: 8, 5: 12, 6: 20]
        var offset = 0
        while offset < bytes.count {
            guard bytes.count - offset >= 12 else { return nil }
            let head = Block(type: 0, body: Array(bytes[offset...]))
            let (type, length) = (UInt32(head.number(0)), Int(head.number(4)))
            guard length % 4 == 0, (12...(bytes.count - offset)).contains(length),
                Int(head.number(length - 4)) == length,
                var start = fixed[type]
            else { return nil }
            var block = Block(type: type, body: Array(head.body[8..<length - 4]))
            if type == 6 { start += (Int(block.number(12)) + 3) / 4 * 4 }
            while start < block.body.count {
                guard block.body.count - start >= 4 else { return nil }
                let (code, size) = (UInt16(block.number(start, 2)), Int(block.number(start + 2, 2)))
                let padded = (size + 3) / 4 * 4
                guard block.body.count - start - 4 >= padded else { return nil }
                block.options[code] = Array(block.body[start + 4..<start + 4 + size])
                start += 4 + padded
                if code == 0 { break }
            }
            guard start == block.body.count else { return nil }
            blocks.append(block)
            offset += length
        }
    }
}

@Suite("F7: capture files")
struct PcapngWriterTests {
    private static let web = PcapngWriter.Interface(name: "veth-web1", description: "/n/web1")
    private static let db = PcapngWriter.Interface(name: "veth-db1", description: "/n/db1")

    private static func packet(
        _ bytes: [UInt8], at nanoseconds: UInt64, on interface: PcapngWriter.Interface = web, comment: String = "c",
        dropped: UInt64 = 0
    ) -> PcapngWriter.Packet {
        PcapngWriter.Packet(
            time: Timestamp(nanoseconds: nanoseconds), bytes: bytes, length: 1500, interface: interface,
            isInbound: interface == web, comment: comment, dropped: dropped)
    }

    /// As pairs of hexadecimal digits.
    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    @Test("blocks are byte for byte those of the format")
    func bytes() {
        var writer = PcapngWriter(snapLength: 128)
        let header = Self.hexadecimal(writer.header(hardware: "", system: "Linux", application: ""))
        let section =
            "0a0d0d0a 2c000000 4d3c2b1a 01000000 ffffffff ffffffff 03000500 4c696e75 78000000 00000000 2c000000"
        #expect(header == section.filter { $0 != " " })
        let packet = PcapngWriter.Packet(
            time: Timestamp(nanoseconds: 0x0102_0304_0506_0708), bytes: [0x45, 1, 2], length: 60,
            interface: PcapngWriter.Interface(name: "ab", description: ""), isInbound: false, comment: "why")
        let interface = "01000000 28000000 65000000 80000000 02000200 61620000 09000100 09000000 00000000 28000000"
        let enhanced =
            "06000000 38000000 00000000 04030201 08070605 03000000 3c000000 45010200 01000300 77687900 02000400 02000000 "
            + "00000000 38000000"
        #expect(Self.hexadecimal(writer.packet(packet)) == (interface + enhanced).filter { $0 != " " })
    }

    @Test("an interface is described once, before its packets; the end tells what each had, and what was left out")
    func interfaces() throws {
        var writer = PcapngWriter(snapLength: 128)
        var bytes = writer.header(hardware: "x86_64", system: "Linux", application: "nsgctl 1")
        bytes += writer.packet(Self.packet([1], at: 5))
        bytes += writer.packet(Self.packet([2], at: 6, on: Self.db, dropped: 7))
        bytes += writer.packet(Self.packet([3], at: 7))
        bytes += writer.statistics(at: Timestamp(nanoseconds: 9), dropped: 8)
        let blocks = try #require(PcapngFile(bytes)).blocks
        #expect(blocks.map(\.type) == [0x0a0d_0d0a, 1, 6, 1, 6, 6, 5, 5])
        #expect(blocks[0].text(2) == "x86_64" && blocks[0].text(4) == "nsgctl 1")
        #expect([1, 3].map { blocks[$0].text(2) } == ["veth-web1", "veth-db1"] && blocks[3].text(3) == "/n/db1")
        #expect([2, 4, 5].map { blocks[$0].number(0) } == [0, 1, 0])
        #expect([2, 4, 5].map { blocks[$0].options[2] } == [[1, 0, 0, 0], [2, 0, 0, 0], [1, 0, 0, 0]])
        #expect(blocks[2].options[4] == nil && blocks[4].options[4] == [7, 0, 0, 0, 0, 0, 0, 0])
        let number = { (block: Int, code: UInt16) in blocks[block].options[code]?.first }
        #expect([4, 5, 8].map { number(6, $0) } == [10, 8, 2] && [4, 5, 8].map { number(7, $0) } == [1, 0, 1])
        #expect(blocks[6].options[2] == [0, 0, 0, 0, 5, 0, 0, 0] && blocks[6].text(1)?.hasSuffix(": 8") == true)
        #expect(writer.header(hardware: "", system: "", application: "").count == 28)
    }

    @Test("a comment has no control characters, and is cut between characters where it is too long")
    func comments() throws {
        for (comment, read) in [
            ("", nil), ("a\u{0}b\tc\nd\u{7f}", "a b c\nd "), ("Straße 橋", "Straße 橋"),
            (String(repeating: "x", count: 65_534) + "ß", String(repeating: "x", count: 65_534)),
            (String(repeating: "x", count: 65_533) + "ß", String(repeating: "x", count: 65_533) + "ß"),
        ] as [(String, String?)] {
            var writer = PcapngWriter(snapLength: 128)
            let blocks = try #require(PcapngFile(writer.packet(Self.packet([1], at: 0, comment: comment)))).blocks
            #expect(blocks.last?.text(1) == read)
        }
    }

    @Test("what is written is read back, after each packet", arguments: UInt64(0)..<32)
    func readsBack(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var writer = PcapngWriter(snapLength: 128)
        var bytes = writer.header(hardware: "h", system: "s", application: "a")
        var written: [PcapngWriter.Packet] = []
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            let content = (0..<Int.random(in: 0...130, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let comment = String(repeating: "é", count: Int.random(in: 0...9, using: &random))
            let packet = Self.packet(
                content, at: .random(in: 0 ... .max, using: &random),
                on: Bool.random(using: &random) ? Self.web : Self.db,
                comment: comment, dropped: .random(in: 0...1, using: &random))
            written.append(packet)
            bytes += writer.packet(packet)
            let read = try #require(PcapngFile(bytes)).blocks.filter { $0.type == 6 }
            #expect(read.count == written.count)
            for (block, packet) in zip(read, written) {
                let length = Int(block.number(12))
                #expect(Array(block.body[20..<20 + length]) == packet.bytes && block.number(16) == 1500)
                #expect(block.number(4) << 32 | block.number(8) == packet.time.nanoseconds)
                #expect(block.text(1) ?? "" == packet.comment)
            }
        }
        #expect(PcapngFile(bytes + writer.statistics(at: Timestamp(nanoseconds: 1), dropped: 0)) != nil)
        #expect(PcapngFile(Array(bytes.dropLast(4))) == nil, "the reader sees what is cut")
    }
}
