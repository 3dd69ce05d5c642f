import FlowLog
import Testing

@Suite("Retention (F6)")
struct RetentionTests {
    private static let now: UInt64 = 500_000

    /// A file so many hours old, of so many bytes, named for its age.
    private func file(_ age: UInt64, _ bytes: UInt64) -> LogFile {
        LogFile(path: "\(age)", bytes: bytes, hour: LogHour(hoursSince1970: Self.now - age))
    }

    @Test(
        "removes the oldest first, and never what is being written",
        arguments: [
            (nil, nil, []), (0, nil, []), (1, nil, ["49", "26", "25"]), (2, nil, ["49"]), (.max, nil, []),
            (nil, 1000, []), (nil, 60, []), (nil, 59, ["49"]), (nil, 49, ["49", "26"]),
            (nil, 21, ["49", "26", "25", "24"]),
            (nil, 0, ["49", "26", "25", "24", "1"]), (2, 45, ["49", "26"]), (1, 45, ["49", "26", "25"]),
        ] as [(UInt64?, UInt64?, [String])])
    func removes(days: UInt64?, bytes: UInt64?, expected: [String]) {
        let files = [file(24, 10), file(0, 10), file(49, 10), file(1, 10), file(26, 10), file(25, 10)]
        let expired = RetentionLimits(days: days, bytes: bytes).expired(
            among: files, now: LogHour(hoursSince1970: Self.now))
        #expect(expired.map(\.path) == expected)
    }

    @Test("files of a later hour stay, and sizes do not overflow")
    func oddFiles() {
        let future = LogFile(path: "future", bytes: .max, hour: LogHour(hoursSince1970: Self.now + 5))
        let limits = RetentionLimits(days: 1, bytes: 0)
        #expect(
            limits.expired(among: [future, file(3, .max)], now: LogHour(hoursSince1970: Self.now)).map(\.path) == ["3"])
    }
}
