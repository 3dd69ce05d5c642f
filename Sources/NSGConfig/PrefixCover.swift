import NetworkTypes

/// A list of prefixes, to be asked what lies inside: the widest of them, sorted. They lie apart, so one can contain a
/// prefix only if it is the last that does not begin behind it. Built in O(n log n), asked in O(log n).
struct PrefixCover {
    private var widest: [IPPrefix] = []

    init(_ prefixes: [IPPrefix]) {
        for next in prefixes.sorted() {
            if let last = widest.last, last.overlaps(next) { continue }
            widest.append(next)
        }
    }

    var isEmpty: Bool { widest.isEmpty }

    /// Whether one of the prefixes contains all of another.
    func covers(_ prefix: IPPrefix) -> Bool {
        var (low, high) = (0, widest.count)
        while low < high {
            let middle = (low + high) / 2
            if prefix.address < widest[middle].address { high = middle } else { low = middle + 1 }
        }
        guard low > 0 else { return false }
        return widest[low - 1].length <= prefix.length && widest[low - 1].contains(prefix.address)
    }

    func covers(_ address: IPAddress) -> Bool { covers(IPPrefix(address)) }
}
