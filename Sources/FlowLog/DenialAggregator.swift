import NSGModel

/// Folds the packets of a refused flow: each retransmission of a refused packet is a first packet again (F4, KERNEL
/// 13).
///
/// The first packet of a 5-tuple at an interface passes at once as `denied`; those of the `window` after it are
/// counted, and become one record `deniedAgain` at its end. The sum of `repeats` is the number of refused packets.
package struct DenialAggregator: Sendable {
    /// A 5-tuple at an interface, whichever rule refuses it.
    private struct Key: Hashable, Sendable {
        var side: LoggedSide
        var flow: FlowTuple

        init(_ record: FlowRecord) {
            side = record.side
            flow = record.flow
        }

        static func == (left: Self, right: Self) -> Bool {
            left.flow == right.flow
                && (left.side === right.side
                    || left.side.facts.interface.device == right.side.facts.interface.device
                        && left.side.facts.direction == right.side.facts.direction)
        }

        func hash(into hasher: inout Hasher) { hasher.combine(flow) }
    }

    private struct Entry: Sendable {
        var side: LoggedSide
        var began: Timestamp
        var repeats: Int
        var lastSeen: Timestamp
        /// Tells the entry from an earlier one of the same key in `order`.
        var serial: UInt64
    }

    /// Seconds.
    private let window: UInt64
    private let capacity: Int
    private var entries: [Key: Entry] = [:]
    /// Keys in the order in which their windows began, from `head` on; the serial of a closed entry fits none.
    private var order: [(key: Key, serial: UInt64)] = []
    private var head = 0
    private var nextSerial: UInt64 = 0

    /// Remembers at most `capacity` 5-tuples of about 150 bytes; beyond that the oldest windows end early.
    package init(window: UInt64 = 60, capacity: Int = 65_536) {
        self.window = window
        self.capacity = max(capacity, 1)
    }

    /// How many windows are open.
    package var count: Int { entries.count }

    /// Adds the packets that are counted and in no record yet. O(open windows).
    package func addWaiting(to tally: inout DecisionTally) {
        for entry in entries.values where entry.repeats > 0 {
            tally.add(entry.side, isDenied: true, UInt64(entry.repeats))
        }
    }

    /// Appends the records to write now; in the usual case one for the first packet of a 5-tuple and none for the next.
    /// Records of other changes than `denied` pass through. Amortised O(1).
    package mutating func add(_ record: FlowRecord, to due: inout [FlowRecord]) {
        guard case .denied = record.change else {
            due.append(record)
            return
        }
        let key = Key(record)
        // One look-up for a packet of a window that goes on.
        if let index = entries.index(forKey: key) {
            if entries.values[index].side == record.side, !isOver(entries.values[index], at: record.time) {
                entries.values[index].repeats += 1
                if record.time > entries.values[index].lastSeen { entries.values[index].lastSeen = record.time }
                return
            }
            // Over, or refused by another rule since a reload: that is another record.
            if let closed = close(key) { due.append(closed) }
        }
        while entries.count >= capacity { due += closeOldest() }
        entries[key] = Entry(
            side: record.side, began: record.time, repeats: 0, lastSeen: record.time, serial: nextSerial)
        order.append((key, nextSerial))
        nextSerial += 1
        compactOrder()
        due.append(record)
    }

    /// Ends the windows that are over at `now`.
    package mutating func tick(now: Timestamp) -> [FlowRecord] {
        var due: [FlowRecord] = []
        while head < order.count {
            if let entry = entries[order[head].key], entry.serial == order[head].serial, !isOver(entry, at: now) {
                break
            }
            due += closeOldest()
        }
        compactOrder()
        return due
    }

    /// Ends every window: at the end of the daemon.
    package mutating func flush() -> [FlowRecord] {
        var due: [FlowRecord] = []
        while head < order.count { due += closeOldest() }
        compactOrder()
        return due
    }

    /// Also where the clock was set back by more than a window, or the entry would stay for long.
    private func isOver(_ entry: Entry, at now: Timestamp) -> Bool {
        now >= entry.began.adding(seconds: window) || now.adding(seconds: window) < entry.began
    }

    private mutating func close(_ key: Key) -> FlowRecord? {
        guard let entry = entries.removeValue(forKey: key), entry.repeats > 0 else { return nil }
        return FlowRecord(
            time: entry.lastSeen, side: entry.side, flow: key.flow, change: .deniedAgain(entry.repeats))
    }

    /// Takes one place off `order`. Nothing if its entry is closed, or saw no further packet.
    private mutating func closeOldest() -> [FlowRecord] {
        guard head < order.count else { return [] }
        let (key, serial) = order[head]
        head += 1
        guard entries[key]?.serial == serial else { return [] }
        return close(key).map { [$0] } ?? []
    }

    /// Keeps `order` within twice the entries that are open, and some.
    private mutating func compactOrder() {
        guard order.count > 2 * entries.count + 64 else { return }
        order = order[head...].filter { entries[$0.key]?.serial == $0.serial }
        head = 0
    }
}
