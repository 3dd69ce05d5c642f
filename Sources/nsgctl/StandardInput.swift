import Glibc

enum StandardInput {
    /// Everything until its end.
    static func read() -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe Glibc.read(STDIN_FILENO, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return bytes }
            bytes += piece.prefix(count)
        }
    }
}

enum ResourceName {
    /// The name at the end of a resource id.
    static func last(of id: String) -> String { id.split(separator: "/").last.map(String.init) ?? id }
}
