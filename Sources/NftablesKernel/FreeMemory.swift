internal import Glibc

/// What memory the kernel may take for us: what is free on the machine, and what the control groups we are in have
/// left, as a table is charged to whoever makes it. Groups of version 2 alone: limits of version 1 are not read.
enum FreeMemory {
    /// Bytes; nil where nothing can be read.
    static var bytes: Int? {
        let groups = groups(text(of: "/proc/self/cgroup")).map { folder in
            left(limit: text(of: "\(folder)/memory.max"), current: text(of: "\(folder)/memory.current"))
        }
        return ([machine(text(of: "/proc/meminfo"))] + groups).compactMap(\.self).min()
    }

    /// - Parameter text: of /proc/meminfo.
    static func machine(_ text: String) -> Int? {
        text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
            .flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") }
            .flatMap { kibibytes in
                let (bytes, overflows) = kibibytes.multipliedReportingOverflow(by: 1024)
                return overflows ? nil : bytes
            }
    }

    /// The folders of our group and of those above it, each of which may have a limit. What lies above the root that we
    /// see, if we are in a namespace of control groups, cannot be read.
    /// - Parameter text: of /proc/self/cgroup, which has a line for each hierarchy; `0` is version 2.
    static func groups(_ text: String) -> [String] {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return [] }
        let names = line.dropFirst(4).split(separator: "/").drop { $0 == ".." }
        return (0...names.count).reversed().map { count in
            (["/sys/fs/cgroup"] + names.prefix(count)).joined(separator: "/")
        }
    }

    /// Bytes; nil where there is no limit (`max`) or the files cannot be read, as of the root.
    static func left(limit: String, current: String) -> Int? {
        func number(_ text: String) -> Int? { text.split(separator: "\n").first.flatMap { Int($0) } }
        guard let limit = number(limit), let current = number(current) else { return nil }
        return max(limit - max(current, 0), 0)
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
