package import JSONText

/// One fault in a document; a load reports all of them (C4).
package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
    /// As the document was named to us: `policy.d/web.json`.
    package var file: String
    /// From 1; 0 where the fault belongs to no line.
    package var line: Int
    package var path: JSONPath
    /// Azure's code where Azure has one, else one of ours: `FaultCode`.
    package var code: String
    package var message: String
    package var remedy: String

    package init(file: String, line: Int, path: JSONPath, code: String, message: String, remedy: String) {
        self.file = file
        self.line = line
        self.path = path
        self.code = code
        self.message = message
        self.remedy = remedy
    }

    /// For the one who opens the files: a document that is there and cannot be read.
    package static func unreadableFile(_ file: String, reason: String) -> Fault {
        Fault(
            file: file, line: 0, path: .root, code: FaultCode.unreadableFile.rawValue, message: reason,
            remedy: "make the file readable to nsgd, or remove it")
    }

    /// One entry of `{"faults": […]}` (C4).
    package var json: JSONValue {
        [
            "file": JSONValue(file), "line": JSONValue(line), "path": JSONValue(path.description),
            "code": JSONValue(code),
            "message": JSONValue(message), "remedy": JSONValue(remedy),
        ]
    }

    /// `FILE: PATH: CODE: what is wrong; what to do`
    package var description: String { Self.line(ofJSON: json) }

    /// The same of a fault that came from the daemon as `json`.
    package static func line(ofJSON fault: JSONValue) -> String {
        let text = { (key: String) in fault[key]?.string ?? "" }
        let message = text("message")
        let sentence = message.hasSuffix(".") ? String(message.dropLast()) : message
        return "\(text("file")): \(text("path")): \(text("code")): \(sentence); \(text("remedy"))"
    }
}

/// Why a set of documents is refused whole.
package struct ConfigurationFaults: Error, Hashable, Sendable, CustomStringConvertible {
    /// Sorted by file, line and path; never empty.
    package let faults: [Fault]

    package init(_ faults: [Fault]) {
        self.faults = faults.sorted { ($0.file, $0.line, $0.path, $0.code) < ($1.file, $1.line, $1.path, $1.code) }
    }

    /// One fault a line.
    package var description: String { faults.map(\.description).joined(separator: "\n") }
}

/// A place in a document that a fault can point at.
struct Place: Hashable, Sendable {
    var file: String
    var line: Int
    var trail: Trail
    var path: JSONPath { trail.path }
}

/// What the passes of one load find: faults refuse the documents, notes do not.
final class Diagnostics {
    private(set) var faults: [Fault] = []
    private(set) var notes: [String] = []

    func report(_ code: FaultCode, at place: Place, _ message: String, remedy: String) {
        faults.append(
            Fault(
                file: place.file, line: place.line, path: place.path, code: code.rawValue, message: message,
                remedy: remedy))
    }

    func note(at place: Place, _ text: String) { notes.append("\(place.file): \(place.path): \(text)") }

    /// How many names misspelt ones have been compared with, at most `mostComparisons` in a load.
    private(set) var comparisons = 0
    static let mostComparisons = 300_000

    /// How often that was refused.
    private(set) var refusedComparisons = 0

    /// Whether a fault may look for what was meant among so many names; if so, they count as compared. The first
    /// faults are worth that; if the thousandth did it too, a load would take time by the square of its size.
    func mayCompare(with candidates: Int) -> Bool {
        guard faults.count < Self.faultsThatCompare, candidates <= Self.mostComparisons - comparisons else {
            refusedComparisons += 1
            return false
        }
        comparisons += candidates
        return true
    }

    private static let faultsThatCompare = 100
}

// What a document gave that is not read again.
extension Diagnostics {
    /// How far a load has come.
    struct Mark {
        fileprivate var faults: Int
        fileprivate var notes: Int
        fileprivate var comparisons: Int
        fileprivate var refusedComparisons: Int
    }

    /// What a part of a load left, which had no fault.
    struct Remarks: Hashable, Sendable {
        fileprivate var notes: [String]
        fileprivate var comparisons: Int
    }

    var mark: Mark {
        Mark(
            faults: faults.count, notes: notes.count, comparisons: comparisons, refusedComparisons: refusedComparisons)
    }

    /// Nil where there was a fault, or would have been but for the bound on comparisons.
    func remarks(since mark: Mark) -> Remarks? {
        guard faults.count == mark.faults, refusedComparisons == mark.refusedComparisons else { return nil }
        return Remarks(notes: Array(notes[mark.notes...]), comparisons: comparisons - mark.comparisons)
    }

    func isUnmoved(since mark: Mark) -> Bool {
        faults.count == mark.faults && notes.count == mark.notes && comparisons == mark.comparisons
            && refusedComparisons == mark.refusedComparisons
    }

    /// Forgets what has been found since.
    func rewind(to mark: Mark) {
        faults.removeLast(faults.count - mark.faults)
        notes.removeLast(notes.count - mark.notes)
        comparisons = mark.comparisons
        refusedComparisons = mark.refusedComparisons
    }

    /// Leaves what reading the same again would leave. False, and nothing is left, where that would differ by now.
    func repeated(_ remarks: Remarks) -> Bool {
        guard faults.count < Self.faultsThatCompare, remarks.comparisons <= Self.mostComparisons - comparisons else {
            return false
        }
        notes += remarks.notes
        comparisons += remarks.comparisons
        return true
    }
}
