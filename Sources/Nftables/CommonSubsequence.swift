/// A common subsequence of two arrays: what can stay where one is made of the other. The longest where no element is
/// twice in one of them. Where one is, the first of its kind is taken for the first, the second for the second.
///
/// O(n log n) at any number of differences: what computes the shortest edit script takes O(n d), in memory O(d²), and a
/// chain may have thousands of rules in another order.
package struct CommonSubsequence {
    /// Where the elements are in the old array and in the new one; both ascend.
    package private(set) var places: [(old: Int, new: Int)] = []

    package init<Element: Hashable>(of old: [Element], _ new: [Element]) {
        let most = min(old.count, new.count)
        var leading = 0
        while leading < most, old[leading] == new[leading] { leading += 1 }
        var trailing = 0
        while trailing < most - leading, old[old.count - trailing - 1] == new[new.count - trailing - 1] {
            trailing += 1
        }
        for index in 0..<leading { places.append((index, index)) }
        places += Self.ascending(
            Self.matches(old, leading..<old.count - trailing, new, leading..<new.count - trailing))
        for index in (0..<trailing).reversed() {
            places.append((old.count - index - 1, new.count - index - 1))
        }
    }

    /// Equal elements, each in one pair at most, in the new order.
    private static func matches<Element: Hashable>(
        _ old: [Element], _ oldRange: Range<Int>, _ new: [Element], _ newRange: Range<Int>
    ) -> [(old: Int, new: Int)] {
        if oldRange.isEmpty || newRange.isEmpty { return [] }
        // Last ones first, so that the first one is taken first.
        var unmatched: [Element: [Int]] = [:]
        for index in oldRange.reversed() { unmatched[old[index], default: []].append(index) }
        return newRange.compactMap { index in unmatched[new[index]]?.popLast().map { ($0, index) } }
    }

    /// The longest part of them of which the old places ascend too, by patience sorting.
    private static func ascending(_ matches: [(old: Int, new: Int)]) -> [(old: Int, new: Int)] {
        /// By length, which match ends a sequence of that length at the lowest old place.
        var ends: [Int] = []
        /// Of each match, which one precedes it.
        var previous: [Int?] = []
        for (index, match) in matches.enumerated() {
            var (low, high) = (0, ends.count)
            while low < high {
                let middle = (low + high) / 2
                if matches[ends[middle]].old < match.old { low = middle + 1 } else { high = middle }
            }
            previous.append(low == 0 ? nil : ends[low - 1])
            if low == ends.count { ends.append(index) } else { ends[low] = index }
        }
        var longest: [(old: Int, new: Int)] = []
        var next = ends.last
        while let index = next {
            longest.append(matches[index])
            next = previous[index]
        }
        return longest.reversed()
    }
}
