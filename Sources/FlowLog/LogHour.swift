/// An hour of UTC: what one file of an Azure flow log holds.
package struct LogHour: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let hoursSince1970: UInt64

    package init(hoursSince1970: UInt64) { self.hoursSince1970 = hoursSince1970 }
    package init(_ time: Timestamp) { hoursSince1970 = time.seconds / 3600 }

    /// Reads the hour back from a path that holds the folders of `description`; nil where they are missing or no hour.
    package init?(path: String) {
        let names = path.split(separator: "/").map(String.init)
        guard let first = names.firstIndex(where: { $0.hasPrefix("y=") }), first + 4 < names.count,
            let year = Self.value(names[first], "y"), let month = Self.value(names[first + 1], "m"),
            let day = Self.value(names[first + 2], "d"), let hour = Self.value(names[first + 3], "h"), hour < 24,
            names[first + 4] == "m=00", let date = CivilDate(year: year, month: month, day: day)
        else { return nil }
        hoursSince1970 = UInt64(date.daysSince1970 * 24 + hour)
    }

    private static func value(_ name: String, _ key: String) -> Int? {
        guard name.hasPrefix(key + "="), name.utf8.dropFirst(2).allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(name.dropFirst(2))
    }

    /// After every other.
    package static let distantFuture = LogHour(hoursSince1970: .max)

    package static func < (left: Self, right: Self) -> Bool { left.hoursSince1970 < right.hoursSince1970 }

    /// Azure's folders: `y=2026/m=11/d=20/h=14/m=00`. The second `m` is the minute, always 00.
    package var description: String {
        let date = CivilDate(daysSince1970: Int(min(hoursSince1970 / 24, 400_000_000)))
        let two = { (value: Int) in decimal(UInt64(value), digits: 2) }
        return "y=\(date.year)/m=\(two(date.month))/d=\(two(date.day))/h=\(two(Int(hoursSince1970 % 24)))/m=00"
    }
}
