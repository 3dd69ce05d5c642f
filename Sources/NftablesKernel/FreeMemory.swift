internal import Glibc

/// What memory the kernel may take for us: what is free on the machine, and what the control group has left, as a table
/// is charged to whoever makes it.
enum FreeMemory {
    /// Bytes; nil where nothing can be read.
    static var bytes: Int? {
        let machine = text(of: "/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
            .flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") }.map { $0 * 1024 }
        return [machine, group].compactMap(\.self).min()
    }

    /// Of a group of version 2 with a limit.
    private static var group: Int? {
        guard let line = text(of: "/proc/self/cgroup").split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
        else { return nil }
        let folder = "/sys/fs/cgroup" + line.dropFirst(3)
        func number(_ name: String) -> Int? {
            text(of: "\(folder)/\(name)").split(separator: "\n").first.flatMap { Int($0) }
        }
        guard let limit = number("memory.max"), let current = number("memory.current") else { return nil }
        return max(limit - current, 0)
    }

    /// The first 8 KiB of a file; nothing where it cannot be read.
    private static func text(of path: String) -> String {
        guard let file = unsafe fopen(path, "re") else { return "" }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 8192)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
