package import FlowLog

/// Numbers and moments as people read them.
package enum Figures {
    /// `12,345`
    package static func grouped(_ value: UInt64) -> String {
        let digits = Array(String(value))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// `950`, `1.2k`, `34M`: three places at most.
    package static func short(_ value: UInt64) -> String {
        scaled(value, by: 1000, ["", "k", "M", "G", "T", "P", "E"])
    }

    /// `950 B`, `1.2 KiB`
    package static func bytes(_ value: UInt64) -> String {
        scaled(value, by: 1024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
    }

    private static func scaled(_ value: UInt64, by base: UInt64, _ units: [String]) -> String {
        var whole = Double(value)
        var unit = 0
        // What would be rounded up to the next unit is written in it.
        while whole >= Double(base) - (unit == 0 ? 0 : 0.5), unit < units.count - 1 {
            whole /= Double(base)
            unit += 1
        }
        return (unit == 0 ? "\(value)" : decimal(whole, places: whole < 9.95 ? 1 : 0)) + units[unit]
    }

    /// Rounded; without an exponent. `value` is not negative; beyond a billion it is taken for one.
    static func decimal(_ value: Double, places: Int) -> String {
        let value = min(value, 1e9)
        guard places > 0 else { return "\(Int(value.rounded()))" }
        let tenths = Int((value * 10).rounded())
        return tenths.isMultiple(of: 10) ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    /// `1 h 3 min`, `2 d`; to the minute.
    package static func duration(seconds: UInt64) -> String {
        let minutes = (seconds + 30) / 60
        let parts = [(minutes / 1440, "d"), (minutes / 60 % 24, "h"), (minutes % 60, "min")].filter { $0.0 > 0 }
        return parts.isEmpty ? "\(seconds) s" : parts.prefix(2).map { "\($0.0) \($0.1)" }.joined(separator: " ")
    }

    /// `2026-11-20 14:03`, in UTC.
    package static func minute(_ time: Timestamp) -> String {
        let text = time.description
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(5))"
    }

    /// `14:03`, in UTC.
    package static func clock(_ time: Timestamp) -> String { String(time.description.dropFirst(11).prefix(5)) }

    /// `20 Nov`
    static func day(_ time: Timestamp) -> String {
        let date = CivilDate(daysSince1970: Int(clamping: time.seconds / 86_400))
        return "\(date.day) \(months[date.month - 1])"
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Round values from 0 on, four or so, the last at `largest` or above.
    static func ticks(upTo largest: UInt64) -> [UInt64] {
        var step: UInt64 = 1
        while step < 1 << 60, step * 4 < largest { step = nextRound(step) }
        var ticks: [UInt64] = [0]
        while let last = ticks.last, last < max(largest, 1), ticks.count < 8 {
            let (next, isTooLarge) = last.addingReportingOverflow(step)
            ticks.append(isTooLarge ? .max : next)
        }
        return ticks
    }

    /// 1, 2, 5, 10, 20, 50, …
    private static func nextRound(_ step: UInt64) -> UInt64 {
        var power: UInt64 = 1
        while power * 10 <= step { power *= 10 }
        switch step / power {
        case 1: return 2 * power
        case 2: return 5 * power
        default: return 10 * power
        }
    }
}
