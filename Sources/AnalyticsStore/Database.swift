internal import CSQLite
internal import CShims
internal import Glibc

/// An owned connection to a database, closed when the value dies; used from one queue. Wraps `sqlite3`.
@safe struct Database: ~Copyable {
    private let handle: OpaquePointer
    private let path: String

    enum Mode {
        case readWrite
        case readOnly
    }

    /// Opens a file; to write, it is made where there is none, and only its owner and group may read it.
    init(_ path: String, _ mode: Mode) throws(StoreError) {
        if mode == .readWrite {
            // SQLite would make it readable by everybody, and follow a link. Its journals get the file's own mode.
            let descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o640)
            guard descriptor >= 0 else {
                let reason = unsafe String(cString: strerror(errno))
                throw StoreError(code: SQLITE_CANTOPEN, operation: "open \(path)", message: reason)
            }
            close(descriptor)
        }
        var opened: OpaquePointer?
        let flags = mode == .readWrite ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY
        let code = unsafe sqlite3_open_v2(path, &opened, flags | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK, let opened = unsafe opened else {
            let message = unsafe opened.map { unsafe String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            unsafe sqlite3_close_v2(opened)
            throw StoreError(code: code, operation: "open \(path)", message: message)
        }
        unsafe handle = opened
        self.path = path
        unsafe sqlite3_busy_timeout(handle, Self.patience)
    }

    /// Statements that are alive keep it open until they die.
    deinit { unsafe sqlite3_close_v2(handle) }

    /// Milliseconds to wait for another program that has locked the database.
    private static let patience: Int32 = 2_000

    func prepare(_ text: String) throws(StoreError) -> Statement {
        var statement: OpaquePointer?
        let code = unsafe sqlite3_prepare_v2(handle, text, -1, &statement, nil)
        guard code == SQLITE_OK, let statement = unsafe statement else { throw failure(code, "ask \(path)") }
        return unsafe Statement(statement, of: handle, path: path)
    }

    /// Runs statements without results, one after the other.
    func run(_ text: String, doing operation: String? = nil) throws(StoreError) {
        let code = unsafe sqlite3_exec(handle, text, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code, operation ?? "write \(path)") }
    }

    /// The first value of the first row.
    func number(_ text: String) throws(StoreError) -> Int64 {
        var statement = try prepare(text)
        return try statement.next() ? statement.number(0) : 0
    }

    /// All of `work`, or nothing of it.
    func transaction(_ work: () throws(StoreError) -> Void) throws(StoreError) {
        try run("BEGIN IMMEDIATE")
        do throws(StoreError) {
            try work()
            try run("COMMIT")
        } catch {
            rollBack()
            throw error
        }
    }

    /// A full disk may have done it already; then this does nothing.
    func rollBack() { _ = unsafe sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }

    /// The row of the last insertion.
    var lastRow: Int64 { unsafe sqlite3_last_insert_rowid(handle) }

    /// Runs questions that together may take so long, or end with `SQLITE_INTERRUPT`.
    func limited<Result>(
        nanoseconds: UInt64, _ work: () throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        let deadline = Deadline(moment: nsgd_clock_monotonic() &+ nanoseconds)
        // Asked every ten thousand steps of SQLite's machine, less than a millisecond.
        unsafe sqlite3_progress_handler(
            handle, 10_000, { unsafe Deadline.isOver($0) }, Unmanaged.passUnretained(deadline).toOpaque())
        defer {
            unsafe sqlite3_progress_handler(handle, 0, nil, nil)
            withExtendedLifetime(deadline) {}
        }
        return try work()
    }

    private func failure(_ code: Int32, _ operation: String) -> StoreError {
        StoreError(code: code, operation: operation, message: unsafe String(cString: sqlite3_errmsg(handle)))
    }
}

/// When questions have taken too long.
private final class Deadline {
    private let moment: UInt64

    init(moment: UInt64) { self.moment = moment }

    static func isOver(_ context: UnsafeMutableRawPointer?) -> Int32 {
        guard let context = unsafe context else { return 0 }
        let deadline = unsafe Unmanaged<Deadline>.fromOpaque(context).takeUnretainedValue()
        return nsgd_clock_monotonic() > deadline.moment ? 1 : 0
    }
}
