/// A command line, read: options may stand before or after the verb and its operands (SPEC, section 1).
struct Arguments {
    var verb: String?
    var operands: [String] = []
    private var values: [String: String] = [:]
    private var flags: Set<String> = []

    struct Problem: Error {
        var description: String
    }

    /// Options with a value, and those without; by their long names.
    private static let withValue: Set<String> = [
        "--config", "--state", "--logs", "--socket", "--output", "--nic", "--vm", "--direction", "--protocol",
        "--local",
        "--remote", "--batch", "--rule", "--verdict", "--count", "--duration", "--write", "--peer", "--limit",
        "--since",
        "--html",
    ]
    private static let withoutValue: Set<String> = [
        "--help", "--version", "--stats", "--explain", "--exit-code", "--follow", "--denied", "--merged",
        "--watch", "--would-now-deny", "--yes",
    ]
    private static let short = ["-o": "--output", "-h": "--help", "-f": "--follow", "-w": "--write"]

    init(_ arguments: [String]) throws(Problem) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-"), argument != "-" else {
                if verb == nil { verb = argument } else { operands.append(argument) }
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = Self.short[parts[0]] ?? parts[0]
            if Self.withValue.contains(name) {
                guard let value = parts.count == 2 ? parts[1] : rest.popFirst() else {
                    throw Problem(description: "\(name) needs a value")
                }
                values[name] = value
            } else if Self.withoutValue.contains(name), parts.count == 1 {
                flags.insert(name)
            } else {
                throw Problem(description: "unknown option '\(argument)'")
            }
        }
    }

    func value(_ name: String) -> String? { values[name] }
    func has(_ name: String) -> Bool { flags.contains(name) }

    /// Options that were given and that a verb does not know.
    func strangers(to known: Set<String>) -> [String] {
        (Set(values.keys).union(flags)).subtracting(known).sorted()
    }
}
