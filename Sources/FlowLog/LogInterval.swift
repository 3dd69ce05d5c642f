/// The time that one record of Azure's logs covers: so many seconds from a multiple of them on, and anew with each
/// hour.
package struct LogInterval: Hashable, Sendable {
    /// Seconds since 1970: from `start` up to, not including, `end`.
    package var start: UInt64
    package var end: UInt64

    /// The one that a moment falls into. `length` in seconds; 0 is taken as 1.
    package init(at time: Timestamp, length: UInt64) {
        let length = max(length, 1)
        let hour = time.seconds / 3600 * 3600
        start = hour + (time.seconds - hour) / length * length
        end = length < 3600 ? min(start + length, hour + 3600) : hour + 3600
    }

    package func contains(_ time: Timestamp) -> Bool { start <= time.seconds && time.seconds < end }

    /// Whether its record is due: it ended at least `settling` seconds ago, or would begin later than `now`; then the
    /// clock was set back, and it would wait for long.
    package func isElapsed(at now: Timestamp, settling: UInt64) -> Bool {
        Timestamp(seconds: end).adding(seconds: settling) <= now || Timestamp(seconds: start) > now
    }

    /// Seconds that records are waited for: conntrack and NFLOG deliver a little late.
    package static let settling: UInt64 = 2
}
