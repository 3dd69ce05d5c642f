/// A value of a document as messages show it: control characters escaped, since messages reach terminals, and cut
/// short.
func shown(_ text: String) -> String {
    let limit = 256
    var result = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
        if index == limit { return result + "…" }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: result += "\\u{\(String(scalar.value, radix: 16))}"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// The candidate that is probably meant by a misspelt word, compared without case. O(candidates × length²), so nil
/// for words longer than any name we know.
func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    nearest(to: word, among: candidates, limit: 1).first
}

/// Those candidates that may be meant, the nearest first.
func nearest(to word: String, among candidates: some Sequence<String>, limit: Int) -> [String] {
    let wanted = Array(word.lowercased().utf8)
    guard (1...80).contains(wanted.count) else { return [] }
    var found: [(distance: Int, candidate: String)] = []
    for candidate in candidates {
        let other = Array(candidate.lowercased().utf8)
        // One slip in a short word, two from eight letters, more only in long ones.
        let allowed = min(3, max(1, min(wanted.count, other.count) / 4))
        guard let distance = editDistance(wanted, other, upTo: allowed) else { continue }
        let place = found.firstIndex { distance < $0.distance } ?? found.count
        guard place < limit else { continue }
        found.insert((distance, candidate), at: place)
        if found.count > limit { found.removeLast() }
    }
    return found.map(\.candidate)
}

/// The number of insertions, deletions, replacements and swaps of neighbours that lead from one to the other; nil if it
/// is above `most`, which most words show after a few letters.
private func editDistance(_ left: [UInt8], _ right: [UInt8], upTo most: Int) -> Int? {
    guard abs(left.count - right.count) <= most else { return nil }
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for row in left.indices {
        var current = [row + 1]
        current.reserveCapacity(right.count + 1)
        for column in right.indices {
            let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
            var distance = min(replaced, last[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                distance = min(distance, beforeLast[column - 1] + 1)
            }
            current.append(distance)
        }
        // What follows builds on these two rows and is no smaller.
        if let best = current.min(), let other = last.min(), min(best, other) > most { return nil }
        beforeLast = last
        last = current
    }
    return last[right.count] <= most ? last[right.count] : nil
}

/// `a, b, c and 4 more`
func enumerated(_ names: some Collection<String>, limit: Int = 5) -> String {
    let head = names.prefix(limit).map { shown($0) }.joined(separator: ", ")
    return names.count > limit ? "\(head) and \(names.count - limit) more" : head
}
