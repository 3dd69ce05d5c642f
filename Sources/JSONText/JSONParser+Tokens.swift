// Strings, numbers and names.
extension JSONParser {
    /// A string in the quotation marks that stand next.
    mutating func string() throws(JSONSyntaxError) -> String {
        let start = here
        let quote = bytes[index]
        index += 1
        var decoded: [UInt8] = []
        var run = index  // what is not yet in `decoded` and needs no change
        while true {
            skipPlain()
            guard let byte = next else { break }
            switch byte {
            case quote:
                let rest = run..<index
                index += 1
                if decoded.isEmpty { return repeated.text(rest, of: bytes) }
                return String(decoding: decoded + bytes[rest], as: UTF8.self)
            case UInt8(ascii: "\\"):
                decoded += bytes[run..<index]
                try unescape(into: &decoded)
                run = index
            case 0x0a, 0x0d:
                throw fault("the string that begins at \(start) is not closed on its line; close it or write `\\n`")
            case ..<0x20 where dialect == .json:
                throw fault("a string holds \(found); write it as an escape")
            case 0x80...: skipScalar()
            default: index += 1
            }
        }
        throw fault("the text ends inside the string that begins at \(start); close it")
    }

    /// Passes what a string holds as it stands, in either quotation marks.
    private mutating func skipPlain() {
        var end = index
        while end < bytes.count {
            let byte = bytes[end]
            guard byte >= 0x20, byte < 0x80, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"),
                byte != UInt8(ascii: "'")
            else { break }
            end += 1
        }
        index = end
    }

    /// The escape sequence that begins with the backslash that stands next.
    private mutating func unescape(into decoded: inout [UInt8]) throws(JSONSyntaxError) {
        guard index + 1 < bytes.count else {
            throw fault("the text ends inside an escape sequence")
        }
        let letter = bytes[index + 1]
        if letter == UInt8(ascii: "u") {
            decoded += try unicodeEscape().utf8
            return
        }
        if let byte = Self.plainEscape(letter) {
            decoded.append(byte)
            index += 2
            return
        }
        guard dialect == .json5 else {
            throw fault("the escape sequence `\\\(Unicode.Scalar(letter))` is unknown; write a backslash as `\\\\`")
        }
        try unescapeJSON5(letter, into: &decoded)
    }

    private static func plainEscape(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): letter
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0c
        case UInt8(ascii: "n"): 0x0a
        case UInt8(ascii: "r"): 0x0d
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    private mutating func unescapeJSON5(_ letter: UInt8, into decoded: inout [UInt8]) throws(JSONSyntaxError) {
        switch letter {
        case 0x0a, 0x0d:  // a line continuation stands for nothing
            index += 1
            skipLineEnd()
        case UInt8(ascii: "x"):
            let value = try hexDigits(2, from: index + 2)
            decoded += Unicode.Scalar(UInt8(truncatingIfNeeded: value)).utf8
            index += 4
        case UInt8(ascii: "v"):
            decoded.append(0x0b)
            index += 2
        case UInt8(ascii: "0") where !(index + 2 < bytes.count && isDigit(bytes[index + 2])):
            decoded.append(0)
            index += 2
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            throw fault("octal escapes are not allowed; write the character as `\\xHH`")
        default:  // any other character stands for itself, a line separator for nothing
            index += 1
            let scalar = scalar
            if scalar != "\u{2028}", scalar != "\u{2029}" { decoded += scalar.utf8 }
            skipScalar()
        }
    }

    /// `\uXXXX`, or two of them that make a surrogate pair.
    private mutating func unicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar {
        let first = try hexDigits(4, from: index + 2)
        if let scalar = Unicode.Scalar(first) {
            index += 6
            return scalar
        }
        if first < 0xdc00, index + 7 < bytes.count, bytes[index + 6] == UInt8(ascii: "\\"),
            bytes[index + 7] == UInt8(ascii: "u")
        {
            let second = try hexDigits(4, from: index + 8)
            let value = 0x10000 + (first - 0xd800) << 10 + (second & 0x3ff)
            if (0xdc00...0xdfff).contains(second), let scalar = Unicode.Scalar(value) {
                index += 12
                return scalar
            }
        }
        throw fault("`\\u\(String(first, radix: 16))` is half of a surrogate pair; write both halves")
    }

    private func hexDigits(_ count: Int, from start: Int) throws(JSONSyntaxError) -> UInt32 {
        var value: UInt32 = 0
        for offset in start..<start + count {
            guard offset < bytes.count, let digit = hexValue(bytes[offset]) else {
                throw fault("the escape sequence needs \(count) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}

extension JSONParser {
    mutating func number() throws(JSONSyntaxError) -> JSONNumber {
        let start = index
        if next == UInt8(ascii: "-") || next == UInt8(ascii: "+") { index += 1 }
        if dialect == .json5, skipWord("Infinity") || skipWord("NaN") { return numberText(from: start) }
        if dialect == .json5, next == UInt8(ascii: "0"), index + 1 < bytes.count, bytes[index + 1] | 0x20 == 0x78 {
            index += 2
            let digits = index
            while let byte = next, hexValue(byte) != nil { index += 1 }
            guard index > digits else { throw fault("a hexadecimal number needs digits after `0x`, found \(found)") }
            try checkEndOfNumber()
            return numberText(from: start)
        }
        let whole = index
        skipDigits()
        let wholeCount = index - whole
        guard wholeCount > 0 || (dialect == .json5 && next == UInt8(ascii: ".")) else {
            throw fault("expected a digit, found \(found)")
        }
        guard wholeCount < 2 || bytes[whole] != UInt8(ascii: "0") else {
            throw fault("a number cannot begin with 0; remove the zero before it")
        }
        if next == UInt8(ascii: ".") {
            index += 1
            let fraction = index
            skipDigits()
            guard index > fraction || (dialect == .json5 && wholeCount > 0) else {
                throw fault("expected a digit after the decimal point, found \(found)")
            }
        }
        if let byte = next, byte | 0x20 == UInt8(ascii: "e") {
            index += 1
            if next == UInt8(ascii: "-") || next == UInt8(ascii: "+") { index += 1 }
            guard let byte = next, isDigit(byte) else {
                throw fault("expected a digit in the exponent, found \(found)")
            }
            skipDigits()
        }
        try checkEndOfNumber()
        return numberText(from: start)
    }

    private func numberText(from start: Int) -> JSONNumber {
        JSONNumber(verbatim: String(decoding: bytes[start..<index], as: UTF8.self))
    }

    private mutating func skipDigits() {
        while let byte = next, isDigit(byte) { index += 1 }
    }

    private func checkEndOfNumber() throws(JSONSyntaxError) {
        guard let byte = next, isDigit(byte) || isIdentifierStart(byte) || byte == UInt8(ascii: ".") else { return }
        throw fault("\(found) follows a number without a comma or bracket; write text in quotes")
    }

    /// Passes a word that stands next and does not go on as a longer name.
    mutating func skipWord(_ word: StaticString) -> Bool {
        let word = word.description.utf8
        let end = index + word.count
        guard bytes[index...].starts(with: word) else { return false }
        if end < bytes.count, isDigit(bytes[end]) || isIdentifierStart(bytes[end]) { return false }
        index = end
        return true
    }
}

extension JSONParser {
    /// An unquoted key: an ECMAScript `IdentifierName`.
    mutating func identifier() throws(JSONSyntaxError) -> String {
        var name = String.UnicodeScalarView()
        while let byte = next {
            if isIdentifierStart(byte) || (isDigit(byte) && !name.isEmpty) {
                name.append(Unicode.Scalar(byte))
                index += 1
            } else if byte == UInt8(ascii: "\\") {
                guard index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "u") else {
                    throw fault("a key without quotes allows no escape but `\\uXXXX`; put the key in quotes")
                }
                let place = here
                let scalar = try unicodeEscape()
                guard Self.isIdentifier(scalar, first: name.isEmpty) else {
                    throw JSONSyntaxError(message: "this character needs a key in quotes", position: place)
                }
                name.append(scalar)
            } else if byte >= 0x80, Self.isIdentifier(scalar, first: name.isEmpty) {
                name.append(scalar)
                skipScalar()
            } else {
                break
            }
        }
        guard !name.isEmpty else { throw fault("expected a key, found \(found)") }
        return String(name)
    }

    private static func isIdentifier(_ scalar: Unicode.Scalar, first: Bool) -> Bool {
        if scalar == "$" || scalar == "_" || scalar.properties.isIDStart { return true }
        return !first && (scalar.properties.isIDContinue || scalar == "\u{200c}" || scalar == "\u{200d}")
    }
}

func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

/// ASCII letters, `$` and `_`.
func isIdentifierStart(_ byte: UInt8) -> Bool {
    (0x61...0x7a).contains(byte | 0x20) || byte == UInt8(ascii: "$") || byte == UInt8(ascii: "_")
}

private func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
}
