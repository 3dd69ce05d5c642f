/// The texts met last in a document, so that what it repeats (keys, types, words) takes memory and a copy once.
struct RepeatedTexts {
    private struct Entry {
        /// Where the text was met.
        var place: Range<Int>
        var text: String
    }

    /// A text has one place in it, and gives way to the next that has the same.
    private var entries: [Entry] = []
    private static let size = 256
    /// Shorter ones are kept in the string itself, longer ones are seldom the same.
    private static let lengths = 16...96

    /// The text that `place` of `bytes` holds, which is valid UTF-8. One value for one document.
    mutating func text(_ place: Range<Int>, of bytes: [UInt8]) -> String {
        guard Self.lengths.contains(place.count) else { return String(decoding: bytes[place], as: UTF8.self) }
        if entries.isEmpty { entries = Array(repeating: Entry(place: 0..<0, text: ""), count: Self.size) }
        let slot = Self.slot(of: place, in: bytes)
        if Self.isEqual(place, entries[slot].place, in: bytes) { return entries[slot].text }
        let text = String(decoding: bytes[place], as: UTF8.self)
        entries[slot] = Entry(place: place, text: text)
        return text
    }

    private static func slot(of place: Range<Int>, in bytes: [UInt8]) -> Int {
        var mix = UInt32(truncatingIfNeeded: place.count)
        for index in place.suffix(12) { mix = mix &* 31 &+ UInt32(bytes[index]) }
        return Int((mix ^ mix >> 11) % UInt32(size))
    }

    private static func isEqual(_ left: Range<Int>, _ right: Range<Int>, in bytes: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        // Ids differ at their ends.
        var (one, other) = (left.upperBound, right.upperBound)
        while one > left.lowerBound {
            one -= 1
            other -= 1
            if bytes[one] != bytes[other] { return false }
        }
        return true
    }
}
