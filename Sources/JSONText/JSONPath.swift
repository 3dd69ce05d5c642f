/// Where in a document something stands: `networkSecurityGroups[0].properties.securityRules[3].properties.priority`.
/// Orders by step, indexes by number.
package struct JSONPath: Hashable, Comparable, Sendable, CustomStringConvertible {
    package enum Step: Hashable, Comparable, Sendable {
        case index(Int)
        case key(String)
    }

    package var steps: [Step]

    package init(_ steps: [Step] = []) { self.steps = steps }

    /// The document itself; prints as `$`.
    package static let root = JSONPath()

    package func appending(_ key: String) -> JSONPath { JSONPath(steps + [.key(key)]) }
    package func appending(_ index: Int) -> JSONPath { JSONPath(steps + [.index(index)]) }

    package static func + (left: Self, right: Self) -> JSONPath { JSONPath(left.steps + right.steps) }

    package static func < (left: Self, right: Self) -> Bool { left.steps.lexicographicallyPrecedes(right.steps) }

    package var description: String {
        if steps.isEmpty { return "$" }
        var text = ""
        for step in steps {
            switch step {
            case .index(let index): text += "[\(index)]"
            case .key(let key) where !Self.isIdentifier(key): text += "[\(jsonString(key))]"
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            }
        }
        return text
    }

    private static func isIdentifier(_ key: String) -> Bool {
        guard let first = key.utf8.first, !isDigit(first) else { return false }
        return key.utf8.allSatisfy { isDigit($0) || isIdentifierStart($0) }
    }
}

/// `["networkSecurityGroups", 0, "properties"]`
extension JSONPath: ExpressibleByArrayLiteral {
    package init(arrayLiteral elements: Step...) { self.init(elements) }
}

extension JSONPath.Step: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    package init(stringLiteral value: String) { self = .key(value) }
    package init(integerLiteral value: Int) { self = .index(value) }
}
