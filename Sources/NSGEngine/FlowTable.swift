import FlowLog

/// The connections that are followed, in few bytes each (F1): with the totals that records have told of a million of
/// IPv4 take 80 MB, of IPv6 110 MB.
struct FlowTable: Sendable {
    /// Where a connection stands until it is removed.
    struct Slot: Hashable, Sendable {
        /// The row; bit 31 for IPv6.
        fileprivate let number: UInt32
        fileprivate var isIPv6: Bool { number >> 31 == 1 }
        fileprivate var row: UInt32 { number & 0x7fff_ffff }

        fileprivate init(_ row: UInt32, isIPv6: Bool) { number = isIPv6 ? row | 1 << 31 : row }
    }

    private var v4: FlowRows<IPv4FlowKey>
    private var v6: FlowRows<IPv6FlowKey>
    private var ways = WayTable()

    init() {
        var random = SystemRandomNumberGenerator()
        self.init(using: &random)
    }

    init(using random: inout some RandomNumberGenerator) {
        let seed = FlowHashSeed(using: &random)
        v4 = FlowRows(seed: seed)
        v6 = FlowRows(seed: seed)
    }

    var count: Int { v4.count + v6.count }

    /// The labels of all of them. O(different ones).
    var labels: Set<UInt128> { ways.labels }

    // MARK: One of them

    func slot(of key: FlowKey) -> Slot? {
        key.traits.contains(.isIPv6)
            ? v6.find(IPv6FlowKey(key)).map { Slot($0, isIPv6: true) }
            : v4.find(IPv4FlowKey(key)).map { Slot($0, isIPv6: false) }
    }

    /// - Parameter key: not in the table.
    @discardableResult
    mutating func insert(_ key: FlowKey, _ way: FlowWay, dump: UInt8) -> Slot {
        let number = ways.take(way)
        return key.traits.contains(.isIPv6)
            ? Slot(v6.insert(IPv6FlowKey(key), way: number, dump: dump), isIPv6: true)
            : Slot(v4.insert(IPv4FlowKey(key), way: number, dump: dump), isIPv6: false)
    }

    mutating func remove(_ slot: Slot) {
        ways.release(wayNumber(slot))
        if slot.isIPv6 { v6.remove(slot.row) } else { v4.remove(slot.row) }
    }

    /// False once it is removed; then another may be there.
    func isPresent(_ slot: Slot) -> Bool { slot.isIPv6 ? v6.isPresent(slot.row) : v4.isPresent(slot.row) }

    func key(_ slot: Slot) -> FlowKey { slot.isIPv6 ? v6[slot.row].key.key : v4[slot.row].key.key }

    func way(_ slot: Slot) -> FlowWay { ways[wayNumber(slot)] }

    private func wayNumber(_ slot: Slot) -> UInt32 { slot.isIPv6 ? v6[slot.row].way : v4[slot.row].way }

    mutating func setWay(_ way: FlowWay, _ slot: Slot) {
        // The new one first: it may be the same, and held by this connection alone.
        let (old, new) = (wayNumber(slot), ways.take(way))
        ways.release(old)
        if slot.isIPv6 { v6[slot.row].way = new } else { v4[slot.row].way = new }
    }

    // MARK: What is noted of it

    /// See `FlowRows.Row`, also for the following.
    subscript(dump slot: Slot) -> UInt8 {
        get { slot.isIPv6 ? v6[slot.row].dump : v4[slot.row].dump }
        set { if slot.isIPv6 { v6[slot.row].dump = newValue } else { v4[slot.row].dump = newValue } }
    }

    subscript(miss slot: Slot) -> UInt16 {
        get { slot.isIPv6 ? v6[slot.row].miss : v4[slot.row].miss }
        set { if slot.isIPv6 { v6[slot.row].miss = newValue } else { v4[slot.row].miss = newValue } }
    }

    subscript(predecessors slot: Slot) -> UInt8 {
        get { slot.isIPv6 ? v6[slot.row].predecessors : v4[slot.row].predecessors }
        set { if slot.isIPv6 { v6[slot.row].predecessors = newValue } else { v4[slot.row].predecessors = newValue } }
    }

    /// Totals that records have told of; nil where none have.
    subscript(told slot: Slot) -> FlowCounters? {
        get { slot.isIPv6 ? v6.told(slot.row) : v4.told(slot.row) }
        set { if slot.isIPv6 { v6.tell(newValue, slot.row) } else { v4.tell(newValue, slot.row) } }
    }

    // MARK: All of them

    /// Those that a dump did not have. O(all).
    func slots(notIn dump: UInt8) -> [Slot] {
        v4.rows(notIn: dump).map { Slot($0, isIPv6: false) } + v6.rows(notIn: dump).map { Slot($0, isIPv6: true) }
    }

    /// Few bytes that tell a key from others: two of a million keys have the same in one of 37 million tables.
    func fingerprint(_ key: FlowKey) -> UInt64 {
        key.traits.contains(.isIPv6) ? v6.fingerprint(IPv6FlowKey(key)) : v4.fingerprint(IPv4FlowKey(key))
    }
}
