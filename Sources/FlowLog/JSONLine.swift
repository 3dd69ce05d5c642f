import JSONText

/// Writes JSON objects, member by member, into one buffer: a line is written for each new connection, so no tree of
/// values is built for it. Keys need no escapes.
struct JSONLine {
    /// What is written so far.
    private(set) var bytes: [UInt8]
    /// The next member or element is the first of its object or array.
    private var isFirst: Bool

    /// Begins an object.
    init() {
        bytes = [UInt8(ascii: "{")]
        isFirst = true
    }

    /// Goes on behind members of an object, so that a comma comes first.
    init(continuing bytes: [UInt8]) {
        self.bytes = bytes
        isFirst = false
    }

    mutating func append(_ key: String, _ value: String) {
        appendKey(key)
        bytes.append(jsonString: value)
    }

    mutating func append(_ key: String, number: UInt64) {
        appendKey(key)
        bytes.append(decimal: number)
    }

    /// A member that is there only when it is true.
    mutating func append(_ key: String, ifTrue value: Bool) {
        guard value else { return }
        appendKey(key)
        bytes += "true".utf8
    }

    /// A member whose value is JSON already.
    mutating func append(_ key: String, raw value: [UInt8]) {
        appendKey(key)
        bytes += value
    }

    mutating func append(_ key: String, object write: (inout JSONLine) -> Void) {
        appendKey(key)
        append(object: write)
    }

    /// An array of objects; `write` gives the members of each.
    mutating func append<Element>(_ key: String, objects: [Element], write: (Element, inout JSONLine) -> Void) {
        appendKey(key)
        open(UInt8(ascii: "["))
        for element in objects {
            separate()
            append { line in write(element, &line) }
        }
        close(UInt8(ascii: "]"))
    }

    /// Ends the object that `init()` began.
    mutating func end() { close(UInt8(ascii: "}")) }

    private mutating func append(object write: (inout JSONLine) -> Void) {
        open(UInt8(ascii: "{"))
        write(&self)
        close(UInt8(ascii: "}"))
    }

    private mutating func appendKey(_ key: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes += key.utf8
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func separate() {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
    }

    private mutating func open(_ bracket: UInt8) {
        bytes.append(bracket)
        isFirst = true
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        isFirst = false
    }
}
