internal import Glibc
package import NetworkTypes

/// Files read whole and replaced whole. Each error names the path.
package enum Files {
    /// Reads a regular file of at most `limit` bytes.
    package static func read(_ path: String, limit: Int) throws(KernelError) -> [UInt8] {
        let operation = "read \(path)"
        // O_NONBLOCK: opening a pipe that nobody writes must not hang.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw KernelError(errno: errno, doing: operation) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw KernelError(errno: errno, doing: operation) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw KernelError(errno: EINVAL, doing: operation, object: "it is not a regular file")
        }
        // One more than the size, so that its end is seen at once.
        var bytes = try read(
            descriptor, upTo: min(max(Int(clamping: status.st_size), 4095), limit) + 1, doing: operation)
        while true {
            let more = try read(descriptor, upTo: 1 << 16, doing: operation)
            if more.isEmpty && bytes.count <= limit { return bytes }
            // Counted as it is read: a file may grow, and some of the kernel's state no size.
            guard bytes.count + more.count <= limit else {
                throw KernelError(errno: EFBIG, doing: operation, object: "it is longer than \(limit) bytes")
            }
            bytes += more
        }
    }

    /// At most `most` bytes; fewer only at the end of the file.
    private static func read(_ descriptor: Int32, upTo most: Int, doing operation: String) throws(KernelError)
        -> [UInt8]
    {
        var failure: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: most) { buffer, count in
            while count < most {
                let free = unsafe UnsafeMutableBufferPointer(rebasing: buffer[count...])
                let taken = unsafe Glibc.read(descriptor, free.baseAddress, free.count)
                if taken < 0, errno == EINTR { continue }
                if taken < 0 { failure = errno }
                guard taken > 0 else { return }
                count += taken
            }
        }
        guard failure == 0 else { throw KernelError(errno: failure, doing: operation) }
        return bytes
    }

    /// Names of the entries that end in `suffix`, in the order of their bytes, without hidden ones.
    package static func list(_ folder: String, suffix: String = ".json") throws(KernelError) -> [String] {
        guard let stream = unsafe opendir(folder) else {
            throw KernelError(errno: errno, doing: "list folder \(folder)")
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(stream) else {
                guard errno == 0 else { throw KernelError(errno: errno, doing: "list folder \(folder)") }
                break
            }
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(suffix), !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// Replaces a file in one step: whoever opens it sees the old content or the new, also after a crash.
    package static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o640) throws(KernelError) {
        let operation = "write \(path)"
        let temporary = "\(path).\(getpid()).new"
        do throws(KernelError) {
            try store(bytes, in: temporary, flags: O_CREAT | O_TRUNC, mode: mode, doing: operation)
            guard unsafe Glibc.rename(temporary, path) == 0 else { throw KernelError(errno: errno, doing: operation) }
        } catch {
            unsafe unlink(temporary)
            throw error
        }
        try synchronize(folder(of: path), doing: operation)
    }

    /// Replaces a file in one step for everybody to read, whatever the process's mask. It is not made to last: after a
    /// crash of the machine it may be the old one, or none. The name that it has before ends in `.new`.
    package static func publish(_ path: String, _ bytes: [UInt8]) throws(KernelError) {
        let operation = "write \(path)"
        let temporary = "\(path).\(getpid()).new"
        let descriptor = unsafe open(
            temporary, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_CREAT | O_TRUNC, mode_t(0o644))
        guard descriptor >= 0 else { throw KernelError(errno: errno, doing: operation) }
        do throws(KernelError) {
            defer { close(descriptor) }
            try write(bytes, to: descriptor, doing: operation)
            guard fchmod(descriptor, 0o644) == 0, unsafe Glibc.rename(temporary, path) == 0 else {
                throw KernelError(errno: errno, doing: operation)
            }
        } catch {
            unsafe unlink(temporary)
            throw error
        }
    }

    /// Writes a file that nobody opens before another names it: its name lasts when another of the folder is replaced.
    package static func write(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o640) throws(KernelError) {
        try store(bytes, in: path, flags: O_CREAT | O_TRUNC, mode: mode, doing: "write \(path)")
    }

    /// Adds to the end of a file that is there; on disk when it returns. After an error the file may end in a part.
    package static func append(_ bytes: [UInt8], to path: String) throws(KernelError) {
        try store(bytes, in: path, flags: O_APPEND, mode: 0, doing: "write \(path)")
    }

    private static func store(
        _ bytes: [UInt8], in path: String, flags: Int32, mode: UInt32, doing operation: String
    ) throws(KernelError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, mode_t(mode))
        guard descriptor >= 0 else { throw KernelError(errno: errno, doing: operation) }
        do throws(KernelError) {
            try write(bytes, to: descriptor, doing: operation)
            guard fdatasync(descriptor) == 0 else { throw KernelError(errno: errno, doing: operation) }
        } catch {
            close(descriptor)
            throw error
        }
        // Some file systems report a failed write only here.
        guard close(descriptor) == 0 else { throw KernelError(errno: errno, doing: operation) }
    }

    /// Gives a file another name in the same folder in one step, and makes that last; a file that had the name is
    /// replaced.
    package static func rename(_ path: String, to new: String) throws(KernelError) {
        let operation = "rename \(path) to \(new)"
        guard unsafe Glibc.rename(path, new) == 0 else { throw KernelError(errno: errno, doing: operation) }
        try synchronize(folder(of: new), doing: operation)
    }

    /// Takes a lock that lasts until the process ends, and makes its file. `EAGAIN` where another process has it.
    package static func lock(_ path: String) throws(KernelError) {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw KernelError(errno: errno, doing: "open \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let failure = errno
            close(descriptor)
            throw KernelError(
                errno: failure, doing: "lock \(path)", explanation: "another nsgd uses this state folder")
        }
    }

    /// Removes a file; one that is not there is no error.
    package static func remove(_ path: String) throws(KernelError) {
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw KernelError(errno: errno, doing: "remove \(path)")
        }
    }

    /// Creates a folder, and those above it, with `mode`; one that exists is left as it is.
    package static func createFolder(_ path: String, mode: UInt32 = 0o750) throws(KernelError) {
        let operation = "create folder \(path)"
        if unsafe mkdir(path, mode_t(mode)) == 0 { return }
        var failure = errno
        if failure == ENOENT, folder(of: path) != path {
            try createFolder(folder(of: path), mode: mode)
            if unsafe mkdir(path, mode_t(mode)) == 0 { return }
            failure = errno
        }
        var status = stat()
        if failure == EEXIST, unsafe stat(path, &status) == 0 {
            if status.st_mode & S_IFMT == S_IFDIR { return }
            failure = ENOTDIR
        }
        throw KernelError(errno: failure, doing: operation)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, doing operation: String) throws(KernelError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw KernelError(errno: count == 0 ? EIO : errno, doing: operation) }
            rest = rest.dropFirst(count)
        }
    }

    /// Makes the folder's entries last.
    private static func synchronize(_ folder: String, doing operation: String) throws(KernelError) {
        let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw KernelError(errno: errno, doing: operation) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw KernelError(errno: errno, doing: operation) }
    }

    private static func folder(of path: String) -> String {
        let trimmed = path.count > 1 && path.hasSuffix("/") ? path.dropLast() : path[...]
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }
}
