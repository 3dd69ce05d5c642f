/// Metrics as text that Prometheus's tools read: the classic exposition format, which node_exporter's textfile
/// collector and `promtool check metrics` take. It is OpenMetrics but for one thing: the type of a counter is stated of
/// its whole name, `_total` included. The `# EOF` at the end, which OpenMetrics asks for, is a comment to the classic
/// format.
package struct MetricsText: Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge
    }

    package enum Value: Hashable, Sendable {
        case count(UInt64)
        /// Seconds since 1970, to the millisecond.
        case time(milliseconds: UInt64)

        package init(_ isTrue: Bool) { self = .count(isTrue ? 1 : 0) }
    }

    package struct Sample: Sendable {
        var labels: [(name: String, value: String)]
        var value: Value

        package init(_ value: Value, _ labels: (name: String, value: String)...) {
            self.labels = labels
            self.value = value
        }
    }

    private var text = ""

    package init() {}

    /// All samples of one name, in a row as the format wants them. Nothing for none.
    /// - Parameter help: one sentence.
    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            text += name
            if !sample.labels.isEmpty {
                let labels = sample.labels.map { "\($0.name)=\"\(Self.escaped($0.value, quotes: true))\"" }
                text += "{\(labels.joined(separator: ","))}"
            }
            text += " \(sample.value)\n"
        }
    }

    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Value?) {
        add(name, kind, help, value.map { [Sample($0)] } ?? [])
    }

    package consuming func finished() -> String { text + "# EOF\n" }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5c || $0 == 0x0a || $0 == 0x22 && quotes }) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension MetricsText.Value: CustomStringConvertible {
    package var description: String {
        switch self {
        case .count(let count): return "\(count)"
        case .time(let milliseconds):
            let fraction = String(milliseconds % 1000)
            return "\(milliseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
        }
    }
}
