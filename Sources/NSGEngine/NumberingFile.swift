package import JSONText
package import NSGCompiler
import NSGModel

/// `rule-numbers.json` in the state folder: which number in a conntrack label is which rule (E4).
package enum NumberingFile {
    private static let version = 2

    package static func text(_ numbering: RuleNumbering) -> String {
        let rules = numbering.rules.sorted { $0.key < $1.key }.map { number, rule in
            JSONValue(object: [
                ("number", JSONValue(Int(number.value))), ("owner", JSONValue(rule.owner.description)),
                ("direction", JSONValue(rule.direction.rawValue)), ("name", JSONValue(rule.name)),
                ("kind", JSONValue(rule.kind.rawValue)), ("priority", JSONValue(rule.priority)),
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
                    let owner = entry["owner"]?.string,
                    let direction = entry["direction"]?.string.flatMap(Direction.init(rawValue:)),
                    let name = entry["name"]?.string,
                    let kind = entry["kind"]?.string.flatMap(RuleKind.init(rawValue:)),
                    let priority = entry["priority"]?.int,
                    let access = entry["access"]?.string.flatMap(Access.init(rawValue:)),
                    let version = entry["version"]?.string
                else { return nil }
                return (
                    RuleNumber(number),
                    NumberedRule(
                        owner: ResourceID(owner), direction: direction, name: name, kind: kind,
                        priority: priority, access: access, version: version)
                )
            })
    }
}
