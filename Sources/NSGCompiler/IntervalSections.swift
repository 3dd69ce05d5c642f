import NetworkTypes

/// Sets of intervals laid over one another: in each section of the values the same sets hold. O(n log n).
struct IntervalSections {
    /// Ascending and disjoint, with the number of the group of sets that hold there; where none does there is none.
    private(set) var intervals: [(values: ClosedRange<UInt128>, group: Int)] = []
    /// By group, the sets' indexes, ascending.
    private(set) var members: [[Int]] = []

    /// Where a set begins to hold, or has ended.
    private struct Event {
        var value: UInt128
        var index: Int
        var begins: Bool
    }

    init(of sets: [(index: Int, values: IntervalSet<UInt128>)]) {
        var events: [Event] = []
        for (index, values) in sets {
            for range in values.ranges {
                events.append(Event(value: range.lowerBound, index: index, begins: true))
                if range.upperBound < .max {
                    events.append(Event(value: range.upperBound + 1, index: index, begins: false))
                }
            }
        }
        events.sort { $0.value < $1.value }
        var active: [Int] = []
        var numbers: [[Int]: Int] = [:]
        for (position, event) in events.enumerated() {
            let place = active.count(below: event.index)
            if event.begins { active.insert(event.index, at: place) } else { active.remove(at: place) }
            let next = position + 1 < events.count ? events[position + 1].value : nil
            if next == event.value || active.isEmpty { continue }
            let group = numbers[active] ?? members.count
            if group == members.count {
                numbers[active] = group
                members.append(active)
            }
            intervals.append((event.value...(next.map { $0 - 1 } ?? .max), group))
        }
    }
}

/// Where the intervals that clauses ask for in one dimension begin, and where they have ended.
struct IntervalBounds {
    /// Ascending.
    private var bounds: [UInt128] = []

    init(of clauses: [Clause], _ dimension: Dimension, _ table: ConditionTable) {
        for clause in clauses {
            guard let values = table.values(clause[dimension]) else { continue }
            for range in values.ranges {
                bounds.append(range.lowerBound)
                if range.upperBound < .max { bounds.append(range.upperBound + 1) }
            }
        }
        bounds.sort()
        var count = 0
        for bound in bounds where count == 0 || bounds[count - 1] != bound {
            bounds[count] = bound
            count += 1
        }
        bounds.removeLast(bounds.count - count)
    }

    /// Whether a set spans more than so many bounds for each interval of its own.
    func isWide(_ values: IntervalSet<UInt128>, _ widest: Int) -> Bool {
        var spanned = 0
        for range in values.ranges {
            spanned += bounds.count(below: range.upperBound) - bounds.count(below: range.lowerBound)
        }
        return spanned > widest * values.ranges.count
    }
}

extension Array where Element: Comparable {
    /// Of ascending values, how many are less. O(log n).
    func count(below value: Element) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
