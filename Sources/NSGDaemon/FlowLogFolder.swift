import CShims
import FlowLog
import Glibc
import NSGEngine
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
    /// Of the open file of lines.
    private(set) var lineFile: LineFile?

    struct LineFile: Hashable, Sendable {
        var device: UInt64
        var inode: UInt64
        /// Bytes.
        var length: UInt64

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
            length = UInt64(max(status.st_size, 0))
        }

        func isSame(as other: LineFile) -> Bool { device == other.device && inode == other.inode }
    }

    /// Nothing is touched yet: a folder that cannot be made must not keep rules from being enforced (F5).
    init(_ path: String) { self.path = path }

    deinit { if lines >= 0 { close(lines) } }

    private static let linesName = "flows.jsonl"
    private var linesPath: String { "\(path)/\(Self.linesName)" }

    // MARK: JSON Lines

    /// Appends with one `write`, which other writers do not cut (`O_APPEND`). Returns how many bytes it took: fewer
    /// than all as a disk gets full; the rest has to follow.
    mutating func append(lines bytes: ArraySlice<UInt8>) throws(KernelError) -> Int {
        try openLines()
        let written = unsafe bytes.withUnsafeBytes { unsafe write(lines, $0.baseAddress, $0.count) }
        guard written > 0 else {
            throw KernelError(
                errno: written < 0 ? errno : ENOSPC, doing: "append \(bytes.count) bytes to \(linesPath)")
        }
        lineFile?.length += UInt64(written)
        return written
    }

    /// Opens the file again where another has taken its place.
    mutating func openLines() throws(KernelError) {
        var status = stat()
        if lines >= 0, let known = lineFile, unsafe stat(linesPath, &status) == 0, LineFile(status).isSame(as: known) {
            lineFile = LineFile(status)
            return
        }
        if lines >= 0 { close(lines) }
        lineFile = nil
        lines = -1
        try Files.createFolder(path, mode: 0o750)
        lines = unsafe open(linesPath, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard lines >= 0, unsafe fstat(lines, &status) == 0 else {
            throw KernelError(errno: errno, doing: "open \(linesPath)")
        }
        var file = LineFile(status)
        file.length += try endTornLine(length: file.length)
        lineFile = file
    }

    /// A line that a sudden end cut short is ended, so that the next one stands by itself. Returns how many bytes that
    /// took.
    private func endTornLine(length: UInt64) throws(KernelError) -> UInt64 {
        guard length > 0, try Self.read(lines, at: length - 1, count: 1, linesPath) != [UInt8(ascii: "\n")] else {
            return 0
        }
        guard unsafe "\n".withCString({ unsafe write(lines, $0, 1) }) == 1 else {
            throw KernelError(errno: errno, doing: "end the last line of \(linesPath)")
        }
        return 1
    }

    /// Gives the file of lines another name, by the time, where it has grown beyond `limit` bytes; retention removes it
    /// some day. True if the next line goes to a new file.
    mutating func rotateLines(beyond limit: UInt64, now: Timestamp) -> Bool {
        guard lines >= 0, let length = lineFile?.length, length > limit else { return false }
        let time = now.description.map { $0 == ":" || $0 == "." ? "-" : $0 }
        guard unsafe rename(linesPath, "\(path)/flows.\(String(time)).jsonl") == 0 else { return false }
        close(lines)
        lines = -1
        lineFile = nil
        return true
    }

    /// The files of lines, the present one and those that were given other names, by whoever it was.
    private var lineFiles: [(name: String, status: stat)] {
        let names = ((try? Files.list(path, suffix: "")) ?? []).filter { $0.hasPrefix("flows.") }
        return names.compactMap { name in
            var status = stat()
            guard unsafe lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
            return (name, status)
        }
    }

    /// Opens a file of lines, whatever its name is by now, to read it. Nil where it is gone.
    func reading(lineFile wanted: (device: UInt64, inode: UInt64)) -> LineFileReader? {
        let found = lineFiles.first { (UInt64($0.status.st_dev), UInt64($0.status.st_ino)) == wanted }
        return found.flatMap { LineFileReader("\(path)/\($0.name)") }
    }

    /// The present file of lines; nil where there is none.
    func presentLineFile() -> LineFile? {
        var status = stat()
        return unsafe lstat(linesPath, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? LineFile(status) : nil
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
        try Self.reserve(UInt64(block.record.count) + 8, at: length, descriptor, file)
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

    /// Where blocks will stand that are appended in this order.
    func places(of blocks: [LogBlock]) -> [LogCheckpoint.FlushUnderWay.Block] {
        var lengths: [String: UInt64] = [:]
        return blocks.map { block in
            let length = lengths[block.path] ?? self.length(of: block.path)
            lengths[block.path] = BlockFile.length(appending: block.record.count, to: length)
            return LogCheckpoint.FlushUnderWay.Block(path: block.path, length: length)
        }
    }

    /// Of a file below the folder; 0 where there is none.
    func length(of file: String) -> UInt64 {
        var status = stat()
        return unsafe stat("\(path)/\(file)", &status) == 0 ? UInt64(max(status.st_size, 0)) : 0
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

    /// Removes the oldest files beyond the limits (F6): of all files, and of those that `own` has limits of their own
    /// for, by how their paths below the folder begin.
    mutating func expire(_ limits: RetentionLimits, own: [String: RetentionLimits], now: LogHour) {
        let files = Self.files(below: path).compactMap { file -> LogFile? in
            var status = stat()
            guard let hour = LogHour(path: file), unsafe stat(file, &status) == 0 else { return nil }
            return LogFile(path: file, bytes: UInt64(max(status.st_size, 0)), hour: hour)
        }
        let past = lineFiles.filter { $0.name != Self.linesName }.map { name, status in
            LogFile(
                path: "\(path)/\(name)", bytes: UInt64(max(status.st_size, 0)),
                hour: LogHour(Timestamp(seconds: UInt64(max(status.st_mtim.tv_sec, 0)))))
        }
        var expired = limits.expired(among: files + past, now: now)
        // Lines are bounded without any limit too: whoever knocks at every port fills no disk.
        expired += RetentionLimits(bytes: Self.mostPastLines).expired(among: past, now: .distantFuture)
        for (start, limits) in own {
            expired += limits.expired(among: files.filter { $0.path.hasPrefix("\(path)/\(start)") }, now: now)
        }
        for file in expired {
            unsafe unlink(file.path)
            sound.remove(file.path)
        }
    }

    /// Bytes of the files of lines but the present one.
    private static let mostPastLines: UInt64 = 4 << 30

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

    /// Has the disk promise room for a block, so that a full one refuses it before a byte is written and no reader
    /// meets a torn file. File systems that make no promises are taken at their word later.
    private static func reserve(
        _ count: UInt64, at offset: UInt64, _ descriptor: Int32, _ file: String
    ) throws(KernelError) {
        let refusal = nsgd_reserve(descriptor, Int64(clamping: offset), Int64(clamping: count))
        guard refusal == ENOSPC || refusal == EDQUOT || refusal == EFBIG else { return }
        throw KernelError(errno: refusal, doing: "write \(count) bytes to \(file)")
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
