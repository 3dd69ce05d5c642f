import FlowLog
import SystemServices

/// `--since`: how long ago, or from when on.
enum Since {
    /// `90s`, `30m`, `1h`, `2d`, `1w`, or RFC 3339.
    static func moment(_ text: String, now: Timestamp) throws(CommandFailure) -> Timestamp {
        if let moment = Timestamp(rfc3339: text) { return moment }
        let units: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        let digits = text.dropLast()
        guard let unit = text.last.flatMap({ units[$0] }), (1...6).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = UInt64(digits)
        else {
            throw usage("--since \(text): write 30m, 1h, 2d, or a time such as 2026-11-20T14:03:02Z")
        }
        return Timestamp(seconds: now.seconds - min(count * unit, now.seconds))
    }

    static var now: Timestamp { Timestamp(nanoseconds: Clock.sinceEpoch) }
}

extension Context {
    /// A number of rows; nil where none is given.
    func limit(upTo most: Int) throws(CommandFailure) -> Int? {
        guard let text = arguments.value("--limit") else { return nil }
        guard let limit = Int(text), (1...most).contains(limit) else {
            throw usage("--limit \(text): a number from 1 to \(most)")
        }
        return limit
    }
}
