// White space, comments, and what errors say.
extension JSONParser {
    /// Passes white space and, in JSON5, comments.
    mutating func skipBlanks() throws(JSONSyntaxError) {
        while let byte = next {
            switch byte {
            case 0x20, 0x09:
                var end = index + 1
                while end < bytes.count, bytes[end] == 0x20 { end += 1 }
                index = end
            case 0x0a, 0x0d: skipLineEnd()
            case 0x0b, 0x0c:
                guard dialect == .json5 else { return }
                index += 1
            case UInt8(ascii: "/"):
                guard dialect == .json5 else {
                    throw fault("JSON allows no comments; remove what begins with `/`")
                }
                try skipComment()
            case 0x80...:
                guard dialect == .json5, isBlank(scalar) else { return }
                skipScalar()
            default: return
            }
        }
    }

    private mutating func skipComment() throws(JSONSyntaxError) {
        let start = here
        switch index + 1 < bytes.count ? bytes[index + 1] : nil {
        case UInt8(ascii: "/"):
            while let byte = next, byte != 0x0a, byte != 0x0d {
                if byte >= 0x80, scalar == "\u{2028}" || scalar == "\u{2029}" { return }
                skipScalar()
            }
        case UInt8(ascii: "*"):
            index += 2
            while let byte = next {
                if byte == UInt8(ascii: "*"), index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "/") {
                    index += 2
                    return
                }
                if byte == 0x0a || byte == 0x0d { skipLineEnd() } else { skipScalar() }
            }
            throw fault("the text ends inside the comment that begins at \(start); close it with `*/`")
        default:
            throw fault("expected `//` or `/*` to begin a comment, found a lone `/`")
        }
    }

    /// LF, CR or CR LF, which stands next.
    mutating func skipLineEnd() {
        if bytes[index] == 0x0d, index + 1 < bytes.count, bytes[index + 1] == 0x0a { index += 1 }
        index += 1
        line += 1
        columnBase = index
    }

    /// One scalar that is no line end, which stands next.
    mutating func skipScalar() {
        let width = Self.width(of: bytes[index])
        index = min(index + width, bytes.count)
        columnBase += width - 1
    }

    /// The scalar that stands next. The text is valid UTF-8, so its bytes are all there.
    var scalar: Unicode.Scalar {
        let lead = bytes[index]
        let width = Self.width(of: lead)
        guard width > 1, index + width <= bytes.count else { return Unicode.Scalar(lead) }
        let tail = bytes[index + 1..<index + width]
        let value = tail.reduce(UInt32(lead) & (0x7f >> UInt32(width))) { $0 << 6 | UInt32($1 & 0x3f) }
        return Unicode.Scalar(value) ?? "\u{fffd}"
    }

    private static func width(of lead: UInt8) -> Int {
        switch lead {
        case ..<0xc0: 1
        case ..<0xe0: 2
        case ..<0xf0: 3
        default: 4
        }
    }

    /// White space of JSON5 beyond ASCII: category Zs, the line separators and the byte order mark.
    private func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "\u{2028}" || scalar == "\u{2029}" || scalar == "\u{feff}"
            || scalar.properties.generalCategory == .spaceSeparator
    }
}

extension JSONParser {
    func fault(_ message: String) -> JSONSyntaxError { JSONSyntaxError(message: message, position: here) }

    func unfinished(_ container: String, from start: JSONValue.Position) -> JSONSyntaxError {
        let bracket = container == "array" ? "]" : "}"
        return fault("the text ends inside the \(container) that begins at \(start); close it with `\(bracket)`")
    }

    /// What stands next, for a message.
    var found: String {
        guard index < bytes.count else { return "the end of the text" }
        let scalar = scalar
        switch scalar.properties.generalCategory {
        case .control, .format, .unassigned, .privateUse, .lineSeparator, .paragraphSeparator, .spaceSeparator:
            return "the character U+" + String(repeating: "0", count: scalar.value < 0x1000 ? 2 : 0) + hex(scalar)
        default: return "`\(scalar)`"
        }
    }

    private func hex(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return digits.utf8.count == 1 ? "0" + digits : digits
    }

    /// The position of an offset, of which everything before is valid UTF-8.
    static func position(of offset: Int, in bytes: [UInt8]) -> JSONValue.Position {
        var parser = JSONParser(bytes: bytes, dialect: .json5, limits: JSONLimits())
        while parser.index < offset {
            let byte = bytes[parser.index]
            if byte == 0x0a || byte == 0x0d { parser.skipLineEnd() } else { parser.skipScalar() }
        }
        return parser.here
    }
}
