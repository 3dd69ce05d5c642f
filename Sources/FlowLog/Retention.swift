/// A file of the log folder that retention may remove.
package struct LogFile: Hashable, Sendable {
    /// Relative to the log folder.
    package var path: String
    /// What it takes.
    package var bytes: UInt64
    /// The hour of its last record; of Azure's files the one in the path (`LogHour(path:)`).
    package var hour: LogHour

    package init(path: String, bytes: UInt64, hour: LogHour) {
        self.path = path
        self.bytes = bytes
        self.hour = hour
    }
}

/// How much of the past is kept (F6).
package struct RetentionLimits: Hashable, Sendable {
    /// Nil or 0 keeps for ever, as in Azure's `retentionPolicy`.
    package var days: UInt64?
    /// Nil: no limit. The files of the current hour count, but stay.
    package var bytes: UInt64?

    package init(days: UInt64? = nil, bytes: UInt64? = nil) {
        self.days = days
        self.bytes = bytes
    }

    /// Which files to remove, oldest first: all that are older than `days`, then as many as bring the rest down to
    /// `bytes`. Files of the current hour and of a later one (the clock was set back) stay. O(n log n).
    package func expired(among files: [LogFile], now: LogHour) -> [LogFile] {
        var kept = files.reduce(0) { saturatingSum($0, $1.bytes) }
        return files.filter { $0.hour < now }
            .sorted { ($0.hour, $0.path) < ($1.hour, $1.path) }
            .prefix { file in  // oldest first, so what is too old stands before what is too much
                guard isTooOld(file, now: now) || bytes.map({ kept > $0 }) ?? false else { return false }
                kept -= min(kept, file.bytes)
                return true
            }
    }

    private func isTooOld(_ file: LogFile, now: LogHour) -> Bool {
        guard let days, days > 0 else { return false }
        // A file's last record may be almost an hour younger than the hour it is named for, so it is that old one hour
        // later.
        return (now.hoursSince1970 - file.hour.hoursSince1970 - 1) / 24 >= days
    }
}

private func saturatingSum(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (sum, isTooLarge) = left.addingReportingOverflow(right)
    return isTooLarge ? .max : sum
}
