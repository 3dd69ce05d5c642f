import JSONText
import NSGCompiler
import NSGEngine
import NetworkTypes
import Synchronization
import SystemServices

/// Where the numbers of rules are kept (E4). What a change adds is appended; the file is written anew when most of its
/// lines have been overtaken by others.
final class NumbersFile: Sendable {
    private let path: String
    /// That of earlier releases, read once.
    private let earlierPath: String
    private let state = Mutex(State())

    private struct State {
        /// Of the file, if more may be appended to it.
        var lineCount: Int?
    }

    init(folder: String) {
        path = "\(folder)/rule-numbers.jsonl"
        earlierPath = "\(folder)/rule-numbers.json"
    }

    /// Nil where there is none, or it cannot be read; then flows of an earlier run are not attributed.
    func read() -> (numbering: RuleNumbering?, problem: String?) {
        do throws(KernelError) {
            guard let content = NumberingFile.content(try Files.read(path, limit: Self.limit)) else {
                return (nil, "\(path) is damaged; flows that are open are attributed anew")
            }
            state.withLock { $0.lineCount = content.isWhole ? content.lineCount : nil }
            let problem =
                "\(path): \(content.damagedLines) lines are damaged; open flows that carry their numbers are attributed anew"
            return (content.numbering, content.damagedLines > 0 ? problem : nil)
        } catch {
            return error.isAbsence ? readEarlier() : (nil, "\(error)")
        }
    }

    private func readEarlier() -> (numbering: RuleNumbering?, problem: String?) {
        do throws(KernelError) {
            let bytes = try Files.read(earlierPath, limit: Self.limit)
            let numbering = (try? JSONValue(parsing: bytes, dialect: .json)).flatMap { NumberingFile.earlierFormat($0) }
            let problem = "\(earlierPath) is damaged; flows that are open are attributed anew"
            return (numbering, numbering == nil ? problem : nil)
        } catch {
            return (nil, error.isAbsence ? nil : "\(error)")
        }
    }

    /// On disk when it returns, whether the machine lives on or not.
    func store(_ numbering: RuleNumbering) throws(KernelError) {
        let lineCount = state.withLock { $0.lineCount }
        // Until it is known to have worked: after an error the end of the file is not.
        state.withLock { $0.lineCount = nil }
        let live = numbering.rules.count
        let present: Int
        if let lineCount, lineCount + numbering.unsaved.count <= 2 * live + Self.spared {
            try Files.append(NumberingFile.addition(numbering), to: path)
            present = lineCount + numbering.unsaved.count
        } else {
            try Files.replace(path, with: NumberingFile.text(numbering))
            try? Files.remove(earlierPath)
            present = live
        }
        state.withLock { $0.lineCount = present }
    }

    private static let limit = 512 << 20
    /// Overtaken lines that are not worth a file written anew.
    private static let spared = 1_000
}
