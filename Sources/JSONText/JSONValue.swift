/// A JSON value that remembers its order and where it was read. Equality and hashing ignore the position; they compare
/// the members of objects in order, and numbers by their text.
package struct JSONValue: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case null
        case bool(Bool)
        case number(JSONNumber)
        case string(String)
        case array([JSONValue])
        /// In document order; the parser admits no key twice.
        case object([Member])
        /// An object that was not read, since its reader knows it (`JSONElementRecogniser`).
        case recognised(JSONElementRecogniser.Fingerprint)
    }

    package var kind: Kind
    /// Where the value begins; `.unplaced` for a value that was built.
    package var position: Position

    package init(_ kind: Kind, position: Position = .unplaced) {
        self.kind = kind
        self.position = position
    }

    package static func == (left: Self, right: Self) -> Bool { left.kind == right.kind }
    package func hash(into hasher: inout Hasher) { hasher.combine(kind) }
}

extension JSONValue {
    /// A key and its value. Equality and hashing ignore the position.
    package struct Member: Hashable, Sendable {
        package var key: String
        package var value: JSONValue
        /// Where the key begins.
        package var position: Position

        package init(key: String, value: JSONValue, position: Position = .unplaced) {
            self.key = key
            self.value = value
            self.position = position
        }

        package static func == (left: Self, right: Self) -> Bool { left.key == right.key && left.value == right.value }

        package func hash(into hasher: inout Hasher) {
            hasher.combine(key)
            hasher.combine(value)
        }
    }

    /// A place in a text. Lines end at LF, CR or CR LF; a column is a Unicode scalar.
    package struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
        // Half the size of two `Int`: one is kept for every value of a document.
        private var storedLine: UInt32
        private var storedColumn: UInt32

        package init(line: Int, column: Int) {
            storedLine = UInt32(clamping: line)
            storedColumn = UInt32(clamping: column)
        }

        /// The position of what stands in no text: line 0, column 0.
        package static let unplaced = Position(line: 0, column: 0)

        /// From 1.
        package var line: Int { Int(storedLine) }
        /// From 1.
        package var column: Int { Int(storedColumn) }

        package static func < (left: Self, right: Self) -> Bool {
            (left.storedLine, left.storedColumn) < (right.storedLine, right.storedColumn)
        }

        package var description: String { "line \(line), column \(column)" }
    }
}
