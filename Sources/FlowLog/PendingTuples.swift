import NSGModel
import NetworkTypes

/// Tuples of a flow log that wait for the end of their interval, as the text they will be. What goes into one record is
/// kept together: one subject (whose log it is), one MAC address, one interval, and never more than one hour.
struct PendingTuples<Subject: Hashable & Comparable & Sendable, Rule: Hashable & Sendable>: Sendable {
    struct Key: Hashable, Sendable {
        var subject: Subject
        var macAddress: MACAddress
        var interval: LogInterval

        var hour: LogHour { LogHour(Timestamp(seconds: interval.start)) }
    }

    struct RuleTuples {
        var rule: Rule
        /// A JSON array of strings, in the order of time.
        var tuples: [UInt8]
        var count: Int
    }

    struct Record {
        var key: Key
        /// In no order.
        var rules: [RuleTuples]
        var tupleCount: Int { rules.reduce(0) { $0 + $1.count } }
    }

    /// The tuples of one rule in one record.
    private struct Bucket {
        var key: Key
        var rule: Rule
        /// `"TUPLE","TUPLE",`
        var text: [UInt8] = []
        /// When each was, in nanoseconds, and where its text ends.
        var tuples: [(time: UInt64, end: Int)] = []

        var ruleTuples: RuleTuples {
            var array: [UInt8] = [UInt8(ascii: "[")]
            array.reserveCapacity(text.count + 1)
            if zip(tuples, tuples.dropFirst()).allSatisfy({ $0.time <= $1.time }) {
                array += text
            } else {
                let starts = [0] + tuples.dropLast().map(\.end)
                for (start, tuple) in zip(starts, tuples).sorted(by: { $0.1.time < $1.1.time }) {
                    array += text[start..<tuple.end]
                }
            }
            array[array.count - 1] = UInt8(ascii: "]")
            return RuleTuples(rule: rule, tuples: array, count: tuples.count)
        }
    }

    private struct Place: Hashable {
        var key: Key
        var rule: Rule
    }

    /// A side, of whose records of one access all go to one bucket as long as its interval lasts.
    private struct SideAccess: Hashable {
        var side: ObjectIdentifier
        var isDenied: Bool

        init(_ record: FlowRecord) {
            side = ObjectIdentifier(record.side)
            isDenied = record.access == .deny
        }
    }

    private var buckets: [Bucket] = []
    private var places: [Place: Int] = [:]
    /// Short cuts to `places`, which hold the side so that its identity stays its own.
    private var sides: [SideAccess: (side: LoggedSide, bucket: Int)] = [:]
    private static var mostSides: Int { 16_384 }
    private(set) var count = 0

    /// Where the tuple of a record goes, if one like it has gone there before: pass it to `add`.
    func place(of record: FlowRecord) -> Int? {
        guard let known = sides[SideAccess(record)], buckets[known.bucket].key.interval.contains(record.time) else {
            return nil
        }
        return known.bucket
    }

    /// The same for the first of its kind. `interval` in seconds.
    mutating func place(of record: FlowRecord, rule: Rule, subject: Subject, interval: UInt64) -> Int {
        let key = Key(
            subject: subject, macAddress: record.interface.macAddress,
            interval: LogInterval(at: record.time, length: interval))
        let bucket: Int
        if let present = places[Place(key: key, rule: rule)] {
            bucket = present
        } else {
            bucket = buckets.count
            buckets.append(Bucket(key: key, rule: rule))
            places[Place(key: key, rule: rule)] = bucket
        }
        if sides.count >= Self.mostSides { sides = [:] }
        sides[SideAccess(record)] = (record.side, bucket)
        return bucket
    }

    func subject(at place: Int) -> Subject { buckets[place].key.subject }

    /// - Parameter write: gives the tuple's text, which needs no escapes.
    mutating func add(at time: Timestamp, to place: Int, write: (inout [UInt8]) -> Void) {
        // Taken out and put back: written to where it lies, the text is copied for each tuple.
        var text: [UInt8] = []
        swap(&text, &buckets[place].text)
        text.append(UInt8(ascii: "\""))
        write(&text)
        text.append(UInt8(ascii: "\""))
        text.append(UInt8(ascii: ","))
        let end = text.count
        swap(&text, &buckets[place].text)
        buckets[place].tuples.append((time.nanoseconds, end))
        count += 1
    }

    /// Where records go is to be found out anew.
    mutating func forgetPlaces() { sides = [:] }

    /// Removes what is due.
    mutating func takeElapsed(at now: Timestamp, settling: UInt64) -> [Record] {
        take { $0.interval.isElapsed(at: now, settling: settling) }
    }

    mutating func takeAll() -> [Record] { take { _ in true } }

    private mutating func take(where isDue: (Key) -> Bool) -> [Record] {
        guard buckets.contains(where: { isDue($0.key) }) else { return [] }
        let taken = buckets.filter { isDue($0.key) }
        buckets.removeAll { isDue($0.key) }
        sides = [:]
        places = [:]
        for (index, bucket) in buckets.enumerated() { places[Place(key: bucket.key, rule: bucket.rule)] = index }
        count -= taken.reduce(0) { $0 + $1.tuples.count }
        return Dictionary(grouping: taken, by: \.key).sorted {
            ($0.key.interval.start, $0.key.subject, $0.key.macAddress.description)
                < ($1.key.interval.start, $1.key.subject, $1.key.macAddress.description)
        }.map { key, buckets in
            Record(key: key, rules: buckets.map(\.ruleTuples))
        }
    }
}
