import FlowLog
import Glibc
import NetworkTypes
import SystemServices

/// The folder of flow logs: one stream of JSON Lines, and Azure's files by resource, hour and MAC address (F3).
///
/// Nothing here stops enforcement: what cannot be written is counted and reported, and the next write is tried as if
/// nothing had been (F5). Files are opened for each write, so a folder that was rotated or removed is made anew.
struct FlowLogFolder: ~Copyable {
    private let path: String
    /// Files that this run has found whole or repaired.
    private var sound: Set<String> = []
    private var lines: Int32 = -1
    private var linesIdentity: (device: UInt64, inode: UInt64)?

    /// Nothing is touched yet: a folder that cannot be made must not keep rules from being enforced (F5).
    init(_ path: String) { self.path = path }

    deinit { if lines >= 0 { close(lines) } }

    private var linesPath: String { "\(path)/flows.jsonl" }

    // MARK: JSON Lines

    /// Appends whole lines with one `write`, which other writers do not cut (`O_APPEND`).
    mutating func append(lines bytes: [UInt8]) throws(KernelError) {
        try openLines()
        let written = unsafe bytes.withUnsafeBytes { unsafe write(lines, $0.baseAddress, $0.count) }
        if written != bytes.count {
            let number = written < 0 ? errno : ENOSPC
            // Opened anew, its torn end is found.
            close(lines)
            lines = -1
            throw KernelError(errno: number, doing: "append \(bytes.count) bytes to \(linesPath)")
        }
    }

    /// Opens the file again where another has taken its place.
    private mutating func openLines() throws(KernelError) {
        var status = stat()
        if lines >= 0, let known = linesIdentity, unsafe stat(linesPath, &status) == 0,
            known == (UInt64(status.st_dev), UInt64(status.st_ino))
        {
            return
        }
        if lines >= 0 { close(lines) }
        lines = -1
        try Files.createFolder(path, mode: 0o750)
        lines = unsafe open(linesPath, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard lines >= 0, unsafe fstat(lines, &status) == 0 else {
            throw KernelError(errno: errno, doing: "open \(linesPath)")
        }
        linesIdentity = (UInt64(status.st_dev), UInt64(status.st_ino))
        try endTornLine(length: UInt64(max(status.st_size, 0)))
    }

    /// A line that a full disk or a sudden end cut short is ended, so that the next one stands by itself.
    private func endTornLine(length: UInt64) throws(KernelError) {
        guard length > 0, try Self.read(lines, at: length - 1, count: 1, linesPath) != [UInt8(ascii: "\n")] else {
            return
        }
        guard unsafe "\n".withCString({ unsafe write(lines, $0, 1) }) == 1 else {
            throw KernelError(errno: errno, doing: "end the last line of \(linesPath)")
        }
    }

    /// Moves the lines on to `flows.jsonl.1`, in the place of older ones, where they have grown beyond `limit` bytes: a
    /// disk is not filled by whoever knocks at every port.
    mutating func rotateLines(beyond limit: UInt64) {
        var status = stat()
        guard lines >= 0, unsafe fstat(lines, &status) == 0, UInt64(max(status.st_size, 0)) > limit else { return }
        unsafe rename(linesPath, "\(linesPath).1")
    }

    // MARK: Azure's files

    /// Appends a record to its file by one `pwrite`. False where the file does not end as it was left: the next attempt
    /// repairs it first.
    mutating func append(_ block: LogBlock) throws(KernelError) -> Bool {
        let file = "\(path)/\(block.path)"
        if let slash = file.lastIndex(of: "/") { try Files.createFolder(String(file[..<slash]), mode: 0o750) }
        let descriptor = unsafe open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        if descriptor < 0, errno == ENOENT {
            try Self.create(file, with: block)
            sound.insert(file)
            return true
        }
        guard descriptor >= 0 else { throw KernelError(errno: errno, doing: "open \(file)") }
        defer { close(descriptor) }
        if !sound.contains(file) {
            try Self.repair(descriptor, file)
            sound.insert(file)
        }
        let length = try Self.length(of: descriptor, file)
        let tail = try Self.read(descriptor, at: length - min(length, UInt64(BlockFile.tailLength)), file)
        guard let write = BlockFile.append(block.record, length: length, tail: tail) else {
            sound.remove(file)
            return false
        }
        do throws(KernelError) {
            try Self.perform(write, on: descriptor, file)
            return true
        } catch {
            sound.remove(file)
            throw error
        }
    }

    /// Under another name until its first record is in it: no reader meets a file without a document.
    private static func create(_ file: String, with block: LogBlock) throws(KernelError) {
        guard let first = BlockFile.append(block.record, length: 0, tail: []) else { return }
        let draft = file + ".new"
        let descriptor = unsafe open(draft, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else { throw KernelError(errno: errno, doing: "create \(draft)") }
        defer { close(descriptor) }
        do throws(KernelError) {
            try perform(first, on: descriptor, draft)
            guard unsafe rename(draft, file) == 0 else { throw KernelError(errno: errno, doing: "create \(file)") }
        } catch {
            unsafe unlink(draft)
            throw error
        }
    }

    /// Files of earlier hours are looked at again if they are ever written to.
    mutating func forgetHours(before hour: LogHour) {
        sound = sound.filter { LogHour(path: $0).map { $0 >= hour } ?? false }
    }

    /// Makes every file that a sudden end may have torn a document again: those of this hour and the one before.
    mutating func repairAll(around hour: LogHour) -> [KernelError] {
        var problems: [KernelError] = []
        let hours = [hour, LogHour(hoursSince1970: hour.hoursSince1970 - min(hour.hoursSince1970, 1))]
        for file in Self.files(below: path) where LogHour(path: file).map(hours.contains) ?? false {
            let descriptor = unsafe open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            do throws(KernelError) {
                try Self.repair(descriptor, file)
                sound.insert(file)
            } catch {
                problems.append(error)
            }
        }
        return problems
    }

    /// Removes the oldest files beyond the limits (F6).
    mutating func expire(_ limits: RetentionLimits, now: LogHour) {
        let files = Self.files(below: path).compactMap { file -> LogFile? in
            var status = stat()
            guard let hour = LogHour(path: file), unsafe stat(file, &status) == 0 else { return nil }
            return LogFile(path: file, bytes: UInt64(max(status.st_size, 0)), hour: hour)
        }
        for file in limits.expired(among: files, now: now) {
            unsafe unlink(file.path)
            sound.remove(file.path)
        }
    }

    /// Paths of all `PT1H.json`; folders are followed to the depth of Azure's, links are not.
    private static func files(below path: String, depth: Int = 16) -> [String] {
        guard depth > 0, let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var found: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            if name == "PT1H.json" {
                found.append("\(path)/\(name)")
            } else if unsafe Int32(entry.pointee.d_type) == Int32(DT_DIR) {
                found += files(below: "\(path)/\(name)", depth: depth - 1)
            }
        }
        return found
    }

    private static func repair(_ descriptor: Int32, _ file: String) throws(KernelError) {
        var scanner = BlockFileScanner()
        var offset: UInt64 = 0
        while true {
            let piece = try read(descriptor, at: offset, count: 1 << 16, file)
            if piece.isEmpty { break }
            scanner.scan(piece.span)
            offset += UInt64(piece.count)
        }
        guard case .torn(let repair) = scanner.condition else { return }
        guard ftruncate(descriptor, off_t(repair.length)) == 0 else {
            throw KernelError(errno: errno, doing: "repair \(file)")
        }
        try perform(repair.write, on: descriptor, file)
    }

    private static func perform(_ write: BlockFile.Write, on descriptor: Int32, _ file: String) throws(KernelError) {
        let written = unsafe write.bytes.withUnsafeBytes {
            unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(write.offset))
        }
        guard written == write.bytes.count else {
            throw KernelError(errno: written < 0 ? errno : ENOSPC, doing: "write \(write.bytes.count) bytes to \(file)")
        }
    }

    private static func length(of descriptor: Int32, _ file: String) throws(KernelError) -> UInt64 {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw KernelError(errno: errno, doing: "examine \(file)") }
        return UInt64(max(status.st_size, 0))
    }

    private static func read(
        _ descriptor: Int32, at offset: UInt64, count: Int = BlockFile.tailLength, _ file: String
    ) throws(KernelError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = unsafe bytes.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, count, off_t(offset)) }
        guard got >= 0 else { throw KernelError(errno: errno, doing: "read \(file)") }
        return Array(bytes.prefix(got))
    }
}
