import FlowLog
import JSONText
import Testing

@Suite("Files that are JSON after every write (F3)")
struct BlockFileTests {
    private static let records = [
        #"{"time":"2026-11-20T14:04:02.7887149Z","properties":{"flows":[{"rule":"UserRule_web","flowTuples":["1,2","3,4"]}]}}"#,
        #"{"name":"br]ack}ets, \" quotes \\","é":[[],{},"]}"],"n":-1.5e3}"#, "{}",
    ]

    /// What `pwrite` and `ftruncate` do, up to `limit` bytes of the write.
    private func apply(_ write: BlockFile.Write, to file: inout [UInt8], limit: Int = .max) {
        for (index, byte) in write.bytes.prefix(limit).enumerated() {
            let place = Int(write.offset) + index
            if place < file.count { file[place] = byte } else { file.append(byte) }
        }
    }

    private func append(_ record: String, to file: [UInt8]) -> BlockFile.Write? {
        BlockFile.append(Array(record.utf8), length: UInt64(file.count), tail: file.suffix(BlockFile.tailLength))
    }

    private func condition(of file: [UInt8], pieces: Int = .max) -> BlockFile.Condition {
        var scanner = BlockFileScanner()
        var rest = file[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(pieces))
            scanner.scan(piece.span)
            rest = rest.dropFirst(piece.count)
        }
        return scanner.condition
    }

    /// The file after its repair, which must be JSON and hold the first `records` of ours, or more.
    private func repaired(
        _ torn: [UInt8], atLeast records: Int, sourceLocation: Testing.SourceLocation = #_sourceLocation
    )
        throws -> [UInt8]
    {
        var file = torn
        switch condition(of: torn) {
        case .empty:
            #expect(torn.isEmpty && records == 0, sourceLocation: sourceLocation)
            return file
        case .intact: break
        case .torn(let repair):
            file.removeLast(file.count - Int(repair.length))
            #expect(repair.discarded == UInt64(torn.count - file.count), sourceLocation: sourceLocation)
            // Dying between the two steps must lead to the same.
            if case .torn(let again) = condition(of: file) {
                #expect(again.write == repair.write)
            } else {
                #expect(file.isEmpty)
            }
            apply(repair.write, to: &file)
        }
        let kept = try JSONValue(parsing: file, dialect: .json)["records"]?.array ?? []
        #expect(kept.count >= records, sourceLocation: sourceLocation)
        #expect(try kept == Self.records.prefix(kept.count).map { try JSONValue(parsing: $0, dialect: .json) })
        #expect(condition(of: file) == .intact(records: kept.count), sourceLocation: sourceLocation)
        return file
    }

    @Test("grows by one write a record")
    func grows() throws {
        var file: [UInt8] = []
        for (index, record) in Self.records.enumerated() {
            let length = file.count
            let write = try #require(append(record, to: file))
            #expect(write.offset == UInt64(index == 0 ? 0 : length - 2))
            apply(write, to: &file)
            #expect(condition(of: file) == .intact(records: index + 1))
        }
        #expect(String(decoding: file, as: UTF8.self) == #"{"records":[\#(Self.records.joined(separator: ","))]}"#)
    }

    @Test("torn at every byte of every append, it is repaired without the loss of a complete record")
    func tears() throws {
        var file: [UInt8] = []
        for (index, record) in (Self.records + Self.records).prefix(Self.records.count).enumerated() {
            let write = try #require(append(record, to: file))
            for limit in 0...write.bytes.count {
                var torn = file
                apply(write, to: &torn, limit: limit)
                var mended = try repaired(torn, atLeast: index)
                // Then the record can be written again, or the next one.
                if case .intact(records: index) = condition(of: mended) {
                    apply(try #require(append(record, to: mended)), to: &mended)
                    #expect(condition(of: mended) == .intact(records: index + 1))
                }
            }
            apply(write, to: &file)
        }
        for length in file.indices { _ = try repaired(Array(file.prefix(length)), atLeast: 0) }
    }

    @Test("zeros where pages were not written yet are cut off", arguments: [1, 2, 3, 5, 8, 64])
    func zeros(size: Int) throws {
        var file: [UInt8] = []
        apply(try #require(append(Self.records[0], to: file)), to: &file)
        let before = file
        apply(try #require(append(Self.records[1], to: file)), to: &file)
        for start in (before.count - 2)..<file.count {
            var holed = file
            for place in start..<min(start + size, holed.count) { holed[place] = 0 }
            _ = try repaired(holed, atLeast: 1)
        }
        // The new length and the last page are there, the page with the old closing is still the old one.
        _ = try repaired(before + Array(repeating: 0, count: size) + file.suffix(20), atLeast: 1)
        _ = try repaired(Array(repeating: 0, count: size), atLeast: 0)
    }

    @Test("is read in pieces of any size", arguments: [1, 2, 3, 7, 4096])
    func pieces(size: Int) {
        let file = Array(#"{"records":[\#(Self.records.joined(separator: ","))]}"#.utf8)
        #expect(condition(of: file, pieces: size) == .intact(records: 3))
        #expect(condition(of: file.dropLast(), pieces: size) == condition(of: file.dropLast()))
    }

    @Test(
        "is not appended to where the end is not that of such a file",
        arguments: ["x", "{}", #"{"records":[{}]"#, #"{"records":[{}]} "#, "[{\"records\":1}]"])
    func refusesOtherEnds(text: String) { #expect(append("{}", to: Array(text.utf8)) == nil) }

    @Test("a document without records takes a first one")
    func blank() throws {
        var file = Array(#"{"records":[]}"#.utf8)
        #expect(condition(of: file) == .intact(records: 0))
        apply(try #require(append("{}", to: file)), to: &file)
        #expect(String(decoding: file, as: UTF8.self) == #"{"records":[{}]}"#)
    }
}
