import JSONText

/// Writes one JSON object, member by member, into one buffer: a line is written for each new connection, so no tree of
/// values is built for it. Keys need no escapes.
struct JSONLine {
    private var bytes: [UInt8] = []
    /// The next member or element is the first of its object or array.
    private var isFirst = true

    init() {
        bytes.reserveCapacity(1024)
        open(UInt8(ascii: "{"))
    }

    mutating func append(_ key: String, _ value: String) {
        appendKey(key)
        appendString(value)
    }

    mutating func append(_ key: String, number: some BinaryInteger) {
        appendKey(key)
        bytes += String(number).utf8
    }

    /// A member that is there only when it is true.
    mutating func append(_ key: String, ifTrue value: Bool) {
        guard value else { return }
        appendKey(key)
        bytes += "true".utf8
    }

    /// An array of objects; `write` gives the members of each.
    mutating func append<Element>(_ key: String, objects: [Element], write: (Element, inout JSONLine) -> Void) {
        appendKey(key)
        open(UInt8(ascii: "["))
        for element in objects {
            separate()
            open(UInt8(ascii: "{"))
            write(element, &self)
            close(UInt8(ascii: "}"))
        }
        close(UInt8(ascii: "]"))
    }

    /// The finished object.
    consuming func text() -> String {
        close(UInt8(ascii: "}"))
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func appendKey(_ key: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes += key.utf8
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func appendString(_ text: String) {
        let start = bytes.count
        bytes.append(UInt8(ascii: "\""))
        bytes += text.utf8
        if bytes[(start + 1)...].contains(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5c || $0 == 0x7f }) {
            bytes.removeSubrange(start...)
            bytes += jsonString(text).utf8
        } else {
            bytes.append(UInt8(ascii: "\""))
        }
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
