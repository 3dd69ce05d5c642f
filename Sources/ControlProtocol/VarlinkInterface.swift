package import JSONText

/// A definition in the interface description language of https://varlink.org/Interface-Definition, and the check of
/// values against it.
package struct VarlinkInterface: Sendable {
    package indirect enum ValueType: Hashable, Sendable {
        case bool, int, float, string, object
        case named(String)
        case optional(ValueType)
        case array(ValueType)
        /// `[string]T`: an object with any keys.
        case map(ValueType)
        case structure([Field])
        case enumeration([String])
    }

    package struct Field: Hashable, Sendable {
        package var name: String
        package var type: ValueType
    }

    package struct Method: Hashable, Sendable {
        package var input: ValueType
        package var output: ValueType
    }

    package var name: String
    package var types: [String: ValueType]
    package var methods: [String: Method]
    package var errors: [String: ValueType]

    /// Where the parameters of a call or a reply depart from their type: the first parameter that is missing, of
    /// another type, or unknown. nil when all is well. An unknown type name fits nothing.
    package func departure(of value: JSONValue, from type: ValueType, at path: JSONPath = .root) -> JSONPath? {
        switch type {
        case .bool: return value.bool == nil ? path : nil
        case .int: return value.int == nil ? path : nil
        case .float: return value.number == nil ? path : nil
        case .string: return value.string == nil ? path : nil
        case .object: return value.object == nil ? path : nil
        case .named(let name): return types[name].map { departure(of: value, from: $0, at: path) } ?? path
        case .optional(let type): return value.isNull ? nil : departure(of: value, from: type, at: path)
        case .enumeration(let names): return value.string.map(names.contains) == true ? nil : path
        case .array(let type):
            guard let elements = value.array else { return path }
            return first(in: elements.indices) { departure(of: elements[$0], from: type, at: path.appending($0)) }
        case .map(let type):
            guard let members = value.object else { return path }
            return first(in: members) { departure(of: $0.value, from: type, at: path.appending($0.key)) }
        case .structure(let fields):
            guard let members = value.object else { return path }
            if let member = members.first(where: { member in !fields.contains { $0.name == member.key } }) {
                return path.appending(member.key)
            }
            return first(in: fields) { field in
                // An absent field is as good as null.
                departure(of: value[field.name] ?? JSONValue(.null), from: field.type, at: path.appending(field.name))
            }
        }
    }

    private func first<Items: Sequence>(in items: Items, _ departure: (Items.Element) -> JSONPath?) -> JSONPath? {
        for item in items {
            if let path = departure(item) { return path }
        }
        return nil
    }
}

extension VarlinkInterface {
    /// nil when the text is no definition.
    package init?(parsing text: String) {
        var tokens = Tokens(text)
        guard tokens.take("interface"), let name = tokens.word() else { return nil }
        self.init(name: name, types: [:], methods: [:], errors: [:])
        while let keyword = tokens.word() {
            guard let name = tokens.word(), let type = tokens.structure() else { return nil }
            switch keyword {
            case "type": types[name] = type
            case "error": errors[name] = type
            case "method":
                guard tokens.take("->"), let output = tokens.structure() else { return nil }
                methods[name] = Method(input: type, output: output)
            default: return nil
            }
        }
        guard tokens.isAtEnd else { return nil }
    }

    /// Words, and the signs `? [] [string] ( ) : , ->`.
    private struct Tokens {
        private var rest: ArraySlice<String>

        init(_ text: String) {
            var tokens: [String] = []
            for line in text.split(whereSeparator: \.isNewline) {
                for character in line.prefix(while: { $0 != "#" }) + " " {
                    switch character {
                    case " ", "\t": tokens.append("")
                    case "?", "(", ")", ":", ",", "[", "]": tokens += [String(character), ""]
                    case _ where tokens.isEmpty: tokens.append(String(character))
                    default: tokens[tokens.count - 1].append(character)
                    }
                }
            }
            rest = tokens.filter { !$0.isEmpty }[...]
        }

        var isAtEnd: Bool { rest.isEmpty }

        mutating func take(_ token: String) -> Bool {
            guard rest.first == token else { return false }
            rest.removeFirst()
            return true
        }

        mutating func word() -> String? {
            guard let word = rest.first, word.allSatisfy({ $0.isLetter || $0.isNumber || "._-".contains($0) }) else {
                return nil
            }
            rest.removeFirst()
            return word
        }

        mutating func type() -> ValueType? {
            if take("?") { return type().map { .optional($0) } }
            if take("[") {
                let isMap = take("string")
                guard take("]"), let element = type() else { return nil }
                return isMap ? .map(element) : .array(element)
            }
            switch rest.first {
            case "(": return structure()
            case "bool": rest.removeFirst(); return .bool
            case "int": rest.removeFirst(); return .int
            case "float": rest.removeFirst(); return .float
            case "string": rest.removeFirst(); return .string
            case "object": rest.removeFirst(); return .object
            default: return word().map { .named($0) }
            }
        }

        /// `(a: T, b: U)`, or the enumeration `(a, b)`.
        mutating func structure() -> ValueType? {
            guard take("(") else { return nil }
            var fields: [Field] = []
            var names: [String] = []
            while !take(")") {
                if !(fields.isEmpty && names.isEmpty) { guard take(",") else { return nil } }
                guard let name = word() else { return nil }
                if take(":") {
                    guard let type = type() else { return nil }
                    fields.append(Field(name: name, type: type))
                } else {
                    names.append(name)
                }
            }
            if names.isEmpty { return .structure(fields) }
            return fields.isEmpty ? .enumeration(names) : nil
        }
    }
}
