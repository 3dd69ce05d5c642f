import ControlProtocol
import FlowLog
import Glibc
import JSONText
import NetworkTypes
import SystemServices
import TrafficReport

/// `report`: a period as tables, or as a page to keep (K3).
enum ReportVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let arguments = context.arguments
        let now = Since.now
        let interface = arguments.value("--nic")
        let query = TrafficQuery(
            since: try Since.moment(arguments.value("--since") ?? "1d", now: now), networkInterface: interface,
            limit: try context.limit(upTo: TrafficQuery.mostRows) ?? 20)
        let answer = try context.traffic(query)
        let summary = try Context.summary(in: answer)
        guard let path = arguments.value("--html") else {
            show(answer, summary, context.format)
            return .done
        }
        let status = try context.call(.status, within: 30)["status"] ?? [:]
        let report = HTMLReport(
            summary, host: hostName, policy: policy(in: status), networkInterface: interface,
            version: status["version"]?.string ?? Installation.version, created: now)
        try write(report.page, to: path)
        return .done
    }

    private static func show(_ answer: JSONValue, _ summary: TrafficSummary, _ format: Context.Format) {
        let tables = TrafficTables(summary)
        switch format {
        case .json: Output.line(answer.text(style: .pretty))
        case .tsv:
            for list in TrafficTables.order { Output.tsv(tables.values(list).map { [list.rawValue] + $0 }) }
        case .table:
            for line in tables.lines(TrafficTables.order) { Output.line(line) }
        }
    }

    /// Whoever opens the file sees the page before it or this one.
    private static func write(_ page: String, to path: String) throws(CommandFailure) {
        guard path != "-" else { return Output.write(page, to: STDOUT_FILENO) }
        var status = stat()
        if unsafe stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            throw CommandFailure(
                status: .refused, message: "\(path) is not a regular file, and is not replaced; - is standard output")
        }
        do throws(KernelError) {
            try Files.replace(path, with: Array(page.utf8))
        } catch { throw CommandFailure(status: .refused, message: "\(error)") }
        Output.line("\(path): \(Figures.bytes(UInt64(page.utf8.count)))")
    }

    /// `web, db (2 groups) on 3 interfaces`
    private static func policy(in status: JSONValue) -> String {
        let bindings = status["bindings"]?.array ?? []
        let names = bindings.flatMap { $0["networkSecurityGroups"]?.array ?? [] }.compactMap(\.string)
        let groups = Set(names.map { ResourceName.last(of: $0) }).sorted()
        guard !bindings.isEmpty else { return "nothing is enforced" }
        let some = groups.prefix(4).joined(separator: ", ") + (groups.count > 4 ? " and \(groups.count - 4) more" : "")
        return "\(some.isEmpty ? "no groups" : some) on \(bindings.count) interface\(bindings.count == 1 ? "" : "s")"
    }

    private static var hostName: String {
        var name = utsname()
        guard unsafe uname(&name) == 0 else { return "this host" }
        return unsafe withUnsafeBytes(of: &name.nodename) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
