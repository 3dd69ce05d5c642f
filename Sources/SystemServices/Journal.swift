internal import CSystemd
internal import Glibc
internal import Synchronization

/// The daemon's own log: structured records where standard error is the journal, else one line of text each on standard
/// error.
package final class Journal: Sendable {
    /// As syslog numbers them.
    package enum Level: Int32, Comparable, Sendable {
        case error = 3
        case warning = 4
        case notice = 5
        case info = 6
        case debug = 7

        /// The more serious is the lesser.
        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

        var name: String {
            switch self {
            case .error: "error"
            case .warning: "warning"
            case .notice: "notice"
            case .info: "info"
            case .debug: "debug"
            }
        }
    }

    private let identifier: String
    private let leastSerious: Level
    private let isJournal: Bool
    private let limit: Mutex<RateLimit>

    /// - Parameter identifier: `SYSLOG_IDENTIFIER`, and the start of each line of text.
    package init(_ identifier: String, leastSerious: Level = .info, limit: RateLimit = RateLimit()) {
        self.identifier = identifier
        self.leastSerious = leastSerious
        self.limit = Mutex(limit)
        isJournal = Self.isStandardErrorJournal
    }

    /// - Parameter id: messages with one id share a rate; nil is the text itself.
    /// - Parameter fields: named as `NSGD_RULE`: capitals, digits and `_`, a letter first; others are left out.
    package func log(_ level: Level, _ message: String, id: String? = nil, fields: [(String, String)] = []) {
        guard level <= leastSerious else { return }
        let now = Clock.monotonic
        guard let suppressed = limit.withLock({ $0.admit(id ?? message, at: now) }) else { return }
        let note = suppressed == 0 ? "" : " (\(suppressed) more like this were not logged)"
        if isJournal {
            Self.sendRecord(
                [("MESSAGE", message + note), ("PRIORITY", "\(level.rawValue)"), ("SYSLOG_IDENTIFIER", identifier)]
                    + fields.filter { Self.isFieldName($0.0) })
        } else {
            Self.writeLine(Self.line(identifier, level, message + note, fields))
        }
    }

    /// One line, whatever the message holds: control characters become blanks.
    static func line(_ identifier: String, _ level: Level, _ message: String, _ fields: [(String, String)]) -> String {
        var text = "\(identifier): \(level.name): \(message)"
        for (name, value) in fields where isFieldName(name) { text += " \(name)=\(value)" }
        let scalars = text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }
        return String(String.UnicodeScalarView(scalars)) + "\n"
    }

    static func isFieldName(_ name: String) -> Bool {
        let bytes = name.utf8
        return (1...64).contains(bytes.count) && bytes.first.map { (0x41...0x5a).contains($0) } ?? false
            && bytes.allSatisfy { (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f }
    }

    /// The service manager names the stream it connected as device and inode; a redirected one has others.
    private static var isStandardErrorJournal: Bool {
        guard let stream = unsafe getenv("JOURNAL_STREAM").map({ unsafe String(cString: $0) }) else { return false }
        var status = stat()
        guard unsafe fstat(STDERR_FILENO, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }

    private static func sendRecord(_ fields: [(String, String)]) {
        var bytes: [UInt8] = []
        var ranges: [Range<Int>] = []
        for (name, value) in fields {
            let start = bytes.count
            bytes += Array("\(name)=\(value)".utf8)
            ranges.append(start..<bytes.count)
        }
        unsafe bytes.withUnsafeMutableBytes { buffer in
            let vectors = unsafe ranges.map { range in
                unsafe iovec(iov_base: buffer.baseAddress.map { unsafe $0 + range.lowerBound }, iov_len: range.count)
            }
            _ = unsafe sd_journal_sendv(vectors, CInt(vectors.count))
        }
    }

    private static func writeLine(_ text: String) {
        // In one write, so that lines of several processes do not mix.
        let bytes = Array(text.utf8)
        _ = unsafe write(STDERR_FILENO, bytes, bytes.count)
    }
}

/// How often one message may be repeated: `burst` times in `interval`, counted from the first. The state of at most
/// 1024 messages is kept.
package struct RateLimit: Sendable {
    /// Nanoseconds.
    package var interval: UInt64
    package var burst: Int
    private var windows: [String: Window] = [:]

    private struct Window {
        var start: UInt64
        var admitted: Int
        var suppressed: Int
    }

    package init(burst: Int = 10, interval: UInt64 = 30_000_000_000) {
        self.burst = burst
        self.interval = interval
    }

    /// Nil where the message is one too many; else how many were suppressed before it.
    package mutating func admit(_ id: String, at now: UInt64) -> Int? {
        if var window = windows[id], now &- window.start < interval {
            window.admitted += 1
            let isAdmitted = window.admitted <= burst
            if !isAdmitted { window.suppressed += 1 }
            windows[id] = window
            return isAdmitted ? 0 : nil
        }
        let suppressed = windows[id]?.suppressed ?? 0
        if windows.count >= 1024 {
            windows = windows.filter { now &- $0.value.start < interval }
            if windows.count >= 1024 { windows.removeAll() }
        }
        windows[id] = Window(start: now, admitted: 1, suppressed: 0)
        return suppressed
    }
}
