internal import CSQLite
package import FlowLog
internal import Glibc
internal import NSGModel
internal import NetworkTypes
package import TrafficReport

/// Rows of traffic analytics in a file. Used from one queue.
///
/// Each call may fail, and then has changed nothing. A file that is damaged, or of another version, is put aside
/// (`analytics.db.broken`) and a new one begun.
package struct AnalyticsStore: ~Copyable {
    private let path: String
    private let limits: Limits
    /// Nil while the file cannot be opened.
    private var writer: Writer?
    /// Why a file was put aside; taken by whoever reports it.
    private var damage: String?

    package struct Limits: Hashable, Sendable {
        /// Of the file without its journal. Before it grows beyond, the oldest intervals go.
        package var bytes: UInt64
        /// How long the questions of one summary may take.
        package var nanoseconds: UInt64

        package init(bytes: UInt64 = 512 << 20, nanoseconds: UInt64 = 20_000_000_000) {
            self.bytes = bytes
            self.nanoseconds = nanoseconds
        }
    }

    /// Nothing is touched yet.
    package init(path: String, limits: Limits = Limits()) {
        self.path = path
        self.limits = limits
    }

    /// What was found wrong with the file since the last call.
    package mutating func takeDamage() -> String? {
        defer { damage = nil }
        return damage
    }

    /// Adds the rows to what is there, all of them or none.
    package mutating func add(_ batch: TrafficBatch, atlas: AddressAtlas) throws(StoreError) {
        let limit = limits.bytes
        try onFile { (writer: inout Writer) throws(StoreError) in try writer.add(batch, atlas, limit: limit) }
    }

    /// Removes intervals that began before a moment, at most so many a call. True if there are more.
    package mutating func expire(before moment: Timestamp, atMost limit: Int = 64) throws(StoreError) -> Bool {
        try onFile { (writer: inout Writer) throws(StoreError) in
            try writer.expire(before: moment, atMost: limit)
        }
    }

    /// What the rows say. `rules`, as what the policy and the kernel know about them is not here, are those with rows.
    package mutating func summary(_ query: TrafficQuery, now: Timestamp) throws(StoreError) -> TrafficSummary {
        let (path, limits) = (path, limits)
        return try onFile { (_: inout Writer) throws(StoreError) in
            let reading = TrafficReading(try Database(path, .readOnly), query, now: now)
            return try reading.summary(within: limits.nanoseconds)
        }
    }

    /// Closes the file, so that its journal is written into it.
    package mutating func close() { writer = nil }

    // MARK: The file

    /// Opens the file if need be. Where it turns out to be damaged, it is put aside and `work` done again, once.
    private mutating func onFile<Result>(
        _ work: (inout Writer) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        do throws(StoreError) {
            return try attempt(work)
        } catch {
            guard error.isDamage else { throw error }
            putAside(because: error)
            return try attempt(work)
        }
    }

    private mutating func attempt<Result>(
        _ work: (inout Writer) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        // Where it fails it is opened anew the next time: whatever happened to the file is found then.
        var present = try opened()
        let result = try work(&present)
        writer = consume present
        return result
    }

    private mutating func opened() throws(StoreError) -> Writer {
        if let open = writer.take() { return open }
        return try Writer(path, bytes: limits.bytes)
    }

    private mutating func putAside(because error: StoreError) {
        writer = nil
        // With the journal that belongs to it, or SQLite would apply that to the new file.
        for end in ["", "-wal", "-shm"] {
            if end.isEmpty {
                _ = unsafe rename(path, "\(path).broken")
            } else if unsafe rename(path + end, "\(path).broken\(end)") != 0 {
                unsafe unlink("\(path).broken\(end)")
            }
        }
        damage = "\(path) is put aside as \(path).broken, and a new one begun: \(error.message)"
    }
}
