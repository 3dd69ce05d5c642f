extension JSONValue {
    package enum Style: Sendable {
        /// No white space at all.
        case compact
        /// As `jq` prints: two blanks a level, one member or element a line.
        case pretty
    }

    /// The value as RFC 8259 has it, without a newline at the end. Numbers that JSON cannot say are written as `null`.
    package func text(style: Style = .compact) -> String { String(decoding: bytes(style: style), as: UTF8.self) }

    /// The UTF-8 of `text(style:)`.
    package func bytes(style: Style = .compact) -> [UInt8] {
        var writer = JSONWriter(style: style)
        writer.write(self, level: 0)
        return writer.output
    }
}

extension JSONValue: CustomStringConvertible {
    /// The compact style.
    package var description: String { text() }
}

/// The text in quotation marks, escaped as JSON needs it.
package func jsonString(_ text: String) -> String {
    var writer = JSONWriter(style: .compact)
    writer.write(text)
    return String(decoding: writer.output, as: UTF8.self)
}

struct JSONWriter {
    let style: JSONValue.Style
    var output: [UInt8] = []

    init(style: JSONValue.Style) { self.style = style }

    mutating func write(_ value: JSONValue, level: Int) {
        switch value.kind {
        // What was not read cannot be written: nobody does.
        case .null, .recognised: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .number(let number): output += number.strictText.utf8
        case .string(let text): write(text)
        case .array(let values):
            output.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                separate(first: index == 0, level: level + 1)
                write(value, level: level + 1)
            }
            close(with: UInt8(ascii: "]"), isEmpty: values.isEmpty, level: level)
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                separate(first: index == 0, level: level + 1)
                write(member.key)
                output += (style == .pretty ? ": " : ":").utf8
                write(member.value, level: level + 1)
            }
            close(with: UInt8(ascii: "}"), isEmpty: members.isEmpty, level: level)
        }
    }

    mutating func write(_ text: String) {
        output.append(UInt8(ascii: "\""))
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && $0 != 0x7f }) {
            output += text.utf8
        } else {
            for byte in text.utf8 { escape(byte) }
        }
        output.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): output += #"\""#.utf8
        case UInt8(ascii: "\\"): output += #"\\"#.utf8
        case 0x08: output += #"\b"#.utf8
        case 0x09: output += #"\t"#.utf8
        case 0x0a: output += #"\n"#.utf8
        case 0x0c: output += #"\f"#.utf8
        case 0x0d: output += #"\r"#.utf8
        case 0..<0x20, 0x7f:
            output += (byte < 0x10 ? #"\u000"# : #"\u00"#).utf8
            output += String(byte, radix: 16).utf8
        default: output.append(byte)
        }
    }

    private mutating func separate(first: Bool, level: Int) {
        if !first { output.append(UInt8(ascii: ",")) }
        breakLine(level: level)
    }

    private mutating func close(with bracket: UInt8, isEmpty: Bool, level: Int) {
        if !isEmpty { breakLine(level: level) }
        output.append(bracket)
    }

    private mutating func breakLine(level: Int) {
        guard style == .pretty else { return }
        output.append(0x0a)
        output += repeatElement(0x20, count: 2 * level)
    }
}
