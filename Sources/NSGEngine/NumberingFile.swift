package import JSONText
package import NSGCompiler
import NSGModel

/// `rule-numbers.jsonl` in the state folder: which number in a conntrack label is which rule (E4). A line for each
/// number that was given or taken back, in this order, so that a change of a rule is a line at the end; of one number
/// the last line holds.
package enum NumberingFile {
    private static let format = 3

    // MARK: Writing

    /// The whole.
    package static func text(_ numbering: RuleNumbering) -> [UInt8] {
        header + lines(numbering.rules.keys.sorted(), of: numbering)
    }

    /// What has changed since the numbering was last written down.
    package static func addition(_ numbering: RuleNumbering) -> [UInt8] {
        lines(numbering.unsaved.sorted(), of: numbering)
    }

    private static let header = Array("{\"format\":\(format)}\n".utf8)

    private static func lines(_ numbers: [RuleNumber], of numbering: RuleNumbering) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(numbers.count * 256)
        var owner: (id: ResourceID, text: String)?
        for number in numbers {
            guard let rule = numbering.rules[number] else {
                bytes += "{\"retired\":\(number.value)}\n".utf8
                continue
            }
            // Rules of a group mostly follow one another.
            if owner?.id.description != rule.owner.description {
                owner = (rule.owner, jsonString(rule.owner.description))
            }
            bytes += "{\"number\":\(number.value),\"owner\":\(owner?.text ?? "")".utf8
            bytes += ",\"direction\":\"\(rule.direction.rawValue)\",\"name\":\(jsonString(rule.name))".utf8
            bytes += ",\"kind\":\"\(rule.kind.rawValue)\",\"priority\":\(rule.priority)".utf8
            bytes += ",\"access\":\"\(rule.access.rawValue)\",\"version\":\"\(rule.version)\"}\n".utf8
        }
        return bytes
    }

    // MARK: Reading

    package struct Content {
        package var numbering: RuleNumbering
        /// More lines may be appended as it is: it ends with a whole line, and every line was read.
        package var isWhole: Bool
        /// Lines that could not be read, but for the last: that one a machine may have died in.
        package var damagedLines: Int
        package var lineCount: Int
    }

    /// Nil where it is no such file.
    package static func content(_ bytes: [UInt8]) -> Content? {
        guard bytes.starts(with: header) else { return nil }
        var lines = bytes[header.count...].split(separator: UInt8(ascii: "\n"))
        let endsWhole = bytes.last == UInt8(ascii: "\n")
        if !endsWhole { _ = lines.popLast() }
        let values = values(lines)
        var reader = EntryReader()
        let damaged = values.count { value in !(value.map { reader.take($0) } ?? false) }
        return Content(
            numbering: reader.numbering, isWhole: endsWhole && damaged == 0, damagedLines: damaged,
            lineCount: lines.count)
    }

    /// One at a time only where the file is damaged.
    private static func values(_ lines: [ArraySlice<UInt8>]) -> [JSONValue?] {
        var list: [UInt8] = [UInt8(ascii: "[")]
        list.append(contentsOf: lines.joined(separator: [UInt8(ascii: ",")]))
        list.append(UInt8(ascii: "]"))
        if let values = try? JSONValue(parsing: list, dialect: .json).array, values.count == lines.count {
            return values
        }
        return lines.map { try? JSONValue(parsing: Array($0), dialect: .json) }
    }

    /// `rule-numbers.json` of earlier releases, which told versions apart by the text that they are a digest of now.
    package static func earlierFormat(_ document: JSONValue) -> RuleNumbering? {
        guard document["version"]?.int == 2, let rules = document["rules"]?.array else { return nil }
        var reader = EntryReader()
        for rule in rules { _ = reader.take(rule) { RuleVersion(ofText: $0.utf8) } }
        return reader.numbering
    }
}

/// What the lines come to, one after the other.
private struct EntryReader {
    private var rules: [RuleNumber: NumberedRule] = [:]
    /// Each owner is stored once, as documents have it.
    private var owners: [String: ResourceID] = [:]

    var numbering: RuleNumbering { RuleNumbering(stored: rules.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }) }

    /// False where the entry makes no sense.
    mutating func take(_ entry: JSONValue, version read: (String) -> RuleVersion? = { RuleVersion($0) }) -> Bool {
        if let retired = entry["retired"]?.int.flatMap(UInt32.init(exactly:)) {
            rules[RuleNumber(retired)] = nil
            return true
        }
        guard let number = entry["number"]?.int.flatMap(UInt32.init(exactly:)), RuleNumber.range.contains(number),
            let owner = entry["owner"]?.string,
            let direction = entry["direction"]?.string.flatMap(Direction.init(rawValue:)),
            let name = entry["name"]?.string, let kind = entry["kind"]?.string.flatMap(RuleKind.init(rawValue:)),
            let priority = entry["priority"]?.int,
            let access = entry["access"]?.string.flatMap(Access.init(rawValue:)),
            let version = entry["version"]?.string.flatMap(read)
        else { return false }
        let id = owners[owner] ?? ResourceID(owner)
        owners[owner] = id
        rules[RuleNumber(number)] = NumberedRule(
            owner: id, direction: direction, name: name, kind: kind, priority: priority, access: access,
            version: version)
        return true
    }
}
