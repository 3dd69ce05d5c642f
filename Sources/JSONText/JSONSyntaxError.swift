/// Why a text is not JSON, as a sentence an operator can act on, and where.
package struct JSONSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
    package var message: String
    package var position: JSONValue.Position

    package init(message: String, position: JSONValue.Position) {
        self.message = message
        self.position = position
    }

    package var description: String { "\(position): \(message)" }
}
