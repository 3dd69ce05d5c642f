/// Finds elements of arrays that were read before by their text, so that they are not read again: in a list of a
/// thousand of which one has changed. It works on the objects of arrays under one key.
package struct JSONElementRecogniser: Sendable {
    /// A hash of an element's text under the key of this process; texts that differ have different ones, but for a
    /// chance that nobody who writes documents can raise.
    package struct Fingerprint: Hashable, Sendable {
        fileprivate let count: Int
        fileprivate let hash: Int
        /// Of the containers around the element, whose number is limited.
        fileprivate let depth: Int
    }

    /// Of the array.
    package let key: String
    /// Elements that need not be read: their value is `JSONValue.Kind.recognised`.
    package var known: Set<Fingerprint>
    /// The elements that were read, by where they begin.
    package private(set) var met: [JSONValue.Position: Fingerprint] = [:]
    package private(set) var recognisedCount = 0

    package init(key: String, known: Set<Fingerprint>) {
        self.key = key
        self.known = known
    }

    fileprivate mutating func take(_ fingerprint: Fingerprint, at position: JSONValue.Position) -> Bool {
        if known.contains(fingerprint) {
            recognisedCount += 1
            return true
        }
        met[position] = fingerprint
        return false
    }
}

extension JSONValue {
    /// Reads JSON5 as `init(parsing:dialect:)` does, but for the elements that `recogniser` knows.
    package init(parsing bytes: [UInt8], recogniser: inout JSONElementRecogniser) throws(JSONSyntaxError) {
        try Self.validate(bytes)
        var parser = JSONParser(bytes: bytes, dialect: .json5, limits: JSONLimits())
        parser.recogniser = recogniser
        self = try parser.document()
        if let met = parser.recogniser { recogniser = met }
    }
}

extension JSONParser {
    /// Passes the object that stands next, if it is known; else stays where it is.
    mutating func recognised(depth: Int) -> JSONValue? {
        guard recogniser != nil, next == UInt8(ascii: "{") else { return nil }
        let start = (index: index, line: line, columnBase: columnBase)
        let position = here
        guard let hash = hashOfObject() else {
            (index, line, columnBase) = start
            return nil
        }
        let fingerprint = JSONElementRecogniser.Fingerprint(count: index - start.index, hash: hash, depth: depth)
        if recogniser?.take(fingerprint, at: position) == true {
            return JSONValue(.recognised(fingerprint), position: position)
        }
        (index, line, columnBase) = start
        return nil
    }

    /// Passes what is an object if it is anything; nil for what would take more than this to tell where it ends.
    private mutating func hashOfObject() -> Int? {
        var hasher = Hasher()
        var word: UInt64 = 0
        var open = 0
        var quote: UInt8?
        var isEscaped = false
        var offset = index
        while offset < bytes.count {
            let byte = bytes[offset]
            word = word << 8 | UInt64(byte)
            if (offset - index) & 7 == 7 { hasher.combine(word) }
            offset += 1
            if byte == 0x0a {
                line += 1
                columnBase = offset
            } else if byte & 0xc0 == 0x80 {
                columnBase += 1
            }
            if let mark = quote {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == mark {
                    quote = nil
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): quote = byte
            case UInt8(ascii: "{"), UInt8(ascii: "["): open += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                open -= 1
                guard open == 0 else { continue }
                // What is left of a word is told apart by the length.
                hasher.combine(word)
                index = offset
                return hasher.finalize()
            // A comment may hold anything, and a lone CR ends a line.
            case UInt8(ascii: "/"), 0x0d: return nil
            default: continue
            }
        }
        return nil
    }
}
