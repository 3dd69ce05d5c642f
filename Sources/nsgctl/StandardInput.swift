import Glibc

enum StandardInput {
    /// Everything until its end, or what comes until there is more than `limit`.
    static func read(limit: Int = .max) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe Glibc.read(STDIN_FILENO, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return bytes }
            bytes += piece.prefix(count)
            if bytes.count > limit { return bytes }
        }
    }
}

enum ResourceName {
    /// The name at the end of a resource id.
    static func last(of id: String) -> String { id.split(separator: "/").last.map(String.init) ?? id }
}
