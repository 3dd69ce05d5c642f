internal import CShims

/// The system's clocks, in nanoseconds.
package enum Clock {
    /// Since 1970 (`CLOCK_REALTIME`); may be set back.
    package static var sinceEpoch: UInt64 { nsgd_clock_realtime() }

    /// Since some moment before the start (`CLOCK_MONOTONIC`); never goes back.
    package static var monotonic: UInt64 { nsgd_clock_monotonic() }

    /// Holds the calling thread; a signal does not shorten it.
    package static func sleep(nanoseconds: UInt64) { nsgd_sleep(nanoseconds) }
}
