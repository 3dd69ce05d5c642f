import Glibc
import JSONText
import SystemServices
import TestSupport

/// `nsgd` as a process, and `nsgctl` to speak with it. Its standard error goes to a file.
final class DaemonUnderTest {
    private let process: Subprocess
    private let folder: String
    private let journalFile: String

    /// - Parameter searchPath: the daemon's PATH; nil for that of the test.
    init(in machine: TestMachine, folder: String, journal: String, searchPath: String?) throws {
        self.folder = folder
        journalFile = journal
        let environment = searchPath.map { ["env", "PATH=\($0)"] } ?? []
        process = try Subprocess(
            ["sh", "-c", "exec \"$@\" 2>\"$0\"", journal] + machine.prefix + environment + [
                Self.program("nsgd"), "--config", "\(folder)/config", "--state", "\(folder)/state", "--logs",
                "\(folder)/logs", "--socket", Self.socket(in: folder),
            ])
    }

    static func socket(in folder: String) -> String { "\(folder)/control.sock" }
    var socket: String { Self.socket(in: folder) }
    var identifier: Int32 { process.identifier }

    /// The build puts programs beside the tests.
    static func program(_ name: String) -> String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = unsafe readlink("/proc/self/exe", &path, path.count)
        let text = String(decoding: path.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (text.lastIndex(of: "/").map { String(text[...$0]) } ?? "") + name
    }

    /// What it wrote to standard error until now.
    var journal: String {
        (try? Files.read(journalFile, limit: 1 << 24)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    var isRunning: Bool { process.isRunning }

    /// As a machine check would: no code of the daemon runs.
    func kill() { process.stop() }

    /// As the service manager does; false where it does not end.
    func stop() -> Bool { process.end() }

    // MARK: nsgctl

    /// Runs `nsgctl` against this daemon.
    func control(_ arguments: String..., offline: Bool = false) throws -> (output: String, status: Int32) {
        try Self.control(arguments + (offline ? [] : ["--socket", socket]))
    }

    static func control(_ arguments: [String]) throws -> (output: String, status: Int32) {
        try Subprocess([program("nsgctl")] + arguments).finish()
    }

    /// Begins a reload and does not wait for it.
    func beginReload() throws -> Subprocess { try Subprocess([Self.program("nsgctl"), "reload", "--socket", socket]) }

    /// Reloads, which must succeed. Gives the outcome.
    @discardableResult
    func reload() throws -> ReloadAnswer {
        let (output, status) = try control("reload", "-o", "json")
        guard status == 0 else { throw CommandFailure(command: ["nsgctl", "reload"], status: status, output: output) }
        let outcome = try JSONValue(parsing: output, dialect: .json)["outcome"] ?? [:]
        return ReloadAnswer(
            result: outcome["result"]?.string ?? "", message: outcome["message"]?.string ?? "",
            notes: outcome["notes"]?.array?.compactMap(\.string) ?? [])
    }

    func status() throws -> JSONValue {
        let (output, status) = try control("status", "-o", "json")
        guard status == 0 else { throw CommandFailure(command: ["nsgctl", "status"], status: status, output: output) }
        return try JSONValue(parsing: output, dialect: .json)
    }
}

struct ReloadAnswer {
    var result: String
    var message: String
    var notes: [String]

    /// The number before a word of the message.
    func count(_ word: String) -> Int? {
        let words = message.split { " ,".contains($0) }
        return words.firstIndex(of: word[...]).flatMap { index in
            index > 0 ? Int(words[index - 1]) ?? (index > 1 ? Int(words[index - 2]) : nil) : nil
        }
    }
}
