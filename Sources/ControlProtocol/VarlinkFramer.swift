/// Cuts a stream of bytes into Varlink messages, which end with a NUL. Time is linear in what comes in.
package struct VarlinkFramer: Sendable {
    /// A message is longer than the limit; nothing after it can be understood.
    package struct TooLong: Error, Hashable, Sendable, CustomStringConvertible {
        package var limit: Int
        package init(limit: Int) { self.limit = limit }
        package var description: String { "a message is longer than \(limit) bytes" }
    }

    /// Bytes a message may have, without its NUL.
    package let limit: Int
    private var buffer: [UInt8] = []
    /// Where the message that is being read begins, and up to where it holds no NUL.
    private var start = 0
    private var scanned = 0

    package init(limit: Int = 1 << 20) { self.limit = limit }

    /// How many bytes wait in messages that `next()` has not given yet.
    package var count: Int { buffer.count - start }

    package mutating func append(_ bytes: some Sequence<UInt8>) {
        if start > 0, start >= buffer.count / 2 {
            buffer.removeSubrange(..<start)
            scanned -= start
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole message without its NUL; nil until more bytes come.
    package mutating func next() throws(TooLong) -> [UInt8]? {
        while scanned < buffer.count, buffer[scanned] != 0 { scanned += 1 }
        guard scanned - start <= limit else { throw TooLong(limit: limit) }
        guard scanned < buffer.count else { return nil }
        let message = Array(buffer[start..<scanned])
        scanned += 1
        start = scanned
        if start == buffer.count {
            // A message of megabytes is not kept for as long as its client stays.
            buffer = []
            (start, scanned) = (0, 0)
        }
        return message
    }
}
