internal import CSQLite

/// An owned prepared statement. Parameters count from 1, columns from 0. Wraps `sqlite3_stmt`.
@safe struct Statement: ~Copyable {
    private let handle: OpaquePointer
    /// Borrowed for its messages; SQLite keeps a connection as long as its statements.
    private let database: OpaquePointer
    private let path: String

    init(_ handle: OpaquePointer, of database: OpaquePointer, path: String) {
        unsafe self.handle = handle
        unsafe self.database = database
        self.path = path
    }

    deinit { unsafe sqlite3_finalize(handle) }

    mutating func bind(_ index: Int32, _ number: Int64) { unsafe sqlite3_bind_int64(handle, index, number) }

    mutating func bind(_ index: Int32, _ number: UInt64) { bind(index, Int64(clamping: number)) }

    mutating func bind(_ index: Int32, _ text: String) {
        var text = text
        text.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                _ = unsafe nsgd_sqlite_bind_text(
                    handle, index, characters.baseAddress, Int32(clamping: characters.count))
            }
        }
    }

    /// Goes to the next row; false at the end, from where it can be run again with other parameters.
    mutating func next() throws(StoreError) -> Bool {
        let code = unsafe sqlite3_step(handle)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            unsafe sqlite3_reset(handle)
            return false
        default:
            let message = unsafe String(cString: sqlite3_errmsg(database))
            unsafe sqlite3_reset(handle)
            throw StoreError(code: code, operation: "use \(path)", message: message)
        }
    }

    /// Runs a statement without results.
    mutating func run() throws(StoreError) { while try next() {} }

    /// Ends before the last row.
    mutating func reset() { unsafe sqlite3_reset(handle) }

    func number(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }
    func count(_ column: Int32) -> UInt64 { UInt64(clamping: number(column)) }
    func text(_ column: Int32) -> String {
        guard let bytes = unsafe sqlite3_column_text(handle, column) else { return "" }
        let length = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: length), as: UTF8.self)
    }
}
