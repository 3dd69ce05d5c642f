internal import CShims

/// How long packets that were on their way at a swap may still be in the chains that it replaced.
///
/// A packet is there for microseconds, but whatever carries it may be held up in the middle: a thread by others, a virtual
/// machine's processor by its host, for longer than any time one would like to wait. So the kernel is asked, too.
package enum PacketGrace {
    /// Nanoseconds: enough for nearly all, and all there is where the kernel cannot be asked (`nohz_full`).
    package static let duration: UInt64 = 150_000_000

    /// Holds the calling thread until all have left that were there at a time: some ten milliseconds longer than `duration`
    /// after it.
    /// - Parameter start: in terms of `Clock.monotonic`.
    package static func wait(since start: UInt64 = Clock.monotonic) {
        let elapsed = Clock.monotonic - start
        if elapsed < duration { Clock.sleep(nanoseconds: duration - elapsed) }
        _ = waitForReaders()
    }

    /// For all who read the kernel's rules at the moment. False where the kernel does not do that.
    package static func waitForReaders() -> Bool { nsgd_wait_for_packets() == 0 }
}
