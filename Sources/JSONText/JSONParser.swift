/// The two grammars that are read.
package enum JSONDialect: Hashable, Sendable {
    /// RFC 8259.
    case json
    /// json5.org, version 1.0.0: JSON with comments, trailing commas, unquoted keys and more forms of numbers and
    /// strings.
    case json5
}

/// What a text may ask of its reader. How long it may be is the caller's to bound.
package struct JSONLimits: Hashable, Sendable {
    /// How many arrays and objects may stand inside one another.
    package let depth: Int

    /// `depth` is held within 1...512: parsing, writing and freeing recurse.
    package init(depth: Int = 64) { self.depth = min(max(depth, 1), 512) }
}

extension JSONValue {
    package init(
        parsing text: String, dialect: JSONDialect, limits: JSONLimits = JSONLimits()
    ) throws(JSONSyntaxError) {
        var parser = JSONParser(bytes: Array(text.utf8), dialect: dialect, limits: limits)
        self = try parser.document()
    }

    /// Reads UTF-8, with or without a byte order mark. Time is linear in the length.
    package init(
        parsing bytes: [UInt8], dialect: JSONDialect, limits: JSONLimits = JSONLimits()
    ) throws(JSONSyntaxError) {
        try Self.validate(bytes)
        var parser = JSONParser(bytes: bytes, dialect: dialect, limits: limits)
        self = try parser.document()
    }

    static func validate(_ bytes: [UInt8]) throws(JSONSyntaxError) {
        do {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            let offset = error.byteOffsets.lowerBound
            let hex = String(bytes[offset], radix: 16)
            throw JSONSyntaxError(
                message: "the byte 0x\(hex) is not valid UTF-8; save the text as UTF-8",
                position: JSONParser.position(of: offset, in: bytes)
            )
        }
    }
}

/// Recursive descent over valid UTF-8. `+Tokens` holds strings, numbers and names, `+Blanks` what stands between.
struct JSONParser {
    let bytes: [UInt8]
    let dialect: JSONDialect
    let limits: JSONLimits
    /// Of the next byte to read.
    var index = 0
    var line = 1
    /// What the column is counted from: the offset where the line begins, plus the continuation bytes passed on it.
    var columnBase = 0
    /// Texts that documents repeat in every object, and their keys above all, are stored once.
    var repeated = RepeatedTexts()
    var recogniser: JSONElementRecogniser?

    init(bytes: [UInt8], dialect: JSONDialect, limits: JSONLimits) {
        self.bytes = bytes
        self.dialect = dialect
        self.limits = limits
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) {
            index = 3
            columnBase = 3
        }
    }

    var next: UInt8? { index < bytes.count ? bytes[index] : nil }
    var here: JSONValue.Position { JSONValue.Position(line: line, column: index - columnBase + 1) }

    mutating func document() throws(JSONSyntaxError) -> JSONValue {
        try skipBlanks()
        guard next != nil else { throw fault("the text is empty; expected a JSON value") }
        let value = try value(depth: 0)
        try skipBlanks()
        guard next == nil else { throw fault("expected the end of the text after the value, found \(found)") }
        return value
    }

    /// `depth` counts the arrays and objects around the value; no blanks stand before it.
    /// - Parameter key: under which it stands.
    private mutating func value(depth: Int, key: String? = nil) throws(JSONSyntaxError) -> JSONValue {
        let start = here
        guard let byte = next else { throw fault("expected a value, found \(found)") }
        switch byte {
        case UInt8(ascii: "{"):
            try enter(depth)
            return JSONValue(.object(try members(from: start, depth: depth + 1)), position: start)
        case UInt8(ascii: "["):
            try enter(depth)
            let mayBeKnown = recogniser != nil && key != nil && recogniser?.key == key
            return JSONValue(
                .array(try elements(from: start, depth: depth + 1, mayBeKnown: mayBeKnown)), position: start)
        case UInt8(ascii: "\""):
            return JSONValue(.string(try string()), position: start)
        case UInt8(ascii: "'") where dialect == .json5:
            return JSONValue(.string(try string()), position: start)
        case UInt8(ascii: "t") where skipWord("true"):
            return JSONValue(.bool(true), position: start)
        case UInt8(ascii: "f") where skipWord("false"):
            return JSONValue(.bool(false), position: start)
        case UInt8(ascii: "n") where skipWord("null"):
            return JSONValue(.null, position: start)
        case _ where isNumberStart(byte):
            return JSONValue(.number(try number()), position: start)
        default:
            throw fault("expected a value, found \(found)")
        }
    }

    private func isNumberStart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        case UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "I"), UInt8(ascii: "N"): dialect == .json5
        default: false
        }
    }

    private func enter(_ depth: Int) throws(JSONSyntaxError) {
        guard depth < limits.depth else {
            throw fault("arrays and objects are nested more than \(limits.depth) deep; flatten the document")
        }
    }

    private mutating func elements(
        from start: JSONValue.Position, depth: Int, mayBeKnown: Bool
    ) throws(JSONSyntaxError) -> [JSONValue] {
        var values: [JSONValue] = []
        index += 1
        while true {
            try skipBlanks()
            if next == UInt8(ascii: "]") {
                try checkTrailingComma(after: values.count, before: "]")
                break
            }
            if next == nil { throw unfinished("array", from: start) }
            if mayBeKnown, let known = recognised(depth: depth) {
                values.append(known)
            } else {
                values.append(try value(depth: depth))
            }
            try skipBlanks()
            if try !skipComma(before: UInt8(ascii: "]"), in: "array", from: start) { break }
        }
        index += 1
        return values
    }

    private mutating func members(
        from start: JSONValue.Position, depth: Int
    ) throws(JSONSyntaxError) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        members.reserveCapacity(8)
        var keys = KeyIndex()
        index += 1
        while true {
            try skipBlanks()
            if next == UInt8(ascii: "}") {
                try checkTrailingComma(after: members.count, before: "}")
                break
            }
            if next == nil { throw unfinished("object", from: start) }
            let place = here
            let key = try key()
            if let first = keys.insert(key, after: members) {
                throw JSONSyntaxError(
                    message: "the key \(jsonString(key)) is given twice, first at \(first); remove one of them",
                    position: place
                )
            }
            try skipBlanks()
            guard next == UInt8(ascii: ":") else {
                if next == nil { throw unfinished("object", from: start) }
                throw fault("expected `:` after the key \(jsonString(key)), found \(found)")
            }
            index += 1
            try skipBlanks()
            if next == nil { throw unfinished("object", from: start) }
            members.append(JSONValue.Member(key: key, value: try value(depth: depth, key: key), position: place))
            try skipBlanks()
            if try !skipComma(before: UInt8(ascii: "}"), in: "object", from: start) { break }
        }
        index += 1
        return members
    }

    /// True when a comma was passed, false when the closing bracket stands next.
    private mutating func skipComma(
        before bracket: UInt8, in container: String, from start: JSONValue.Position
    ) throws(JSONSyntaxError) -> Bool {
        switch next {
        case UInt8(ascii: ","):
            index += 1
            return true
        case bracket: return false
        case nil: throw unfinished(container, from: start)
        default:
            let bracket = String(Unicode.Scalar(bracket))
            throw fault("expected `,` or `\(bracket)` in the \(container) that begins at \(start), found \(found)")
        }
    }

    private func checkTrailingComma(after count: Int, before bracket: String) throws(JSONSyntaxError) {
        guard count == 0 || dialect == .json5 else {
            throw fault("JSON allows no comma before `\(bracket)`; remove it")
        }
    }

    private mutating func key() throws(JSONSyntaxError) -> String {
        switch next {
        case UInt8(ascii: "\""): return try string()
        case UInt8(ascii: "'") where dialect == .json5: return try string()
        default:
            guard dialect == .json5 else { throw fault("expected a key in double quotes, found \(found)") }
            return try identifier()
        }
    }
}

/// Finds a key given twice. Scans small objects, where that is the faster way, and hashes the keys of large ones.
private struct KeyIndex {
    /// A bit for each key there is: a key whose bit is not set is a new one.
    private var seen: UInt64 = 0
    private var positions: [String: JSONValue.Position] = [:]
    private static let scanned = 32

    /// Where the key already stands among `members`, whose keys have all been inserted before.
    mutating func insert(_ key: String, after members: [JSONValue.Member]) -> JSONValue.Position? {
        if members.count < Self.scanned {
            let bit = Self.bit(of: key)
            defer { seen |= bit }
            return seen & bit == 0 ? nil : members.first { $0.key == key }?.position
        }
        for member in members[positions.count...] { positions[member.key] = member.position }
        return positions[key]
    }

    /// To `==` canonically equal keys are one, be their bytes different: beyond ASCII a key may equal any.
    private static func bit(of key: String) -> UInt64 {
        var mix: UInt8 = 0
        for byte in key.utf8 {
            if byte >= 0x80 { return .max }
            mix = mix &* 31 &+ byte
        }
        return 1 << UInt64(mix & 63)
    }
}
