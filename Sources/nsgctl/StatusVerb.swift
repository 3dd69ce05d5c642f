import ControlProtocol
import JSONText

enum StatusVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let status = try context.call(.status)["status"] ?? [:]
        let bindings = (status["bindings"]?.array ?? []).map(row(ofBinding:))
        switch context.format {
        case .json: Output.line(status.text(style: .pretty))
        case .tsv: Output.tsv(bindings)
        case .table: show(status, bindings)
        }
        return .done
    }

    private static func row(ofBinding binding: JSONValue) -> [String] {
        let text = { (key: String) in binding[key]?.string ?? "" }
        let groups = (binding["networkSecurityGroups"]?.array ?? []).map { ResourceName.last(of: $0.string ?? "") }
        return [
            ResourceName.last(of: text("nic")), text("interface"), text("attachment"),
            binding["present"]?.bool ?? false ? "present" : "absent",
            groups.isEmpty ? "-" : groups.joined(separator: ","),
        ]
    }

    /// `5 foreign address, 2 invalid`: all interfaces together.
    private static func dropped(_ status: JSONValue) -> String {
        var sums: [(reason: String, packets: Int)] = []
        for entry in status["dropped"]?.array ?? [] {
            let (reason, packets) = (entry["reason"]?.string ?? "", entry["packets"]?.int ?? 0)
            if let index = sums.firstIndex(where: { $0.reason == reason }) {
                sums[index].packets += packets
            } else {
                sums.append((reason, packets))
            }
        }
        return sums.isEmpty
            ? "none outside of the rules" : sums.map { "\($0.packets) \($0.reason)" }.joined(separator: ", ")
    }

    private static func conntrack(_ status: JSONValue) -> String {
        guard let fill = status["conntrack"], !fill.isNull else { return "unknown" }
        return "\(fill["connections"]?.text() ?? "") of \(fill["limit"]?.text() ?? "") connections"
    }

    private static func show(_ status: JSONValue, _ bindings: [[String]]) {
        let number = { (path: JSONPath) in status[path]?.text() ?? "0" }
        let since = status["enforcedSince"]?.string
        Output.line("nsgd \(status["version"]?.string ?? ""), started \(status["startedAt"]?.string ?? "")")
        Output.line(since.map { "Enforced since \($0)" } ?? "Nothing is enforced")
        for problem in status["problems"]?.array ?? [] { Output.line("PROBLEM: \(problem.string ?? "")") }
        Output.line(
            """
            Flows      \(number(["flows"])) live, \(number(["flowsEnded"])) ended by flushConnection and flows end
            Decisions  \(number(["decisions", "total"])), in the log \(number(["decisions", "logged"]))
            Losses     \(number(["losses", "packetCopies"])) decisions, \(number(["losses", "logRecords"])) log records, \
            \(number(["losses", "conntrackEvents"])) overruns of conntrack events
            Dropped    \(dropped(status))
            Conntrack  \(conntrack(status))
            Drift      \(number(["drift", "found"])) found, \(number(["drift", "healed"])) healed
            """)
        if let reload = status["lastReload"], !reload.isNull {
            Output.line(
                "Last load  \(reload["result"]?.string ?? "") at \(reload["at"]?.string ?? ""): \(reload["message"]?.string ?? "")"
            )
        }
        if !bindings.isEmpty {
            Output.line("")
            Output.table([["NIC", "Interface", "Attachment", "Device", "Security groups"]] + bindings)
        }
    }
}
