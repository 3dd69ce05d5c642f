import ControlProtocol
import FlowLog
import Glibc
import JSONText
import NSGModel
import NetworkTypes

/// `nsgctl log verify`: the flow log held against the kernel's counters (F5).
enum LogProofVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let before = try lines(context)
        // What the daemon has put together by now is with its writer; that takes milliseconds.
        usleep(300_000)
        let accounts = before.compactMap { line in line.since.map { (line.rule, $0) } }
        let counted = LogFileCount(
            folder: context.logFolder, accounts: Dictionary(accounts) { first, _ in first })
        // The lines were counted while more came in, so they are held against both answers.
        let after = counted.problem == nil ? try lines(context) : before
        let rows = after.map { line in
            Row(line, before: before.first { $0.counter == line.counter } ?? line, counted)
        }
        switch context.format {
        case .json:
            let items = zip(after, rows).map { line, row in
                line.json.adding("inFiles", row.inFiles.map { JSONValue($0) } ?? nil)
                    .adding("isProven", JSONValue(row.isProven))
            }
            Output.line(JSONValue(items).text(style: .pretty))
        case .tsv: Output.tsv(rows.map(\.cells))
        case .table: show(rows, counted)
        }
        return rows.allSatisfy(\.isProven) ? .done : .no
    }

    private static func lines(_ context: Context) throws(CommandFailure) -> [Line] {
        try context.call(.verifyLog)["lines"]?.array?.map(Line.init) ?? []
    }

    private static func show(_ rows: [Row], _ counted: LogFileCount) {
        let columns = [
            "Rule", "Direction", "Access", "Counted", "Recorded", "In files", "Waiting", "Missing", "Proven",
        ]
        let used = rows.filter { $0.line.counted > 0 || !$0.isProven }
        if !used.isEmpty { Output.table([columns] + used.map(\.cells)) }
        let idle = rows.count - used.count
        if idle > 0 { Output.line("\(idle) counters have counted nothing.") }
        if let problem = counted.problem { Output.line("Lines were not counted: \(problem)") }
        let wrong = rows.filter { !$0.isProven }
        Output.line(
            wrong.isEmpty
                ? "Proven: what the kernel counted is what records tell of and what gaps declare."
                : "NOT PROVEN: \(wrong.count) of \(rows.count) counters do not agree with the log. Files that were removed, or "
                    + "that another program holds, make a difference too.")
    }
}

/// A line of the daemon's answer.
private struct Line {
    let json: JSONValue
    var counter: String { json["counter"]?.string ?? "" }
    /// Nil of what every list allowed.
    var rule: CountedRule? {
        if counter.hasPrefix("platform/") { return .platform(text("access") == Access.deny.rawValue ? .deny : .allow) }
        guard let name = json["rule"]?.string, let direction = Direction(rawValue: text("direction")) else {
            return nil
        }
        let group = ResourceID(text("networkSecurityGroup"))
        let collection = json["ruleCollection"]?.string.map { ResourceID($0) }
        let rule = RuleReference(
            owner: collection ?? group, qualifiedName: name, isAdmin: counter.hasPrefix("admin/"))
        return CountedRule(rule: rule, direction: direction)
    }
    var since: Timestamp? { json["since"]?.string.flatMap { Timestamp(rfc3339: $0) } }
    var counted: UInt64 { number("counted") }
    /// What records that are written tell of.
    var written: UInt64 { number("recorded") - min(number("waiting"), number("recorded")) }
    func text(_ key: String) -> String { json[key]?.string ?? "" }
    func number(_ key: String) -> UInt64 { json[key]?.int.map { UInt64(max($0, 0)) } ?? 0 }
}

/// What the table says of a counter.
private struct Row {
    let line: Line
    /// Nil where the lines are not all there, or cannot be read.
    let inFiles: UInt64?
    let isProven: Bool

    init(_ line: Line, before: Line, _ counted: LogFileCount) {
        self.line = line
        // Whoever adds up must come to the same, whatever the daemon's words.
        let isBalanced =
            line.counted + line.number("excess")
            == line.number("recorded") + line.number("missing") + line.number("onTheWay")
        let inFiles = counted[line.rule]
        self.inFiles = inFiles
        let isThere = inFiles.map { before.written <= $0 && $0 <= line.number("recorded") } ?? true
        isProven = isBalanced && isThere
    }

    var cells: [String] {
        let group = ResourceName.last(of: line.text("networkSecurityGroup"))
        return [
            group.isEmpty ? line.counter : "\(group)/\(line.text("rule"))", line.text("direction"), line.text("access"),
            "\(line.counted)", "\(line.number("recorded"))", inFiles.map { "\($0)" } ?? "-",
            "\(line.number("waiting"))", "\(line.number("missing"))", isProven ? "yes" : "NO",
        ]
    }
}
