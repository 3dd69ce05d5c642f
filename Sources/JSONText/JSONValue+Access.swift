extension JSONValue {
    package var isNull: Bool { kind == .null }

    package var bool: Bool? {
        guard case .bool(let value) = kind else { return nil }
        return value
    }

    package var number: JSONNumber? {
        guard case .number(let value) = kind else { return nil }
        return value
    }

    /// The number if it is an integer that fits, however it is written (`3`, `3.0`, `3e0`).
    package var int: Int? { number?.int }

    package var string: String? {
        guard case .string(let value) = kind else { return nil }
        return value
    }

    package var array: [JSONValue]? {
        guard case .array(let values) = kind else { return nil }
        return values
    }

    package var object: [Member]? {
        guard case .object(let members) = kind else { return nil }
        return members
    }

    /// The value of a key, case-sensitive; nil too when this is no object. Linear in the number of members.
    package subscript(key: String) -> JSONValue? {
        object?.first { $0.key == key }?.value
    }

    /// The element at an index; nil when there is none, and when this is no array.
    package subscript(index: Int) -> JSONValue? {
        guard let array, array.indices.contains(index) else { return nil }
        return array[index]
    }

    /// What a path leads to.
    package subscript(path: JSONPath) -> JSONValue? {
        path.steps.reduce(self as JSONValue?) { value, step in
            switch step {
            case .key(let key): value?[key]
            case .index(let index): value?[index]
            }
        }
    }

    /// `object`, `array`, … with its article: for messages about a value of the wrong kind.
    package var kindName: String {
        switch kind {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object, .recognised: "an object"
        }
    }
}

extension JSONValue {
    package init(_ value: Bool) { self.init(.bool(value)) }
    package init(_ value: Int) { self.init(.number(JSONNumber(value))) }
    package init(_ value: UInt64) { self.init(.number(JSONNumber(value))) }
    package init(_ value: Double) { self.init(.number(JSONNumber(value))) }
    package init(_ value: JSONNumber) { self.init(.number(value)) }
    package init(_ value: String) { self.init(.string(value)) }
    package init(_ values: [JSONValue]) { self.init(.array(values)) }

    /// An object whose members stand in the given order.
    package init(object members: [(String, JSONValue)]) {
        self.init(.object(members.map { Member(key: $0.0, value: $0.1) }))
    }
}

extension JSONValue: ExpressibleByStringInterpolation {
    package init(stringLiteral value: String) { self.init(.string(value)) }
}

extension JSONValue: ExpressibleByIntegerLiteral {
    package init(integerLiteral value: Int) { self.init(value) }
}

extension JSONValue: ExpressibleByFloatLiteral {
    package init(floatLiteral value: Double) { self.init(value) }
}

extension JSONValue: ExpressibleByBooleanLiteral {
    package init(booleanLiteral value: Bool) { self.init(.bool(value)) }
}

extension JSONValue: ExpressibleByNilLiteral {
    package init(nilLiteral: ()) { self.init(.null) }
}

extension JSONValue: ExpressibleByArrayLiteral {
    package init(arrayLiteral elements: JSONValue...) { self.init(.array(elements)) }
}

extension JSONValue: ExpressibleByDictionaryLiteral {
    /// Members stay in the order written.
    package init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(object: elements) }
}

extension JSONValue {
    /// An object with one member more, behind the others; anything else unchanged.
    package func adding(_ key: String, _ value: JSONValue) -> JSONValue {
        guard case .object(let members) = kind else { return self }
        return JSONValue(.object(members + [Member(key: key, value: value)]), position: position)
    }
}
