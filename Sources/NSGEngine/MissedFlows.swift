import FlowLog

/// Connections that a dump did not have, in the order of the dumps, until an event tells of their end or it is overdue.
/// One that has ended meanwhile, or was found again, stays here; the number beside it in the table tells.
struct MissedFlows: Sendable {
    struct Missed {
        var slot: FlowTable.Slot
        /// As `add` gave it.
        var number: UInt16
        var time: Timestamp
    }

    private struct Batch {
        var slots: [FlowTable.Slot]
        var number: UInt16
        var time: Timestamp
    }

    private var batches: [Batch] = []
    private var lastNumber: UInt16 = 0

    /// - Returns: what stands for this dump in the table; never 0.
    mutating func add(_ slots: [FlowTable.Slot], at time: Timestamp) -> UInt16 {
        lastNumber = lastNumber == .max ? 1 : lastNumber + 1
        batches.append(Batch(slots: slots, number: lastNumber, time: time))
        return lastNumber
    }

    /// Takes one out that has been missed for so many nanoseconds.
    mutating func take(at now: Timestamp, patience: UInt64) -> Missed? {
        while isAnyDue(at: now, patience: patience) {
            if let slot = batches[0].slots.popLast() {
                return Missed(slot: slot, number: batches[0].number, time: batches[0].time)
            }
            batches.removeFirst()
        }
        return nil
    }

    func isAnyDue(at now: Timestamp, patience: UInt64) -> Bool {
        !batches.isEmpty && batches[0].time.nanoseconds + patience <= now.nanoseconds
    }
}
