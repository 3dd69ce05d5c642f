package import JSONText
package import NSGCompiler
import NSGModel

/// `rule-numbers.json` in the state folder: which number in a conntrack label is which rule (E4).
package enum NumberingFile {
    private static let version = 1

    package static func text(_ numbering: RuleNumbering) -> String {
        let rules = numbering.rules.sorted { $0.key < $1.key }.map { number, rule in
            JSONValue(object: [
                ("number", JSONValue(Int(number.value))), ("networkSecurityGroup", JSONValue(rule.group.description)),
                ("direction", JSONValue(rule.direction.rawValue)), ("name", JSONValue(rule.name)),
                ("default", JSONValue(rule.isDefault)), ("priority", JSONValue(rule.priority)),
                ("access", JSONValue(rule.access.rawValue)), ("version", JSONValue(rule.version)),
            ])
        }
        return JSONValue(object: [("version", JSONValue(version)), ("rules", JSONValue(rules))]).text(style: .compact)
            + "\n"
    }

    /// Nil where the text is not what `text(_:)` writes; entries that make no sense are passed over.
    package static func numbering(_ document: JSONValue) -> RuleNumbering? {
        guard document["version"]?.int == version, let rules = document["rules"]?.array else { return nil }
        return RuleNumbering(
            stored: rules.compactMap { entry in
                guard let number = entry["number"]?.int.flatMap(UInt32.init(exactly:)),
                    let group = entry["networkSecurityGroup"]?.string,
                    let direction = entry["direction"]?.string.flatMap(Direction.init(rawValue:)),
                    let name = entry["name"]?.string, let isDefault = entry["default"]?.bool,
                    let priority = entry["priority"]?.int,
                    let access = entry["access"]?.string.flatMap(Access.init(rawValue:)),
                    let version = entry["version"]?.string
                else { return nil }
                return (
                    RuleNumber(number),
                    NumberedRule(
                        group: ResourceID(group), direction: direction, name: name, isDefault: isDefault,
                        priority: priority, access: access, version: version)
                )
            })
    }
}
