internal import Glibc

/// The system's clocks, in nanoseconds.
package enum Clock {
    /// Since 1970 (`CLOCK_REALTIME`); may be set back.
    package static var sinceEpoch: UInt64 { read(CLOCK_REALTIME) }

    /// Since some moment before the start (`CLOCK_MONOTONIC`); never goes back.
    package static var monotonic: UInt64 { read(CLOCK_MONOTONIC) }

    /// Holds the calling thread; a signal does not shorten it.
    package static func sleep(nanoseconds: UInt64) {
        var rest = timespec(
            tv_sec: Int(clamping: nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        var remaining = timespec()
        while unsafe nanosleep(&rest, &remaining) != 0, errno == EINTR { rest = remaining }
    }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
    }
}
