import Synchronization

/// What sources have handed over and nobody has worked off yet, in order. Deliveries are of many parts each, and are
/// taken a part at a time.
final class Inbox<Delivery: Sendable>: Sendable {
    private struct State {
        var deliveries: [(delivery: Delivery, count: Int)] = []
        /// The first that is there, and how much of it is taken.
        var head = 0
        var taken = 0
        var waiting = 0
        var dropped = 0
        var isWorkedOff = false
    }

    private let state = Mutex(State())
    /// Packets and events, of half a kilobyte or so.
    private static var mostWaiting: Int { 65_536 }

    /// Parts that wait.
    var count: Int { state.withLock { $0.waiting } }

    /// Parts that were dropped since the last call.
    func takeDropped() -> Int {
        state.withLock { state in
            defer { state.dropped = 0 }
            return state.dropped
        }
    }

    /// - Parameter count: parts of the delivery; one without any is taken all the same.
    /// - Parameter isDroppable: where too much waits, count it and forget it.
    /// - Returns: whether somebody has to begin to work it off.
    func put(_ delivery: Delivery, count: Int, isDroppable: Bool) -> Bool {
        state.withLock { state in
            if isDroppable, state.waiting + count > Self.mostWaiting {
                state.dropped += count
                return false
            }
            state.deliveries.append((delivery, count))
            state.waiting += count
            defer { state.isWorkedOff = true }
            return !state.isWorkedOff
        }
    }

    /// The next delivery, and which of its parts are to be worked off now. Nil when all is done: then `put` says when
    /// to begin again.
    func take(atMost limit: Int) -> (delivery: Delivery, parts: Range<Int>)? {
        state.withLock { state in
            guard state.head < state.deliveries.count else {
                state.deliveries = []
                state.head = 0
                state.isWorkedOff = false
                return nil
            }
            let (delivery, count) = state.deliveries[state.head]
            let parts = state.taken..<min(count, state.taken + min(limit, count))
            state.waiting -= parts.count
            state.taken = parts.upperBound
            guard parts.upperBound == count else { return (delivery, parts) }
            state.head += 1
            state.taken = 0
            // So that what is worked off does not stay for long.
            if state.head >= 64 {
                state.deliveries.removeFirst(state.head)
                state.head = 0
            }
            return (delivery, parts)
        }
    }
}
