/// How long after a swap what it replaced is taken out: packets that were on their way are there for microseconds,
/// but whatever carries one may be held up in the middle. The kernel is asked for these as well
/// (`RulesetStore.waitForPackets`), so this is what keeps the sweep out of the way of a reload that follows, and all
/// there is where it cannot be asked.
package enum PacketGrace {
    /// Nanoseconds.
    package static let duration: UInt64 = 150_000_000

    /// Holds the calling thread until `duration` after a time.
    /// - Parameter start: in terms of `Clock.monotonic`.
    package static func wait(since start: UInt64 = Clock.monotonic) {
        let elapsed = Clock.monotonic - start
        if elapsed < duration { Clock.sleep(nanoseconds: duration - elapsed) }
    }
}
