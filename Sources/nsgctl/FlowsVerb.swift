import ControlProtocol
import Glibc
import JSONText
import SystemServices

/// `flows` and `flows end`: live connections with the rules that let them in (K3).
enum FlowsVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        switch context.arguments.operands.first {
        case nil: break
        case "end": return try end(context)
        case let word?: throw usage("unknown flows '\(word)'; there are flows and flows end")
        }
        guard !context.arguments.has("--yes") else { throw usage("--yes is for flows end") }
        if context.arguments.has("--watch") {
            guard context.format == .table else { throw usage("flows --watch draws a table; leave -o out") }
            return try watch(context)
        }
        switch context.format {
        case .json: try printArray(context)
        case .tsv: try stream(context) { Output.tsv([FlowRow($0).fields]) }
        case .table: try printTable(context)
        }
        return .done
    }

    // MARK: Asking

    /// How many connections, and how many rows of them, were found.
    struct Found {
        var connections = 0
        var rows = 0
    }

    private static func filter(_ context: Context) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = []
        for name in ["nic", "rule", "peer", "protocol"] {
            if let value = context.arguments.value("--\(name)") { members.append((name, JSONValue(value))) }
        }
        if context.arguments.has("--would-now-deny") { members.append(("wouldNowDeny", true)) }
        return members
    }

    private static func limit(_ context: Context) throws(CommandFailure) -> Int? {
        guard let text = context.arguments.value("--limit") else { return nil }
        guard let limit = Int(text), limit >= 0 else { throw usage("--limit \(text): a number of flows") }
        return limit
    }

    /// - Parameter most: rows; those of `--limit` where it is nil.
    @discardableResult
    private static func stream(
        _ context: Context, most: Int? = nil, each body: (JSONValue) -> Void
    ) throws(CommandFailure) -> Found {
        var parameters = filter(context)
        let asked = try limit(context)
        if let limit = most ?? asked { parameters.append(("limit", JSONValue(limit))) }
        var found = Found()
        try context.stream(.flows, JSONValue(object: parameters)) { reply in
            if let flow = reply["flow"], !flow.isNull { body(flow) }
            found.connections = reply["connections"]?.int ?? found.connections
            found.rows = reply["rows"]?.int ?? found.rows
            return true
        }
        return found
    }

    /// Each once: one that moves in the kernel's table may be listed twice.
    private static func rows(_ context: Context, most: Int? = nil) throws(CommandFailure) -> ([FlowRow], Found) {
        var rows: [FlowRow] = []
        var seen: Set<String> = []
        let found = try stream(context, most: most) { flow in
            let row = FlowRow(flow)
            if seen.insert(row.identity).inserted { rows.append(row) }
        }
        return (rows.sorted { $0.cells.before.lexicographicallyPrecedes($1.cells.before) }, found)
    }

    // MARK: Printing

    /// A valid document however many there are, and none of them is kept.
    private static func printArray(_ context: Context) throws(CommandFailure) {
        var isFirst = true
        try stream(context) { flow in
            Output.line((isFirst ? "[" : ",") + flow.text(style: .compact))
            isFirst = false
        }
        Output.line(isFirst ? "[]" : "]")
    }

    private static func printTable(_ context: Context) throws(CommandFailure) {
        let (rows, found) = try rows(context)
        guard !rows.isEmpty else { return Output.line("no connection") }
        Output.table(table(rows, traffic: ["Packets", "Bytes"], \.trafficCells))
        if found.rows > rows.count { Output.line("… and \(found.rows - rows.count) more") }
    }

    private static func table(
        _ rows: [FlowRow], traffic headers: [String], _ traffic: (FlowRow) -> [String]
    ) -> [[String]] {
        [FlowRow.headers.before + headers + FlowRow.headers.after]
            + rows.map { $0.cells.before + traffic($0) + $0.cells.after }
    }

    // MARK: Watching

    /// Beyond them a screen shows nothing, and each listing would take long.
    private static let mostWatched = 5_000

    private static func watch(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let limit = try limit(context)
        var rates = FlowRates()
        try LiveScreen.run { () throws(CommandFailure) -> [String] in
            let (rows, found) = try rows(context, most: limit ?? mostWatched)
            rates.take(rows, at: Clock.monotonic)
            let busiest = rates.busiestFirst(rows)
            let lines = Output.lines(ofTable: table(busiest, traffic: ["Packets/s", "Bytes/s"], rates.cells))
            let title =
                (found.connections == 1 ? "1 connection" : "\(found.connections) connections")
                + (found.rows > rows.count ? ", not all of them shown" : "")
            return [title, ""] + lines
        }
        return .done
    }

    // MARK: Ending

    /// So many connections are named one by one, so that what was shown is what ends; more are chosen by the filter.
    private static let mostNamed = 4_000
    private static let mostShown = 40

    private static func end(_ context: Context) throws(CommandFailure) -> ExitStatus {
        guard !context.arguments.has("--watch"), context.arguments.value("--limit") == nil else {
            throw usage("flows end takes neither --watch nor --limit")
        }
        let filter = filter(context)
        guard !filter.isEmpty else {
            throw usage("which flows? flows end takes --nic, --rule, --peer, --protocol or --would-now-deny")
        }
        // Two rows at most for each.
        let (rows, found) = try rows(context, most: 2 * mostNamed)
        guard found.connections > 0 else {
            show(ended: 0, ["ended": 0, "problems": []], context)
            return .done
        }
        let connections = Dictionary(rows.map { ($0.connection, $0) }) { first, _ in first }
        let isNamed = found.rows <= 2 * mostNamed
        let count = isNamed ? connections.count : found.connections
        if !context.arguments.has("--yes") {
            try confirm(count, rows, found)
        }
        var parameters = filter
        // What was shown, though it be allowed again meanwhile.
        if isNamed { parameters = [("flows", JSONValue(connections.values.map(\.document)))] }
        let answer = try context.call(.endFlows, JSONValue(object: parameters))
        show(ended: count, answer, context)
        return answer["problems"]?.array?.isEmpty ?? true ? .done : .refused
    }

    private static func confirm(_ count: Int, _ rows: [FlowRow], _ found: Found) throws(CommandFailure) {
        guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else {
            let what = count == 1 ? "1 connection" : "\(count) connections"
            throw CommandFailure(
                status: .refused,
                message: "this would end \(what), and there is no terminal to ask on; --yes does it without asking")
        }
        let shown = table(Array(rows.prefix(mostShown)), traffic: ["Packets", "Bytes"], \.trafficCells)
        for line in Output.lines(ofTable: shown) { Output.error(line) }
        if found.rows > mostShown { Output.error("… and \(found.rows - mostShown) more") }
        Output.write("End \(count == 1 ? "this connection" : "these \(count) connections")? [y/N] ", to: STDERR_FILENO)
        guard ["y", "yes"].contains(readLine()?.lowercased() ?? "") else {
            throw CommandFailure(status: .no, message: "nothing was ended")
        }
    }

    private static func show(ended asked: Int, _ answer: JSONValue, _ context: Context) {
        let ended = answer["ended"]?.int ?? 0
        switch context.format {
        case .json: Output.line(answer.text(style: .pretty))
        case .tsv: Output.tsv([["\(ended)"]])
        case .table:
            let gone = asked - ended
            Output.line(
                (ended == 1 ? "1 connection was ended" : "\(ended) connections were ended")
                    + (gone > 0 ? "; \(gone) had gone by then" : ""))
        }
        for problem in answer["problems"]?.array ?? [] { Output.error("nsgctl: \(problem.string ?? "")") }
    }
}
