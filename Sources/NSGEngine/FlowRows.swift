import FlowLog

/// Connections of one address family, by row. Rows stand in segments of fixed size: the table grows by one of them at a
/// time, and gives back those that are empty.
struct FlowRows<Key: CompactKey>: Sendable {
    /// Of IPv4 28 bytes.
    struct Row: Sendable {
        var key: Key
        /// The last dump that had it, or before which it came, by a number that goes round.
        var dump: UInt8
        /// Of `WayTable`; of a vacant row the next one of its segment.
        var way: UInt32
        /// The dump in a row of such that did not have it, by a number that goes round; 0 where all had it.
        var miss: UInt16
        /// Connections of the same key before it, whose ends have yet to come: packets and ends come by different ways.
        var predecessors: UInt8
        fileprivate var state: State

        fileprivate enum State: UInt8 { case vacant, present, told }
    }

    private struct Segment: Sendable {
        /// None of them, or all.
        var rows: [Row] = []
        /// Totals that records have told of; none, or one for each row.
        var totals: [FlowCounters] = []
        var present = 0
        var told = 0
        /// The first vacant row.
        var vacant: UInt32 = 0
        /// It is among `roomy`.
        var isRoomy = false
    }

    private(set) var count = 0
    private var segments: [Segment] = []
    /// Segments with vacant rows, and those without memory.
    private var roomy: [Int] = []
    private var index = FlowIndex()
    private let seed: FlowHashSeed

    static var segmentSize: Int { 8192 }

    init(seed: FlowHashSeed) { self.seed = seed }

    subscript(row: UInt32) -> Row {
        _read { yield segments[Int(row) / Self.segmentSize].rows[Int(row) % Self.segmentSize] }
        _modify { yield &segments[Int(row) / Self.segmentSize].rows[Int(row) % Self.segmentSize] }
    }

    // MARK: Rows

    func find(_ key: Key) -> UInt32? { index.find(key.hash(seed)) { self[$0].key == key } }

    func isPresent(_ row: UInt32) -> Bool {
        let number = Int(row) / Self.segmentSize
        return number < segments.count && !segments[number].rows.isEmpty && self[row].state != .vacant
    }

    /// - Parameter key: not in the table.
    mutating func insert(_ key: Key, way: UInt32, dump: UInt8) -> UInt32 {
        let number = segmentWithRoom()
        let place = Int(segments[number].vacant)
        segments[number].vacant = segments[number].rows[place].way
        segments[number].rows[place] = Row(
            key: key, dump: dump, way: way, miss: 0, predecessors: 0, state: .present)
        segments[number].present += 1
        count += 1
        let row = UInt32(number * Self.segmentSize + place)
        index.insert(row, key.hash(seed))
        return row
    }

    mutating func remove(_ row: UInt32) {
        let (number, place) = (Int(row) / Self.segmentSize, Int(row) % Self.segmentSize)
        index.remove(row, self[row].key.hash(seed))
        if self[row].state == .told { segments[number].told -= 1 }
        self[row] = Row(
            key: .vacant, dump: 0, way: segments[number].vacant, miss: 0, predecessors: 0, state: .vacant)
        segments[number].vacant = UInt32(place)
        segments[number].present -= 1
        count -= 1
        if !segments[number].isRoomy {
            segments[number].isRoomy = true
            roomy.append(number)
        }
        if segments[number].told == 0 { segments[number].totals = [] }
        giveBack(number)
    }

    private mutating func segmentWithRoom() -> Int {
        while let number = roomy.last {
            if segments[number].rows.isEmpty { fill(number) }
            if segments[number].present < Self.segmentSize { return number }
            segments[number].isRoomy = false
            roomy.removeLast()
        }
        segments.append(Segment(isRoomy: true))
        roomy.append(segments.count - 1)
        fill(segments.count - 1)
        return segments.count - 1
    }

    private mutating func fill(_ number: Int) {
        var rows = [Row](
            repeating: Row(key: .vacant, dump: 0, way: 0, miss: 0, predecessors: 0, state: .vacant),
            count: Self.segmentSize)
        for place in rows.indices { rows[place].way = UInt32(place + 1) }
        segments[number].rows = rows
        segments[number].vacant = 0
        filled += 1
    }

    /// Segments with memory.
    private var filled = 0

    /// Where two segments more are free; a few connections that come and go move no memory.
    private mutating func giveBack(_ number: Int) {
        guard segments[number].present == 0, filled * Self.segmentSize - count >= 3 * Self.segmentSize else { return }
        segments[number].rows = []
        filled -= 1
    }

    // MARK: Totals

    func told(_ row: UInt32) -> FlowCounters? {
        guard self[row].state == .told else { return nil }
        return segments[Int(row) / Self.segmentSize].totals[Int(row) % Self.segmentSize]
    }

    mutating func tell(_ totals: FlowCounters?, _ row: UInt32) {
        let number = Int(row) / Self.segmentSize
        let wasTold = self[row].state == .told
        guard let totals else {
            guard wasTold else { return }
            self[row].state = .present
            segments[number].told -= 1
            if segments[number].told == 0 { segments[number].totals = [] }
            return
        }
        if !wasTold {
            self[row].state = .told
            segments[number].told += 1
            if segments[number].totals.isEmpty {
                segments[number].totals = [FlowCounters](repeating: .zero, count: Self.segmentSize)
            }
        }
        segments[number].totals[Int(row) % Self.segmentSize] = totals
    }

    // MARK: All of them

    /// Rows that a dump did not have.
    func rows(notIn dump: UInt8) -> [UInt32] {
        var found: [UInt32] = []
        for (number, segment) in segments.enumerated() where segment.present > 0 {
            for (place, row) in segment.rows.enumerated() where row.dump != dump && row.state != .vacant {
                found.append(UInt32(number * Self.segmentSize + place))
            }
        }
        return found
    }

    func fingerprint(_ key: Key) -> UInt64 { key.hash(seed) }
}
