import ControlProtocol
import FlowLog
import Glibc
import JSONText
import TrafficReport

/// `top`: talkers, denied, rules and ports of a time that goes on until now (K3).
enum TopVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let arguments = context.arguments
        let lists: [TrafficQuery.Part] =
            try arguments.operands.first.map { (name) throws(CommandFailure) in
                let lists = TrafficTables.order
                guard let list = lists.first(where: { $0.rawValue == name }) else {
                    throw usage("top \(name): there are \(lists.map(\.rawValue).joined(separator: ", "))")
                }
                return [list]
            } ?? TrafficTables.order
        let since = arguments.value("--since") ?? "1h"
        _ = try Since.moment(since, now: Since.now)
        let limit = try context.limit(upTo: TrafficQuery.mostRows) ?? (lists.count == 1 ? 20 : 5)
        let ask = { () throws(CommandFailure) -> JSONValue in
            try context.traffic(
                TrafficQuery(
                    since: try Since.moment(since, now: Since.now), networkInterface: arguments.value("--nic"),
                    limit: limit, parts: Set(lists)))
        }
        guard arguments.has("--watch") else {
            try show(try ask(), lists, context.format)
            return .done
        }
        return try watch(context, lists, ask)
    }

    private static func show(
        _ answer: JSONValue, _ lists: [TrafficQuery.Part], _ format: Context.Format
    ) throws(CommandFailure) {
        guard format != .json else { return Output.line(answer.text(style: .pretty)) }
        let tables = TrafficTables(try Context.summary(in: answer))
        if format == .tsv {
            let isOne = lists.count == 1
            for list in lists { Output.tsv(tables.values(list).map { isOne ? $0 : [list.rawValue] + $0 }) }
        } else {
            for line in tables.lines(lists) { Output.line(line) }
        }
    }

    /// Until a signal ends it.
    private static func watch(
        _ context: Context, _ lists: [TrafficQuery.Part], _ ask: () throws(CommandFailure) -> JSONValue
    ) throws(CommandFailure) -> ExitStatus {
        if context.format == .table {
            try LiveScreen.run { () throws(CommandFailure) -> [String] in
                TrafficTables(try Context.summary(in: try ask())).lines(lists)
            }
            return .done
        }
        while true {
            try show(try ask(), lists, context.format)
            Output.line("")
            guard sleep(2) == 0 else { return .done }
        }
    }
}

extension Context {
    /// The answer of the method `Traffic`.
    func traffic(_ query: TrafficQuery) throws(CommandFailure) -> JSONValue {
        try call(.traffic, query.json, within: 30)
    }

    static func summary(in answer: JSONValue) throws(CommandFailure) -> TrafficSummary {
        guard let summary = answer["traffic"].flatMap({ TrafficSummary($0) }) else {
            throw CommandFailure(status: .refused, message: "the daemon's answer is not understood: \(answer.text())")
        }
        return summary
    }
}
