import NetworkTypes
import Testing

@Suite struct PortRangeTests {
    static let ranges: [(String, ClosedRange<UInt16>, String)] = [
        ("443", 443...443, "443"), ("8000-8010", 8000...8010, "8000-8010"), ("*", 0...65535, "*"),
        ("0-65535", 0...65535, "*"),
        ("22-22", 22...22, "22"), ("0", 0...0, "0"), ("65535", 65535...65535, "65535"), ("00080", 80...80, "80"),
    ]

    @Test("reads", arguments: ranges)
    func reads(text: String, bounds: ClosedRange<UInt16>, printed: String) throws {
        let range = try #require(PortRange(text))
        #expect(range.bounds == bounds)
        #expect(range.description == printed)
        #expect(PortRange(range.description) == range)
        #expect(range.isAny == (bounds == 0...65535))
        #expect(range.contains(bounds.lowerBound) && range.contains(bounds.upperBound))
    }

    @Test(
        "refuses",
        arguments: [
            "", "-", "80-", "-80", "90-80", "65536", "66600", "+80", "80 ", "80,443", "1-2-3", "0x50", "**", "８0",
        ])
    func refuses(text: String) { #expect(PortRange(text) == nil) }
}
