internal import Glibc
import NSGConfig
import NetworkTypes

/// Documents as they were when they were read, so that one that nobody has touched since need not be read again: a file
/// of the same number, size and times holds what it held (`st_ino`, `st_size`, `st_mtim`, `st_ctim`).
package struct KnownFiles: Hashable, Sendable {
    private struct Known: Hashable {
        var stamp: FileStamp
        var fingerprint: SourceText.Fingerprint
    }

    private var files: [String: Known] = [:]

    package init() {}

    /// What the file at `path` holds, where that is known without a look.
    func fingerprint(of path: String, _ stamp: FileStamp?) -> SourceText.Fingerprint? {
        guard let stamp, let known = files[path], known.stamp == stamp else { return nil }
        return known.fingerprint
    }

    /// - Parameter stamp: taken before the file was read; nil where it would not tell.
    mutating func note(_ path: String, _ stamp: FileStamp?, _ fingerprint: SourceText.Fingerprint?) {
        files[path] = stamp.flatMap { stamp in fingerprint.map { Known(stamp: stamp, fingerprint: $0) } }
    }
}

/// What changes with every change of a file.
struct FileStamp: Hashable, Sendable {
    private var device: UInt64
    private var number: UInt64
    private var size: Int64
    /// Nanoseconds since 1970.
    private var modified: Int64
    private var changed: Int64

    /// File systems count time in steps, of up to two seconds: a file that was changed just now may be changed again
    /// without a sign of it. Of what is no regular file no time tells either.
    private static let rest: Int64 = 3_000_000_000

    /// Nil where it would not tell.
    /// - Parameter now: nanoseconds since 1970.
    init?(of path: String, at now: UInt64) {
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
        // Also where the clock was set back since.
        guard max(modified, changed) < Int64(clamping: now) - Self.rest else { return nil }
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000).partialValue &+ Int64(time.tv_nsec)
    }
}
