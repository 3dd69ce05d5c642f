import FlowLog
import NSGModel
import NetworkTypes
import TrafficReport

/// The lists of a summary, for people and for programs.
struct TrafficTables {
    static let order: [TrafficQuery.Part] = [.talkers, .denied, .rules, .ports]

    let summary: TrafficSummary

    init(_ summary: TrafficSummary) { self.summary = summary }

    // MARK: For people

    func lines(_ lists: [TrafficQuery.Part]) -> [String] {
        var lines = heading
        for list in lists {
            let (title, table) = table(list)
            lines += ["", title] + (table.rows.isEmpty ? ["  nothing"] : table.lines.map { "  \($0)" })
        }
        return lines
    }

    private var heading: [String] {
        let totals = summary.totals
        let seconds = summary.to.seconds - min(summary.from.seconds, summary.to.seconds)
        var lines = [
            "\(Figures.minute(summary.from)) to \(Figures.minute(summary.to)) UTC (\(Figures.duration(seconds: seconds)))",
            "\(Figures.grouped(totals.allowed)) flows allowed, \(Figures.grouped(totals.denied)) packets denied, "
                + "\(Figures.bytes(totals.bytes)) carried, \(Figures.grouped(totals.talkers)) pairs",
        ]
        if seconds == 0 { lines = ["No traffic since \(Figures.minute(summary.from)) UTC"] }
        if totals.missing > 0 { lines.append("\(Figures.grouped(totals.missing)) decisions declared missing") }
        if summary.rowsLost > 0 { lines.append("\(Figures.grouped(summary.rowsLost)) rows could not be stored") }
        return lines
    }

    private func table(_ list: TrafficQuery.Part) -> (title: String, table: TextTable) {
        switch list {
        case .talkers: ("TALKERS, by bytes", talkers)
        case .denied: ("DENIED, by packets", denied)
        case .rules:
            (
                "RULES, by flows; hits are since a rule was loaded; \(summary.neverFiredCount) of \(summary.ruleCount) never fired",
                rules
            )
        case .ports, .timeline, .gaps: ("PORTS, by flows", ports)
        }
    }

    private var talkers: TextTable {
        TextTable(
            ["Source", "Destination", "Flows", "Denied", "Packets", "Bytes", "Type"], numbers: [2, 3, 4, 5],
            summary.talkers.map { talker in
                [
                    named(talker.source.description, talker.sourceName),
                    named(talker.destination.description, talker.destinationName), Figures.grouped(talker.flows),
                    Figures.grouped(talker.denied), Figures.grouped(talker.packets), Figures.bytes(talker.bytes),
                    talker.flowType,
                ]
            })
    }

    private func named(_ address: String, _ name: String) -> String { name.isEmpty ? address : "\(address) \(name)" }

    private var denied: TextTable {
        TextTable(
            ["Source", "Destination", "Port", "Packets", "Last", "Direction", "Rule"], numbers: [3],
            summary.denials.map { denial in
                [
                    denial.source.description, denial.destination.description,
                    portName(denial.protocol, denial.port), Figures.grouped(denial.flows),
                    Figures.minute(denial.last), denial.direction.rawValue, rule(denial.group, denial.rule),
                ]
            })
    }

    private var rules: TextTable {
        TextTable(
            ["Rule", "Direction", "Priority", "Access", "Flows", "Bytes", "Hits"], numbers: [2, 4, 5, 6],
            (summary.rules + summary.neverFired).map { entry in
                [
                    rule(entry.group, entry.name), entry.direction.rawValue, entry.priority.map(String.init) ?? "gone",
                    entry.access, Figures.grouped(entry.flows), Figures.bytes(entry.bytes),
                    entry.hasNeverFired ? "never" : entry.hits.map(Figures.grouped) ?? "-",
                ]
            })
    }

    private func rule(_ group: String, _ name: String) -> String {
        group.isEmpty ? "platform" : "\(ResourceName.last(of: group))/\(name)"
    }

    private var ports: TextTable {
        TextTable(
            ["Port", "Flows", "Denied", "Bytes"], numbers: [1, 2, 3],
            summary.ports.map { port in
                [port.name, Figures.grouped(port.flows), Figures.grouped(port.denied), Figures.bytes(port.bytes)]
            })
    }

    // MARK: For programs

    /// Numbers as they are, ids in full.
    func values(_ list: TrafficQuery.Part) -> [[String]] {
        switch list {
        case .talkers:
            summary.talkers.map {
                [
                    "\($0.source)", "\($0.destination)", "\($0.flows)", "\($0.denied)", "\($0.packets)", "\($0.bytes)",
                    $0.flowType,
                ]
            }
        case .denied:
            summary.denials.map {
                [
                    "\($0.source)", "\($0.destination)", "\($0.protocol)", "\($0.port)", "\($0.flows)", "\($0.last)",
                    $0.direction.rawValue, $0.group, $0.rule,
                ]
            }
        case .rules:
            (summary.rules + summary.neverFired).map {
                [
                    $0.group, $0.name, $0.direction.rawValue, $0.priority.map(String.init) ?? "", $0.access,
                    "\($0.flows)", "\($0.bytes)", $0.hits.map(String.init) ?? "",
                ]
            }
        case .ports, .timeline, .gaps:
            summary.ports.map { ["\($0.protocol)", "\($0.port)", "\($0.flows)", "\($0.denied)", "\($0.bytes)"] }
        }
    }
}

/// Columns of text, numbers flush right, with two blanks between.
struct TextTable {
    let header: [String]
    /// Columns that are flush right.
    let numbers: Set<Int>
    let rows: [[String]]

    init(_ header: [String], numbers: Set<Int>, _ rows: [[String]]) {
        self.header = header
        self.numbers = numbers
        self.rows = rows
    }

    var lines: [String] {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.enumerated().map { index, cell in
                let blanks = String(repeating: " ", count: widths[index] - cell.count)
                if numbers.contains(index) { return blanks + cell }
                return index == row.count - 1 ? cell : cell + blanks
            }
            return cells.joined(separator: "  ")
        }
    }
}
