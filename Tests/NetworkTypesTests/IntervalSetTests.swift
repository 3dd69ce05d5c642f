import NetworkTypes
import TestSupport
import Testing

/// Against sets of single values, over all of `UInt8`.
@Suite struct IntervalSetTests {
    private static func ranges(using random: inout SplitMix64) -> [ClosedRange<UInt8>] {
        (0..<Int.random(in: 0...6, using: &random)).map { _ in
            // Edges of the type more often than chance would.
            let ends = (0..<2).map { _ in
                Int.random(in: 0..<4, using: &random) == 0
                    ? (Bool.random(using: &random) ? UInt8.min : .max) : UInt8.random(in: 0...255, using: &random)
            }
            return min(ends[0], ends[1])...max(ends[0], ends[1])
        }
    }

    private static func members(_ set: IntervalSet<UInt8>) -> Set<UInt8> {
        Set((UInt8.min...UInt8.max).filter(set.contains))
    }

    @Test("union, intersection, complement are those of sets", arguments: UInt64(0)..<256)
    func agreesWithSets(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let (one, other) = (Self.ranges(using: &random), Self.ranges(using: &random))
        let (a, b) = (IntervalSet(one), IntervalSet(other))
        let (x, y) = (Set(one.flatMap { Array($0) }), Set(other.flatMap { Array($0) }))
        let everything = Set(UInt8.min...UInt8.max)
        #expect(Self.members(a) == x)
        #expect(Self.members(a.union(b)) == x.union(y))
        #expect(Self.members(a.intersection(b)) == x.intersection(y))
        #expect(Self.members(a.complement) == everything.subtracting(x))
        #expect(a.complement.complement == a)
        #expect(a.isEmpty == x.isEmpty && a.isAll == (x == everything))
        // Disjoint, ascending, none adjacent: one set has one form.
        for (left, right) in zip(a.ranges, a.ranges.dropFirst()) { #expect(left.upperBound + 1 < right.lowerBound) }
        #expect(IntervalSet(one.reversed()) == a)
    }

    @Test("prefixes cover exactly, and are the fewest", arguments: UInt64(0)..<64)
    func prefixes(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let ranges = (0..<Int.random(in: 1...4, using: &random)).map { _ in
            let first = UInt32.random(in: 0...UInt32.max, using: &random) >> UInt32.random(in: 0...31, using: &random)
            let (end, overflow) = first.addingReportingOverflow(UInt32.random(in: 0...5000, using: &random))
            return first...(overflow ? UInt32.max : end)
        }
        let set = IntervalSet(ranges)
        let prefixes = set.prefixes
        #expect(AddressSet(prefixes).v4 == set)
        #expect(prefixes == prefixes.sorted())
        // No two halves of one larger prefix are left.
        for (left, right) in zip(prefixes, prefixes.dropFirst()) where left.length == right.length {
            #expect(IPPrefix(left.address, length: left.length - 1)?.contains(right.address) == false)
        }
    }

    @Test("the whole of a family is one prefix of length 0")
    func all() {
        #expect(IntervalSet<UInt32>.all.prefixes.map(\.description) == ["0.0.0.0/0"])
        #expect(IntervalSet<UInt128>.all.prefixes.map(\.description) == ["::/0"])
        #expect(IntervalSet<UInt32>.all.complement.isEmpty)
        #expect(
            AddressSet([IPPrefix("0.0.0.0/1"), IPPrefix("128.0.0.0/1"), IPPrefix("::/0")].compactMap(\.self)) == .all)
        #expect(
            IntervalSet<UInt32>(CollectionOfOne(.max ... .max)).prefixes.map(\.description) == ["255.255.255.255/32"])
    }
}
