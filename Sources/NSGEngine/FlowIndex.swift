/// Where in a table of rows the row with a hash is: open addressing with linear probing, in 256 parts that grow one by
/// one, so that no insertion moves more than a few thousand entries.
struct FlowIndex: Sendable {
    /// The low half of the hash above the number of the row.
    private typealias Entry = UInt64
    private static let vacant = Entry.max

    private struct Part: Sendable {
        /// As many as a power of two, or none.
        var entries: [Entry] = []
        var count = 0
    }

    private var parts = [Part](repeating: Part(), count: 256)
    private static let smallest = 16

    private static func part(_ hash: UInt64) -> Int { Int(hash >> 56) }
    private static func tag(_ hash: UInt64) -> UInt64 { hash & 0xffff_ffff }

    /// The first row of this hash for which `matches` is true.
    func find(_ hash: UInt64, _ matches: (UInt32) -> Bool) -> UInt32? {
        let entries = parts[Self.part(hash)].entries
        guard !entries.isEmpty else { return nil }
        let mask = entries.count - 1
        var place = Int(Self.tag(hash)) & mask
        while true {
            let entry = entries[place]
            if entry == Self.vacant { return nil }
            if entry >> 32 == Self.tag(hash) {
                let row = UInt32(truncatingIfNeeded: entry)
                if matches(row) { return row }
            }
            place = (place + 1) & mask
        }
    }

    /// - Parameter row: not in the index yet, and below `UInt32.max`.
    mutating func insert(_ row: UInt32, _ hash: UInt64) {
        let part = Self.part(hash)
        if parts[part].entries.count * 3 < (parts[part].count + 1) * 4 { grow(part) }
        parts[part].count += 1
        Self.put(Self.tag(hash) << 32 | UInt64(row), into: &parts[part].entries)
    }

    private mutating func grow(_ part: Int) {
        let old = parts[part].entries
        var entries = [Entry](repeating: Self.vacant, count: max(Self.smallest, 2 * old.count))
        for entry in old where entry != Self.vacant { Self.put(entry, into: &entries) }
        parts[part].entries = entries
    }

    private static func put(_ entry: Entry, into entries: inout [Entry]) {
        let mask = entries.count - 1
        var place = Int(entry >> 32) & mask
        while entries[place] != vacant { place = (place + 1) & mask }
        entries[place] = entry
    }

    /// - Parameter row: in the index.
    mutating func remove(_ row: UInt32, _ hash: UInt64) {
        let part = Self.part(hash)
        parts[part].count -= 1
        guard parts[part].count > 0 else { return parts[part].entries = [] }
        let mask = parts[part].entries.count - 1
        var hole = Int(Self.tag(hash)) & mask
        while parts[part].entries[hole] != Self.tag(hash) << 32 | UInt64(row) { hole = (hole + 1) & mask }
        // What stands behind moves up, so that no search ends early and nothing is left of what was removed.
        var place = hole
        while true {
            place = (place + 1) & mask
            let entry = parts[part].entries[place]
            if entry == Self.vacant { break }
            let home = Int(entry >> 32) & mask
            guard (place - home) & mask >= (place - hole) & mask else { continue }
            parts[part].entries[hole] = entry
            hole = place
        }
        parts[part].entries[hole] = Self.vacant
    }
}
