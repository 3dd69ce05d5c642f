import NetworkTypes

/// Tuples of a flow log that wait for the end of their interval. What goes into one record is kept together: one
/// subject (whose log it is), one MAC address, one interval, and never more than one hour.
struct PendingTuples<Subject: Hashable & Comparable & Sendable, Rule: Hashable & Sendable>: Sendable {
    struct Key: Hashable, Sendable {
        var subject: Subject
        var macAddress: MACAddress
        /// Seconds since 1970: the interval from `start` up to, not including, `end`.
        var start: UInt64
        var end: UInt64

        var hour: LogHour { LogHour(Timestamp(seconds: start)) }
    }

    struct Record {
        var key: Key
        /// In the order of each rule's first tuple; the tuples in the order of time.
        var rules: [(rule: Rule, tuples: [String])]
        var tupleCount: Int { rules.reduce(0) { $0 + $1.tuples.count } }
    }

    private struct Tuple {
        var time: Timestamp
        var rule: Rule
        var text: String
    }

    private var tuples: [Key: [Tuple]] = [:]
    private(set) var count = 0

    /// `interval` in seconds; 0 is taken as 1. Intervals begin at multiples of it, and anew with each hour.
    mutating func add(
        _ text: String, at time: Timestamp, rule: Rule, subject: Subject, macAddress: MACAddress, interval: UInt64
    ) {
        let interval = max(interval, 1)
        let hour = time.seconds / 3600 * 3600
        let start = hour + (time.seconds - hour) / interval * interval
        let end = interval < 3600 ? min(start + interval, hour + 3600) : hour + 3600
        let key = Key(subject: subject, macAddress: macAddress, start: start, end: end)
        tuples[key, default: []].append(Tuple(time: time, rule: rule, text: text))
        count += 1
    }

    /// Removes what ended at least `settling` seconds before `now`. What would begin later than `now` goes too: then
    /// the clock was set back, and it would wait for long.
    mutating func takeElapsed(at now: Timestamp, settling: UInt64) -> [Record] {
        take { key in
            Timestamp(seconds: key.end).adding(seconds: settling) <= now || Timestamp(seconds: key.start) > now
        }
    }

    mutating func takeAll() -> [Record] { take { _ in true } }

    private mutating func take(where isDue: (Key) -> Bool) -> [Record] {
        let due = tuples.keys.filter(isDue).sorted {
            ($0.start, $0.subject, $0.macAddress.description) < ($1.start, $1.subject, $1.macAddress.description)
        }
        return due.compactMap { key in
            guard let waiting = tuples.removeValue(forKey: key) else { return nil }
            count -= waiting.count
            return Record(key: key, rules: Self.grouped(waiting.sorted { $0.time < $1.time }))
        }
    }

    private static func grouped(_ tuples: [Tuple]) -> [(rule: Rule, tuples: [String])] {
        var places: [Rule: Int] = [:]
        var groups: [(rule: Rule, tuples: [String])] = []
        for tuple in tuples {
            if let place = places[tuple.rule] {
                groups[place].tuples.append(tuple.text)
            } else {
                places[tuple.rule] = groups.count
                groups.append((tuple.rule, [tuple.text]))
            }
        }
        return groups
    }
}
