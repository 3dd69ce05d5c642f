/// SQLite, or the file system under it, refused something.
package struct StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The primary result code, such as `SQLITE_FULL`.
    package var code: Int32
    package var operation: String
    package var message: String

    package init(code: Int32, operation: String, message: String) {
        self.code = code & 0xff
        self.operation = operation
        self.message = message
    }

    /// What is in the file is no database, or no longer one: `SQLITE_CORRUPT`, `SQLITE_NOTADB`.
    package var isDamage: Bool { code == 11 || code == 26 }
    /// The question took too long: `SQLITE_INTERRUPT`.
    package var isInterruption: Bool { code == 9 }

    package var description: String { "cannot \(operation): \(message)" }
}
