import JSONText
import Testing

@Suite("JSON5 is read as json5.org has it")
struct JSON5Tests {
    @Test(
        "accepts",
        arguments: [
            ("// a\n1 // b", 1),
            ("/* a * / \n */ 1 /**/", 1),
            ("[1,]", [1]),
            ("{a: 1,}", ["a": 1]),
            (
                "{$a_1: 1, 'b c': 2, \"d\": 3, null: 4, Infinity: 5, \\u0061b: 6, größe: 7}",
                ["$a_1": 1, "b c": 2, "d": 3, "null": 4, "Infinity": 5, "ab": 6, "größe": 7]
            ),
            ("'it\\'s \"so\"'", "it's \"so\""),
            ("'a\\\nb\\\r\nc\\\u{2028}d'", "abcd"),
            ("'\\x41\\v\\0\\q\\u00e9\\ud83d\\ude00'", "A\u{b}\0qé😀"),
            ("\"\t\u{2028}\"", "\t\u{2028}"),
            ("\u{feff}\u{a0}\u{3000}\u{b}\u{c}true\u{2029}", true),
            ("// ends with a separator\u{2028}null", nil),
        ] as [(String, JSONValue)]
    )
    func accepts(text: String, expected: JSONValue) throws {
        #expect(try JSONValue(parsing: text, dialect: .json5) == expected)
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: text, dialect: .json) }
    }

    @Test(
        "reads numbers",
        arguments: [
            ("0x1F", 31, 31, "31"), ("-0XaB", -171, -171, "-171"), ("+3", 3, 3, "3"), (".5", nil, 0.5, "0.5"),
            ("-.5e1", -5, -5, "-0.5e1"), ("5.", 5, 5, "5"), ("5.e3", 5000, 5000, "5e3"), ("+5.0", 5, 5, "5.0"),
            ("Infinity", nil, .infinity, "null"), ("-Infinity", nil, -.infinity, "null"),
            ("0xFFFFFFFFFFFFFFFF", nil, 0x1p64, "18446744073709551615"),
            ("0x10000000000000000", nil, 0x1p64, "1.8446744073709552e+19"),
        ] as [(String, Int?, Double, String)]
    )
    func readsNumbers(text: String, int: Int?, double: Double, written: String) throws {
        let value = try JSONValue(parsing: text, dialect: .json5)
        #expect(value.number?.text == text)
        #expect(value.int == int)
        #expect(value.number?.double == double)
        #expect(value.text() == written)
        #expect((try? JSONValue(parsing: written, dialect: .json)) != nil)
    }

    @Test("reads NaN, and writes it as null")
    func readsNaN() throws {
        let value = try JSONValue(parsing: "-NaN", dialect: .json5)
        #expect(value.number?.double.isNaN == true && value.int == nil && value.text() == "null")
    }

    @Test(
        "refuses",
        arguments: [
            "", " ", "// only", "/* open", "/", "[,]", "[1,,]", "{,}", "{a}", "{a:}", "{a:1 b:2}", "{1a: 1}",
            "{a-b: 1}",
            "'open", "'a\nb'", "'\\1'", "'\\08'", "'\\x4'", "'\\u12'", "'\\ud800'", "'\\ude00'", "'\\ud800\\u0041'",
            "0x", "0xg", "++1", "+ 1", ".", "-", "1e", "1e+", "01", "1..2", "1a", "infinity", "nan", "undefined",
            "truex", "True", "1 2", "[1]]", "{\\u0020: 1}", "{\\x61: 1}", "\u{1f600}", "'\\", "{a:1", "[", "{", "{a",
            "{a:",
        ]
    )
    func refuses(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: text, dialect: .json5) }
    }

    @Test(
        "tells where and what",
        arguments: [
            ("{\n  a: 1,\n  'ü': ?\n}", "line 3, column 8: expected a value, found `?`"),
            (
                "{\r\n\"a\":1,\r\"a\":2}",
                #"line 3, column 1: the key "a" is given twice, first at line 2, column 1; remove one of them"#
            ),
            (
                "/* ü\nü */ [1 2]",
                "line 2, column 9: expected `,` or `]` in the array that begins at line 2, column 6, found `2`"
            ),
            ("['a', 'b", "line 1, column 9: the text ends inside the string that begins at line 1, column 7; close it"),
            (
                "{a: [1,\n",
                "line 2, column 1: the text ends inside the array that begins at line 1, column 5; close it with `]`"
            ),
            ("{\u{7}", "line 1, column 2: expected a key, found the character U+0007"),
            ("{a \u{200b}}", "line 1, column 4: expected `:` after the key \"a\", found the character U+200B"),
            ("'\\ud83dx'", "line 1, column 2: `\\ud83d` is half of a surrogate pair; write both halves"),
        ]
    )
    func tellsWhere(text: String, description: String) {
        do {
            _ = try JSONValue(parsing: text, dialect: .json5)
            Issue.record("accepted")
        } catch {
            #expect(error.description == description)
        }
    }

    @Test("values and members know their place")
    func positions() throws {
        let text = "// ü\n{ 'ü': [10,\n  {b: null}],\n\tc: 'x\\\ny', d: 1 }"
        let value = try JSONValue(parsing: text, dialect: .json5)
        #expect(value.position == .init(line: 2, column: 1))
        #expect(value[["ü"]]?.position == .init(line: 2, column: 8))
        #expect(value[["ü", 0]]?.position == .init(line: 2, column: 9))
        #expect(value[["ü", 1, "b"]]?.position == .init(line: 3, column: 7))
        #expect(value.object?.map(\.position.line) == [2, 4, 5])
        #expect(value.object?.last?.position == .init(line: 5, column: 5))
    }
}
