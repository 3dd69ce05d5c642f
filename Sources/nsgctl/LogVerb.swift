import ControlProtocol
import JSONText

enum LogVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let arguments = context.arguments
        if let operand = arguments.operands.first {
            guard operand == "verify" else { throw usage("log takes no '\(operand)'; see nsgctl log --help") }
            return try LogProofVerb.run(context)
        }
        var parameters: [(String, JSONValue)] = [
            ("follow", JSONValue(arguments.has("--follow"))), ("denied", JSONValue(arguments.has("--denied"))),
        ]
        if let nic = arguments.value("--nic") { parameters.append(("nic", JSONValue(nic))) }
        try context.stream(.log, JSONValue(object: parameters)) { reply in
            if let record = reply["record"], record.object?.isEmpty == false {
                Output.line(record.text(style: .compact))
            }
            return true
        }
        return .done
    }
}
