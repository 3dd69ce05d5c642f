import ControlProtocol
import JSONText
import NSGConfig
import NSGEngine
import NSGModel
import Nftables

/// `check` and `compile`.
enum DocumentVerbs {
    static func check(_ context: Context) throws(CommandFailure) -> ExitStatus {
        var faults: [Fault] = []
        var notes: [String] = []
        var size = ""
        do throws(ConfigurationFaults) {
            let documents = try context.documents()
            notes = documents.notes
            size = documents.estate.size
        } catch {
            faults = error.faults
        }
        switch context.format {
        case .json: Output.line(JSONValue(object: [("faults", JSONValue(faults.map(\.json)))]).text(style: .pretty))
        case .tsv: Output.tsv(faults.map { [$0.file, "\($0.line)", "\($0.path)", $0.code, $0.message, $0.remedy] })
        case .table:
            for fault in faults { Output.line("\(fault)") }
            for note in notes { Output.error("note: \(note)") }
            if faults.isEmpty { Output.line("\(context.folderOrDefault): no faults (\(size))") }
        }
        return faults.isEmpty ? .done : .refused
    }

    static func compile(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let wantsStatistics = context.arguments.has("--stats")
        let answer: JSONValue
        if context.folder != nil {
            let policy = try context.offlinePolicy()
            answer = [
                "ruleset": JSONValue(policy.ruleset.description),
                "statistics": RulesetStatistics(policy.ruleset, policy.statistics).json,
            ]
        } else {
            answer = try context.call(.compile, ["statistics": JSONValue(wantsStatistics)])
        }
        if context.format == .json {
            Output.line(answer.text(style: .pretty))
        } else if wantsStatistics {
            let rows = (answer["statistics"]?.object ?? []).map { [$0.key, $0.value.text()] }
            context.format == .tsv ? Output.tsv(rows) : Output.table(rows)
        } else {
            Output.write(answer["ruleset"]?.string ?? "", to: 1)
        }
        return .done
    }
}

extension Estate {
    /// What was read: `4 groups, 3 networks, 9 interfaces, 9 bindings`.
    fileprivate var size: String {
        let counts = [
            (networkSecurityGroups.count, "group"), (virtualNetworks.count, "network"),
            (networkInterfaces.count, "interface"), (bindings.count, "binding"),
        ]
        return counts.map { "\($0) \($1)\($0 == 1 ? "" : "s")" }.joined(separator: ", ")
    }
}
