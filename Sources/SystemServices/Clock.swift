internal import Glibc

/// The system's clocks, in nanoseconds.
package enum Clock {
    /// Since 1970 (`CLOCK_REALTIME`); may be set back.
    package static var sinceEpoch: UInt64 { read(CLOCK_REALTIME) }

    /// Since some moment before the start (`CLOCK_MONOTONIC`); never goes back.
    package static var monotonic: UInt64 { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
    }
}
