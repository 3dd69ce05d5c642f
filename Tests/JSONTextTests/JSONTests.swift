import JSONText
import TestSupport
import Testing

@Suite("JSON is read as RFC 8259 has it")
struct JSONTests {
    @Test(
        "accepts",
        arguments: [
            ("null", nil), ("true", true), ("false", false), ("0", 0), ("-12", -12), ("\"\"", ""), ("[]", []),
            ("{}", [:]),
            (" \t\r\n[ 1 , \"a\" , [ ] , { } ] ", [1, "a", [], [:]]),
            (#""\"\\\/\b\f\n\r\t\u0000\u20AC\uD834\uDD1E""#, "\"\\/\u{8}\u{c}\n\r\t\0€𝄞"),
            ("\"it's \u{2028}\u{7f}\u{10ffff}\"", "it's \u{2028}\u{7f}\u{10ffff}"),
            ("{\"\": 1, \"a\": {\"a\": 2}}", ["": 1, "a": ["a": 2]]),
            ("\u{feff}1", 1),
        ] as [(String, JSONValue)]
    )
    func accepts(text: String, expected: JSONValue) throws {
        for dialect in [JSONDialect.json, .json5] {
            #expect(try JSONValue(parsing: text, dialect: dialect) == expected)
        }
    }

    @Test(
        "refuses",
        arguments: [
            "", "[1,]", "{\"a\":1,}", "[,1]", "{'a':1}", "{a:1}", "'a'", "+1", ".5", "5.", "1.e1", "0x1", "Infinity",
            "NaN", "-Infinity", "-", "01", "-01", "1e", "[1", "{\"a\"", "{\"a\":", "{\"a\":1", "\"a", "\"\t\"",
            "\"a\nb\"",
            "\"\\v\"", "\"\\'\"", "\"\\x41\"", "\"\\u123\"", "\"\\u123g\"", "\"\\ud800\"", "\"\\udc00\\ud800\"",
            "//a\n1",
            "1/**/", "\u{a0}1", "1\u{c}", "nul", "nulll", "[1 2]", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "1 1", "]", "{]",
            "[}",
            "{\"a\":1,\"a\":1}", "{1:1}", "\u{0}", "tru\u{0}",
        ]
    )
    func refuses(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: text, dialect: .json) }
    }

    @Test(
        "an integer is exact or none",
        arguments: [
            ("3.0", 3), ("3e2", 300), ("0.30e1", 3), ("30e-1", 3), ("3.5", nil), ("35e-2", nil), ("-0", 0),
            ("-0.0e5", 0),
            ("0e99999999999999999999", 0), ("1e99999999999999999999", nil), ("1e-99999999999999999999", nil),
            ("9223372036854775807", .max), ("-9223372036854775808", .min), ("9223372036854775808", nil),
            ("-9223372036854775809", nil), ("922337203685477580.7e1", .max), ("1e18", 1_000_000_000_000_000_000),
            ("1e19", nil), ("1000000000000000000000e-21", 1), ("1.0000000000000000000001", nil), ("1e2147483648", nil),
        ] as [(String, Int?)]
    )
    func exactIntegers(text: String, expected: Int?) throws {
        let value = try JSONValue(parsing: text, dialect: .json)
        #expect(value.int == expected)
        #expect(value.text() == text)
    }

    @Test(
        "refuses what is not UTF-8",
        arguments: [
            ([0x22, 0x0a, 0xc3, 0xa9, 0xff, 0x22], 2, 2), ([0x22, 0xc0, 0x80, 0x22], 1, 2),
            ([0x22, 0xed, 0xa0, 0x80, 0x22], 1, 2), ([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], 1, 2),
            ([0x22, 0xe2, 0x82], 1, 2), ([0xff, 0xfe, 0x31, 0x00], 1, 1),
        ] as [([UInt8], Int, Int)]
    )
    func refusesInvalidUTF8(bytes: [UInt8], line: Int, column: Int) {
        do {
            _ = try JSONValue(parsing: bytes, dialect: .json5)
            Issue.record("accepted")
        } catch {
            #expect(error.position == .init(line: line, column: column))
            #expect(error.message.contains("not valid UTF-8"))
        }
    }

    @Test("nesting ends at the limit, not at the stack", arguments: ["[", "{\"a\":", "[{\"a\":"])
    func nesting(open: String) throws {
        let text = String(repeating: open, count: 1_000_000)
        for limits in [JSONLimits(), JSONLimits(depth: .max)] {
            do {
                _ = try JSONValue(parsing: text, dialect: .json, limits: limits)
                Issue.record("accepted")
            } catch {
                #expect(error.message.contains("nested more than \(limits.depth) deep"))
            }
        }
        let fitting = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try JSONValue(parsing: fitting, dialect: .json).text() == fitting)
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: "[\(fitting)]", dialect: .json) }
    }

    @Test("a duplicate key is found in objects of any size", arguments: [1, 7, 8, 9, 10, 1000])
    func duplicateKeys(count: Int) throws {
        let members = (0..<count).map { "\"k\($0)\":0" }
        #expect(try JSONValue(parsing: "{\(members.joined(separator: ","))}", dialect: .json).object?.count == count)
        for index in [0, count / 2, count - 1] {
            let text = "{" + (members + [members[index]]).joined(separator: ",\n") + "}"
            do {
                _ = try JSONValue(parsing: text, dialect: .json)
                Issue.record("accepted")
            } catch {
                #expect(error.position.line == count + 1)
                #expect(error.message.contains("first at line \(index + 1), column \(index == 0 ? 2 : 1)"))
            }
        }
    }

    static let sample = """
        \u{feff}{ // comment
          unquoted: 'single \\\n quoted', "ä\\u00e9\\ud83d\\ude00": [+1, .5, 5., 0xAF, -Infinity, NaN, 1e-3,],
          /* block */ nested: {a: [[], {}], t: true, f: false, n: null}, 'x\\x41': "\\0\\v",
        }
        """

    @Test("a text cut short at any byte is an error")
    func truncated() throws {
        let bytes = Array(Self.sample.utf8)
        _ = try JSONValue(parsing: bytes, dialect: .json5)
        for length in 0..<bytes.count {
            #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: Array(bytes[..<length]), dialect: .json5) }
        }
    }

    @Test("a text with damaged bytes never traps", arguments: UInt64(0)..<64)
    func damaged(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let original = Array(Self.sample.utf8)
        for _ in 0..<200 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard let value = try? JSONValue(parsing: bytes, dialect: .json5) else { continue }
            #expect((try? JSONValue(parsing: value.bytes(), dialect: .json)) != nil, "seed \(seed)")
            for member in value.object ?? [] { _ = member.value.array?.map(\.int) }
        }
    }
}
