package import JSONText

extension Fault {
    /// As `check -o json` prints it (C4).
    package var json: JSONValue {
        JSONValue(object: [
            ("file", JSONValue(file)), ("line", JSONValue(line)), ("path", JSONValue(path.description)),
            ("code", JSONValue(code)), ("message", JSONValue(message)), ("remedy", JSONValue(remedy)),
        ])
    }
}
