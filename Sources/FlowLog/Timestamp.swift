/// A moment as nanoseconds since 1970-01-01T00:00:00Z, without leap seconds (POSIX time). Reaches into the year 2554,
/// so a year always has four digits.
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let nanoseconds: UInt64

    /// After every other.
    package static let distantFuture = Timestamp(nanoseconds: .max)

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// A count beyond the range gives the last moment of the range.
    package init(milliseconds: UInt64) { self.init(milliseconds, of: 1_000_000) }
    package init(seconds: UInt64) { self.init(seconds, of: 1_000_000_000) }

    private init(_ count: UInt64, of unit: UInt64) {
        let (product, isTooLarge) = count.multipliedReportingOverflow(by: unit)
        nanoseconds = isTooLarge ? .max : product
    }

    /// Whole milliseconds and seconds; what is left over is cut off.
    package var milliseconds: UInt64 { nanoseconds / 1_000_000 }
    package var seconds: UInt64 { nanoseconds / 1_000_000_000 }

    /// The moment so many seconds later, at most the last of the range.
    package func adding(seconds: UInt64) -> Timestamp {
        let (sum, isTooLarge) = nanoseconds.addingReportingOverflow(Timestamp(seconds: seconds).nanoseconds)
        return Timestamp(nanoseconds: isTooLarge ? .max : sum)
    }

    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    /// RFC 3339 in UTC with `digits` (1...9) digits after the second; further digits are cut off, never rounded up into
    /// the next second.
    package func rfc3339(fractionDigits digits: Int) -> String {
        let date = CivilDate(daysSince1970: Int(seconds / 86_400))
        let second = seconds % 86_400
        let nanosecond = decimal(nanoseconds % 1_000_000_000, digits: 9).prefix(digits)
        return date.description + "T" + decimal(second / 3600, digits: 2) + ":" + decimal(second / 60 % 60, digits: 2)
            + ":"
            + decimal(second % 60, digits: 2) + "." + nanosecond + "Z"
    }

    /// With milliseconds, as in `flows.jsonl`.
    package var description: String { rfc3339(fractionDigits: 3) }
}

/// A day of the Gregorian calendar, also before its introduction.
package struct CivilDate: Hashable, Sendable, CustomStringConvertible {
    package let year: Int
    /// 1...12.
    package let month: Int
    /// 1...31.
    package let day: Int

    // Both ways count from 0000-03-01 in eras of 400 years, 146,097 days each, so that a leap day is the last day of
    // its year. Source: Howard Hinnant, "chrono-compatible low-level date algorithms", for days that are not negative.

    /// `days` is not negative and below 10^9.
    package init(daysSince1970 days: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    }

    /// Nil where there is no such day, and outside of the years 1970...9999.
    package init?(year: Int, month: Int, day: Int) {
        guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day) else { return nil }
        let days = Self.daysSince1970(year, month, day)
        let date = CivilDate(daysSince1970: days)
        guard date.month == month, date.day == day else { return nil }  // 30 February comes back as March
        self = date
    }

    package var daysSince1970: Int { Self.daysSince1970(year, month, day) }

    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// `2026-11-20`.
    package var description: String {
        decimal(UInt64(year), digits: 4) + "-" + decimal(UInt64(month), digits: 2) + "-"
            + decimal(UInt64(day), digits: 2)
    }
}

/// The number with leading zeros up to `digits`.
func decimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value)
    return text.utf8.count < digits ? String(repeating: "0", count: digits - text.utf8.count) + text : text
}
