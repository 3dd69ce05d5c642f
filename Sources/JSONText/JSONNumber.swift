/// A number as it is written, so that nothing is lost between reading and writing. Equality and hashing compare the
/// text: `3` and `3.0` differ.
package struct JSONNumber: Hashable, Sendable, CustomStringConvertible {
    /// As in the document: JSON5 forms (`0xFF`, `+.5`, `Infinity`) are kept.
    package let text: String

    /// `text` has been read by the grammar of a number.
    init(verbatim text: String) { self.text = text }

    package init(_ value: Int) { text = String(value) }
    package init(_ value: UInt64) { text = String(value) }

    /// The shortest text that reads back as the same value; integers below 2^53 have no fraction.
    package init(_ value: Double) {
        if value.isNaN {
            text = "NaN"
        } else if value.isInfinite {
            text = value < 0 ? "-Infinity" : "Infinity"
        } else if value.magnitude < 0x1p53, Double(Int(value)) == value {
            text = String(Int(value))
        } else {
            text = "\(value)"
        }
    }

    /// The value when it is an integer that fits: `3`, `3.0`, `3e2`, `0x10`. Never rounded.
    package var int: Int? {
        if let plain = Int(text) { return plain }
        let sign = text.hasPrefix("-") ? "-" : ""
        let unsigned = text.drop { $0 == "-" || $0 == "+" }
        if unsigned.hasPrefix("0x") || unsigned.hasPrefix("0X") { return Int(sign + unsigned.dropFirst(2), radix: 16) }
        guard unsigned != "Infinity", unsigned != "NaN" else { return nil }

        let parts = unsigned.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
        let mantissa = parts[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = mantissa.count == 2 ? mantissa[1] : ""
        let digits = (mantissa[0] + fraction).drop { $0 == "0" }
        let zeros = digits.reversed().prefix { $0 == "0" }.count
        if digits.isEmpty { return 0 }
        // Beyond 2^31 no text that fits in memory can make the result an integer of 64 bits.
        guard let exponent = parts.count == 2 ? Int32(parts[1]).map(Int.init) : 0 else { return nil }
        let scale = exponent - fraction.utf8.count + zeros
        guard (0...19).contains(scale) else { return nil }
        return Int(sign + digits.dropLast(zeros) + String(repeating: "0", count: scale))
    }

    /// The nearest value; infinite when beyond the range.
    package var double: Double { Double(text) ?? .nan }

    /// The number by the grammar of RFC 8259, which has neither infinity nor NaN: those give `null`.
    var strictText: String {
        let sign = text.hasPrefix("-") ? "-" : ""
        let unsigned = text.drop { $0 == "-" || $0 == "+" }
        if unsigned == "Infinity" || unsigned == "NaN" { return "null" }
        if unsigned.hasPrefix("0x") || unsigned.hasPrefix("0X") {
            if let value = UInt64(unsigned.dropFirst(2), radix: 16) { return sign + String(value) }
            let value = double
            return value.isFinite ? "\(value)" : "null"
        }
        guard let point = unsigned.firstIndex(of: ".") else { return sign + unsigned }
        let whole = unsigned[..<point]
        let rest = unsigned[unsigned.index(after: point)...]
        let hasFraction = rest.first.map { $0 != "e" && $0 != "E" } ?? false
        return sign + (whole.isEmpty ? "0" : whole) + (hasFraction ? "." : "") + rest
    }

    package var description: String { text }
}
