import ControlProtocol
import JSONText

/// `reload` and `flush`.
enum ChangeVerbs {
    static func reload(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let answer = try context.call(.reload)
        guard context.format != .json else {
            Output.line(answer.text(style: .pretty))
            return .done
        }
        let outcome = answer["outcome"] ?? [:]
        Output.line("\(outcome["result"]?.string ?? ""): \(outcome["message"]?.string ?? "")")
        for note in outcome["notes"]?.array ?? [] { Output.error("note: \(note.string ?? "")") }
        return .done
    }

    static func flush(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let answer = try context.call(.flush)
        Output.line(context.format == .json ? answer.text(style: .pretty) : "every rule of nsgd has been taken out")
        return .done
    }
}
