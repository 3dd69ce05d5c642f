import Dispatch
import Glibc
import SystemServices
import TestSupport
import Testing

@testable import NSGDaemon

/// The queue between the flow log and a disk (F5). No kernel is needed, but the daemon's parts are tested here.
@Suite(.serialized)
struct LogWriterTests {
    /// A file where the log folder is to be: nothing can be written until it is gone.
    private static func blocked(_ body: (LogWriter, String) throws -> Void) throws {
        var template = Array("/tmp/nsgd-writer-XXXXXX".utf8CString)
        let made = unsafe mkdtemp(&template) != nil
        try #require(made)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { _ = try? run(["rm", "-rf", folder]) }
        try Files.write("\(folder)/logs", [])
        try body(LogWriter(folder: "\(folder)/logs", state: folder, journal: Journal("test")), folder)
    }

    @Test("what cannot be written waits, up to a bound, and then stands in the file in order, once")
    func waits() throws {
        try Self.blocked { writer, folder in
            var taken = 0
            let piece = (0..<1023).map { _ in UInt8(ascii: "x") } + [UInt8(ascii: "\n")]
            let megabyte = Array(repeatElement(piece, count: 1024).joined())
            while taken < 100, writer.put(.lines(Array("\(taken)\n".utf8) + megabyte)) { taken += 1 }
            #expect((60...64).contains(taken))
            #expect(!writer.hasRoom)
            let isNoticed = eventually { writer.problem != nil }
            #expect(isNoticed)

            try Files.remove("\(folder)/logs")
            #expect(writer.finish())
            #expect(writer.problem == nil && writer.hasRoom)
            let numbers = try run(["sh", "-c", "grep -v x \"$0\"", "\(folder)/logs/flows.jsonl"])
            #expect(numbers.split(separator: "\n").compactMap { Int($0) } == Array(0..<taken))
        }
    }
}
