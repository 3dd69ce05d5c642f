extension Timestamp {
    /// Reads RFC 3339 in UTC as `rfc3339(fractionDigits:)` writes it: `2026-11-20T14:03:02.500Z`, the fraction of 1...9
    /// digits or left out. Nil for anything else.
    package init?(rfc3339 text: some StringProtocol) {
        let bytes = Array(text.utf8.prefix(31))
        guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z"), bytes.count == text.utf8.count else { return nil }
        for (index, character) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] as [(Int, Unicode.Scalar)] {
            guard bytes[index] == UInt8(ascii: character) else { return nil }
        }
        guard let year = Self.number(bytes[..<4]), let month = Self.number(bytes[5..<7]),
            let day = Self.number(bytes[8..<10]), let hour = Self.number(bytes[11..<13]), hour < 24,
            let minute = Self.number(bytes[14..<16]), minute < 60, let second = Self.number(bytes[17..<19]),
            second < 60,
            let date = CivilDate(year: year, month: month, day: day), year <= 2553
        else { return nil }
        var nanoseconds = 0
        if bytes.count > 20 {
            let fraction = bytes[20..<(bytes.count - 1)]
            guard bytes[19] == UInt8(ascii: "."), (1...9).contains(fraction.count), let value = Self.number(fraction)
            else { return nil }
            nanoseconds = (fraction.count..<9).reduce(value) { value, _ in value * 10 }
        }
        let seconds = ((date.daysSince1970 * 24 + hour) * 60 + minute) * 60 + second
        self.init(nanoseconds: UInt64(seconds) * 1_000_000_000 + UInt64(nanoseconds))
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        var value = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }
}
