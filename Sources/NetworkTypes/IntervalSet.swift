/// A set of integers as disjoint closed ranges in ascending order, with no two of them adjacent.
package struct IntervalSet<Bound: FixedWidthInteger & UnsignedInteger & Sendable>: Hashable, Sendable {
    package private(set) var ranges: [ClosedRange<Bound>]

    package init() { ranges = [] }

    /// The union of `ranges`, in any order, overlapping or not. O(n log n).
    package init(_ ranges: some Sequence<ClosedRange<Bound>>) {
        // In place: policies have tens of thousands of small sets, and an array that grows keeps room for more.
        var merged = ranges.sorted { $0.lowerBound < $1.lowerBound }
        var last = 0
        for index in merged.indices.dropFirst() {
            let (before, range) = (merged[last], merged[index])
            if range.lowerBound <= before.upperBound || range.lowerBound == before.upperBound + 1 {
                merged[last] = before.lowerBound...max(before.upperBound, range.upperBound)
            } else {
                last += 1
                merged[last] = range
            }
        }
        if last + 1 < merged.count { merged.removeLast(merged.count - last - 1) }
        self.ranges = merged
    }

    /// - Parameter ranges: as `ranges` has them: ascending, with a gap between any two.
    package init(ascending ranges: [ClosedRange<Bound>]) {
        assert(
            zip(ranges, ranges.dropFirst()).allSatisfy {
                $0.upperBound < $1.lowerBound && $0.upperBound + 1 < $1.lowerBound
            })
        self.ranges = ranges
    }

    /// Every value of the type.
    package static var all: Self { Self(CollectionOfOne(Bound.min...Bound.max)) }

    @inlinable package var isEmpty: Bool { ranges.isEmpty }
    @inlinable package var isAll: Bool {
        guard ranges.count == 1, let first = ranges.first else { return false }
        return first.lowerBound == Bound.min && first.upperBound == Bound.max
    }

    /// O(log n).
    package func contains(_ value: Bound) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(value)
    }

    package func union(_ other: Self) -> Self { Self(ranges + other.ranges) }
}

// Not generic, so that the compiler calls them at full speed.
extension IntervalSet where Bound == UInt128 {
    /// Whether every value of the other set is in this one. O(n + m).
    package func covers(_ other: Self) -> Bool {
        var index = 0
        for range in other.ranges {
            while index < ranges.count, ranges[index].upperBound < range.lowerBound { index += 1 }
            guard index < ranges.count, ranges[index].lowerBound <= range.lowerBound,
                range.upperBound <= ranges[index].upperBound
            else { return false }
        }
        return true
    }

    /// Whether the sets have a value in common. O(n + m).
    package func meets(_ other: Self) -> Bool {
        var (mine, theirs) = (0, 0)
        while mine < ranges.count, theirs < other.ranges.count {
            if ranges[mine].overlaps(other.ranges[theirs]) { return true }
            if ranges[mine].upperBound < other.ranges[theirs].upperBound { mine += 1 } else { theirs += 1 }
        }
        return false
    }
}

/// Addresses of both families.
package struct AddressSet: Hashable, Sendable {
    package var v4: IntervalSet<UInt32>
    package var v6: IntervalSet<UInt128>

    package init(v4: IntervalSet<UInt32> = IntervalSet(), v6: IntervalSet<UInt128> = IntervalSet()) {
        self.v4 = v4
        self.v6 = v6
    }

    package init(_ prefixes: some Sequence<IPPrefix>) {
        var four: [ClosedRange<UInt32>] = []
        var six: [ClosedRange<UInt128>] = []
        for prefix in prefixes {
            switch prefix.address {
            case .v4(let address): four.append(address.value...(address.value | shiftedMax(by: prefix.length)))
            case .v6(let address): six.append(address.value...(address.value | shiftedMax(by: prefix.length)))
            }
        }
        v4 = IntervalSet(four)
        v6 = IntervalSet(six)
    }

    package static var all: Self { Self(v4: .all, v6: .all) }
    package var isEmpty: Bool { v4.isEmpty && v6.isEmpty }

    package func contains(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let address): v4.contains(address.value)
        case .v6(let address): v6.contains(address.value)
        }
    }

    package func union(_ other: Self) -> Self { Self(v4: v4.union(other.v4), v6: v6.union(other.v6)) }

    package func subtracting(_ other: Self) -> Self {
        Self(v4: v4.intersection(other.v4.complement), v6: v6.intersection(other.v6.complement))
    }
}

private func shiftedMax<T: FixedWidthInteger & UnsignedInteger>(by length: Int) -> T { T.max >> length }

extension IntervalSet where Bound == UInt32 {
    /// The same values, in a wider type.
    package var widened: IntervalSet<UInt128> {
        IntervalSet<UInt128>(ascending: ranges.map { UInt128($0.lowerBound)...UInt128($0.upperBound) })
    }

    /// The fewest prefixes that cover the set exactly, in ascending order.
    package var prefixes: [IPPrefix] {
        coveringBlocks().compactMap { IPPrefix(.v4(IPv4Address($0)), length: $1) }
    }
}

extension IntervalSet where Bound == UInt128 {
    /// The fewest prefixes that cover the set exactly, in ascending order.
    package var prefixes: [IPPrefix] {
        coveringBlocks().compactMap { IPPrefix(.v6(IPv6Address($0)), length: $1) }
    }
}

extension IntervalSet {
    /// Aligned blocks of a power of two, as first value and prefix length.
    private func coveringBlocks() -> [(Bound, Int)] {
        var blocks: [(Bound, Int)] = []
        for range in ranges {
            var first = range.lowerBound
            while true {
                // The largest aligned block that starts here and does not pass the end of the range.
                var bits = Swift.min(first.trailingZeroBitCount, Bound.bitWidth)
                while bits > 0, range.upperBound - first < Bound.max >> (Bound.bitWidth - bits) { bits -= 1 }
                blocks.append((first, Bound.bitWidth - bits))
                let last = first | (bits == 0 ? 0 : Bound.max >> (Bound.bitWidth - bits))
                if last >= range.upperBound { break }
                first = last + 1
            }
        }
        return blocks
    }
}

extension IntervalSet {
    /// The values that are not in the set.
    package var complement: Self {
        var gaps: [ClosedRange<Bound>] = []
        var next: Bound? = Bound.min
        for range in ranges {
            if let first = next, first < range.lowerBound { gaps.append(first...(range.lowerBound - 1)) }
            next = range.upperBound == Bound.max ? nil : range.upperBound + 1
        }
        if let first = next { gaps.append(first...Bound.max) }
        return Self(gaps)
    }
}

extension IntervalSet {
    package func intersection(_ other: Self) -> Self { complement.union(other.complement).complement }
}
