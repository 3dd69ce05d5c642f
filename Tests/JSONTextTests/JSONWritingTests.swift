import JSONText
import TestSupport
import Testing

@Suite("JSON is written as RFC 8259 has it")
struct JSONWritingTests {
    @Test(
        "escapes what must be escaped",
        arguments: [
            ("", #""""#), ("a/é😀\u{2028}", "\"a/é😀\u{2028}\""), ("\"\\", #""\"\\""#),
            ("\u{0}\u{1f}\u{7f}\u{8}\u{9}\u{a}\u{c}\u{d}", #""\u0000\u001f\u007f\b\t\n\f\r""#),
        ]
    )
    func escapes(text: String, expected: String) {
        #expect(jsonString(text) == expected)
        #expect(JSONValue(text).text() == expected)
    }

    @Test("the pretty style is that of jq")
    func pretty() {
        let value: JSONValue = ["a": [1, [], [:], ["b": nil]], "c": "x", "d": true]
        #expect(value.text() == #"{"a":[1,[],{},{"b":null}],"c":"x","d":true}"#)
        let expected = """
            {
              "a": [
                1,
                [],
                {},
                {
                  "b": null
                }
              ],
              "c": "x",
              "d": true
            }
            """
        #expect(value.text(style: .pretty) == expected)
    }

    @Test(
        "writes numbers",
        arguments: [
            (JSONNumber(Int.min), "-9223372036854775808"), (JSONNumber(UInt64.max), "18446744073709551615"),
            (JSONNumber(3.0), "3"), (JSONNumber(0.1), "0.1"), (JSONNumber(-1e300), "-1e+300"), (JSONNumber(-0.0), "0"),
            (JSONNumber(Double.nan), "null"), (JSONNumber(-Double.infinity), "null"),
            (JSONNumber(Double.leastNonzeroMagnitude), "5e-324"),
        ]
    )
    func numbers(number: JSONNumber, expected: String) {
        #expect(JSONValue(number).text() == expected)
    }

    @Test("what is written reads back as the same value", arguments: UInt64(0)..<128)
    func roundTrip(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let value = JSONValue.random(depth: 4, using: &random)
        for style in [JSONValue.Style.compact, .pretty] {
            for dialect in [JSONDialect.json, .json5] {
                #expect(try JSONValue(parsing: value.text(style: style), dialect: dialect) == value, "seed \(seed)")
            }
        }
    }

    @Test("access by key, index and path gives nil for what is not there")
    func access() throws {
        let value: JSONValue = ["a": [1, "x"], "b": 2.5, "c": false]
        #expect(value["a"]?[1]?.string == "x" && value["a"]?[0]?.int == 1 && value["c"]?.bool == false)
        #expect(value["A"] == nil && value["a"]?[2] == nil && value["a"]?[-1] == nil && value["a"]?["x"] == nil)
        #expect(value[["a", 0]]?.int == 1 && value[["b", "c"]] == nil && value[JSONPath.root] == value)
        #expect(value["b"]?.int == nil && value["b"]?.number?.double == 2.5)
    }

    @Test("paths print as an operator writes them, and sort by place")
    func paths() {
        let path: JSONPath = ["networkSecurityGroups", 0, "properties", "securityRules", 3]
        let priority = path.appending("priority")
        #expect(priority.description == "networkSecurityGroups[0].properties.securityRules[3].priority")
        let odd: JSONPath = ["a b", "", "1a", "$schema", "x-y"]
        #expect(odd.description == #"["a b"][""]["1a"].$schema["x-y"]"#)
        #expect((JSONPath.root.appending(2) + ["k"]).description == "[2].k" && JSONPath.root.description == "$")
        #expect(path.appending(9) < path.appending(10) && path < path.appending(0))
    }
}

extension JSONValue {
    static func random(depth: Int, using random: inout SplitMix64) -> JSONValue {
        let count = Int.random(in: 0...12, using: &random)
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
        case 0: return nil
        case 1: return JSONValue(Bool.random(using: &random))
        case 2: return JSONValue(Int.random(in: .min ... .max, using: &random))
        case 3: return JSONValue(Double.random(in: -1e9...1e9, using: &random))
        case 4, 5: return JSONValue(randomText(using: &random))
        case 6: return JSONValue((0..<count).map { _ in Self.random(depth: depth - 1, using: &random) })
        default:
            var members: [(String, JSONValue)] = []
            for index in 0..<count {
                members.append(("\(index)" + randomText(using: &random), Self.random(depth: depth - 1, using: &random)))
            }
            return JSONValue(object: members)
        }
    }

    private static func randomText(using random: inout SplitMix64) -> String {
        let ranges: [ClosedRange<UInt32>] = [0...0x7f, 0x20...0x7e, 0x80...0x7ff, 0x2020...0x2030, 0x10000...0x10ffff]
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...20, using: &random) {
            let range = ranges[Int.random(in: 0..<ranges.count, using: &random)]
            if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) { text.append(scalar) }
        }
        return String(text)
    }
}
