import FlowLog
import TestSupport
import Testing

@Suite("Times in UTC")
struct TimestampTests {
    @Test(
        "are written as RFC 3339",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_827_696, "2000-02-29T12:34:56.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"), (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (1_735_689_600, "2025-01-01T00:00:00.000Z"), (1_795_183_382, "2026-11-20T14:03:02.000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z"), (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"), (13_574_563_200, "2400-02-29T00:00:00.000Z"),
            (18_446_744_073, "2554-07-21T23:34:33.000Z"), (UInt64.max, "2554-07-21T23:34:33.709Z"),
        ] as [(UInt64, String)])
    func writesDates(seconds: UInt64, expected: String) {
        #expect(Timestamp(seconds: seconds).description == expected)
    }

    @Test("cut fractions off, and never round into the next second")
    func cutsFractions() {
        let time = Timestamp(nanoseconds: 1_795_183_382_999_999_999)
        #expect(time.rfc3339(fractionDigits: 7) == "2026-11-20T14:03:02.9999999Z")
        #expect(time.description == "2026-11-20T14:03:02.999Z")
        #expect(time.milliseconds == 1_795_183_382_999)
        #expect(Timestamp(nanoseconds: 1_000_100).rfc3339(fractionDigits: 9) == "1970-01-01T00:00:00.001000100Z")
    }

    @Test("dates count days one by one, through every leap year to 2410")
    func datesAreConsecutive() {
        var previous = CivilDate(daysSince1970: 0)
        for days in 1...160_800 {
            let date = CivilDate(daysSince1970: days)
            let isNextDay = date.year == previous.year && date.month == previous.month && date.day == previous.day + 1
            let isNextMonth =
                date.day == 1 && (date.month == previous.month + 1 || (date.month == 1 && previous.month == 12))
            guard isNextDay || (isNextMonth && previous.day >= 28), date.daysSince1970 == days else {
                Issue.record("\(date) after \(previous)")
                return
            }
            previous = date
        }
        #expect(previous.description == "2410-04-04")
    }

    @Test("folders of an hour are read back", arguments: UInt64(0)..<16)
    func hoursRoundTrip(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<64 {
            let hour = LogHour(Timestamp(seconds: random.next() % 18_000_000_000))
            #expect(LogHour(path: "x/resourceId=/A/\(hour)/macAddress=000D3A144D1C/PT1H.json") == hour)
        }
        #expect(LogHour(Timestamp(seconds: 1_795_183_382)).description == "y=2026/m=11/d=20/h=14/m=00")
    }

    @Test(
        "what is no hour is not read",
        arguments: [
            "", "flows.jsonl", "y=2026/m=11/d=20/h=14", "y=2026/m=02/d=30/h=14/m=00", "y=2026/m=13/d=01/h=14/m=00",
            "y=2026/m=11/d=20/h=24/m=00", "y=2026/m=11/d=20/h=-1/m=00", "y=1969/m=11/d=20/h=1/m=00",
            "y=2026/m=11/d=20/h=14/m=01",
            "y=99999999999999999999/m=11/d=20/h=14/m=00", "y=/m=/d=/h=/m=00",
        ])
    func refusesOtherPaths(path: String) { #expect(LogHour(path: path) == nil) }
}
