internal import Glibc
package import NetworkTypes

/// Reads a file line by line, in pieces.
package struct LineFileReader: ~Copyable {
    private let descriptor: Int32
    private let path: String
    /// A line may be as long as this; a longer one is passed over.
    private static let longestLine = 1 << 20

    package init?(_ path: String) {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    package var length: UInt64 {
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 ? UInt64(max(status.st_size, 0)) : 0
    }

    /// Hands over each line that ends in a newline, without it, and the offset at which it begins. What stands behind
    /// the last newline is no line yet.
    package func forEachLine(from start: UInt64, _ body: (ArraySlice<UInt8>, UInt64) -> Void) throws(KernelError) {
        var rest: [UInt8] = []
        var restStart = start
        var offset = start
        var piece = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = unsafe piece.withUnsafeMutableBytes {
                unsafe pread(descriptor, $0.baseAddress, $0.count, off_t(offset))
            }
            guard count >= 0 else { throw KernelError(errno: errno, doing: "read \(path)") }
            if count == 0 { return }
            offset += UInt64(count)
            rest += piece[..<count]
            var head = 0
            while let end = rest[head...].firstIndex(of: UInt8(ascii: "\n")) {
                body(rest[head..<end], restStart + UInt64(head))
                head = end + 1
            }
            rest.removeFirst(head)
            restStart += UInt64(head)
            if rest.count > Self.longestLine {
                restStart += UInt64(rest.count)
                rest = []
            }
        }
    }
}
