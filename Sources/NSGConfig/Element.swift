import JSONText
import NetworkTypes

/// A value of a document with the way to it: the cursor that readers move, and through which they report.
struct Element {
    let value: JSONValue
    let trail: Trail
    let file: String
    let diagnostics: Diagnostics

    var place: Place { Place(file: file, line: value.position.line, trail: trail) }

    func child(_ key: String, _ value: JSONValue) -> Element {
        Element(value: value, trail: trail.appending(key), file: file, diagnostics: diagnostics)
    }

    func report(_ code: FaultCode, _ message: String, remedy: String) {
        diagnostics.report(code, at: place, message, remedy: remedy)
    }

    func note(_ text: String) { diagnostics.note(at: place, text) }

    /// Null, the empty string and the empty array stand for "absent" in what Azure returns (C5).
    var isAbsent: Bool {
        switch value.kind {
        case .null: true
        case .string(let text): text.isEmpty
        case .array(let elements): elements.isEmpty
        default: false
        }
    }
}

// What a value is read as. Each gives nil after it has reported why.
extension Element {
    func text() -> String? {
        guard let text = value.string, !isTemplateExpression else { return wrongType("a string") }
        return text
    }

    func boolean() -> Bool? { value.bool ?? wrongType("true or false") }

    /// Azure reads `"100"` where a number belongs, and so do we.
    func integer() -> Int? { value.int ?? value.string.flatMap { Int($0) } ?? wrongType("an integer") }

    func integer(in range: ClosedRange<Int>) -> Int? {
        guard let number = integer() else { return nil }
        guard range.contains(number) else {
            report(
                .outOfRange, "\(number) is outside \(range.lowerBound)...\(range.upperBound)",
                remedy: "write a number of that range")
            return nil
        }
        return number
    }

    func elements() -> [Element]? {
        guard let values = value.array else { return wrongType("an array") }
        let trail = trail.prepared
        return values.enumerated().map { index, value in
            Element(value: value, trail: trail.appending(index), file: file, diagnostics: diagnostics)
        }
    }

    func members() -> [(key: String, element: Element)]? {
        guard let members = value.object else { return wrongType("an object") }
        let prepared = Element(value: value, trail: trail.prepared, file: file, diagnostics: diagnostics)
        return members.map { ($0.key, prepared.child($0.key, $0.value)) }
    }

    func address() -> IPAddress? {
        guard let text = text() else { return nil }
        guard let address = IPAddress(text) else {
            report(.unknownValue, "\(shown(text)) is not an IP address", remedy: "write an address such as 10.1.0.4")
            return nil
        }
        return address
    }

    /// A prefix of a network, a tag or a platform list: canonical, as Azure demands of networks.
    func prefix() -> IPPrefix? {
        guard let text = text() else { return nil }
        guard let (prefix, hasHostBits) = IPPrefix.read(text) else {
            report(
                .invalidCIDRNotation, "The address prefix \(shown(text)) has an invalid CIDR notation.",
                remedy: "write a prefix such as 10.1.0.0/16")
            return nil
        }
        guard !hasHostBits else {
            report(
                .invalidCIDRNotation, "The address prefix \(shown(text)) has bits set beyond its length.",
                remedy: "write \(prefix)")
            return nil
        }
        return prefix
    }

    /// A word of an enumeration, in any case.
    func choice<Choice: RawRepresentable<String>>(among choices: [Choice]) -> Choice? {
        guard let text = text() else { return nil }
        if let choice = choices.first(where: { $0.rawValue == text }) { return choice }
        let word = text.lowercased()
        if let choice = choices.first(where: { $0.rawValue.lowercased() == word }) { return choice }
        let words = choices.map(\.rawValue)
        let meant = nearest(to: text, among: words).map { "did you mean \($0)? " } ?? ""
        report(
            .unknownValue, "\(shown(text)) is none of \(words.joined(separator: ", "))",
            remedy: "\(meant)write one of those words")
        return nil
    }

    /// Reports that the value is not what it should be.
    func wrongType<Value>(_ expected: String) -> Value? {
        if isTemplateExpression {
            report(
                .templateExpression,
                "\(shown(value.string ?? "")) is a template expression, and only literal values are read",
                remedy: "write the value itself, or export the deployed resource")
        } else {
            report(.wrongType, "expected \(expected), found \(value.kindName)", remedy: "write \(expected)")
        }
        return nil
    }

    /// `[parameters('x')]`; in templates `[[` begins a literal bracket.
    private var isTemplateExpression: Bool {
        guard let text = value.string else { return false }
        return text.hasPrefix("[") && !text.hasPrefix("[[") && text.hasSuffix("]")
    }
}
