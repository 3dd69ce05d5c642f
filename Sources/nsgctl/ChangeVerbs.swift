import ControlProtocol
import JSONText
import NSGCompiler
import NSGEngine
import NetworkTypes
import NftablesKernel
import SystemServices

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
        do throws(CommandFailure) {
            let answer = try context.call(.flush, within: patience)
            Output.line(context.format == .json ? answer.text(style: .pretty) : "every rule of nsgd has been taken out")
        } catch {
            guard error.status == .unreachable else { throw error }
            let hadRules = try removeTable(because: error.message)
            guard context.format != .json else {
                Output.line(JSONValue(object: []).text(style: .pretty))
                return .done
            }
            Output.error("note: \(error.message); nsgctl looked into the kernel itself")
            Output.line(
                hadRules
                    ? "every rule of nsgd has been taken out; a daemon that runs puts them back, and so does its next start"
                    : "there are no rules of nsgd in the kernel")
        }
        return .done
    }

    /// Seconds. A daemon that hangs must not keep its rules in place.
    private static let patience = 60
    /// Nanoseconds between opening the table and removing it, as the daemon waits too: packets in flight leave the
    /// chains.
    private static let grace: UInt64 = 150_000_000

    /// Takes the rules out of the kernel without the daemon (E5); false where there are none.
    private static func removeTable(because reason: String) throws(CommandFailure) -> Bool {
        do throws(KernelError) {
            var enforcement = Enforcement(store: try KernelRulesetStore())
            guard try enforcement.open(table: FixedNames.table) else { return false }
            Clock.sleep(nanoseconds: grace)
            try enforcement.removeTable(FixedNames.table)
            return true
        } catch {
            guard error.isRefusal else { throw CommandFailure(status: .refused, message: "\(error)") }
            throw CommandFailure(
                status: .unreachable,
                message: "\(reason)\nTo take the rules out of the kernel without the daemon you need to be root.")
        }
    }
}

extension KernelError {
    /// `EPERM`, `EACCES`
    fileprivate var isRefusal: Bool { errno == 1 || errno == 13 }
}
