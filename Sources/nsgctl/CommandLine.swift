import ControlProtocol
import Glibc

/// Why a verb did not do what it was asked; the message goes to standard error.
struct CommandFailure: Error {
    var status: ExitStatus
    var message: String
}

func runCommandLine(_ arguments: [String]) -> ExitStatus {
    // A reader that leaves (`nsgctl log | head`) ends us quietly.
    signal(SIGPIPE, SIG_DFL)
    do throws(CommandFailure) {
        return try dispatch(arguments)
    } catch {
        Output.error("nsgctl: \(error.message)")
        return error.status
    }
}

private func dispatch(_ arguments: [String]) throws(CommandFailure) -> ExitStatus {
    let arguments = try read(arguments)
    if arguments.has("--version") {
        Output.line("nsgctl \(Installation.version)")
        return .done
    }
    guard let name = arguments.verb else {
        if arguments.has("--help") {
            Output.line(Verb.overview)
            return .done
        }
        throw usage("which verb? nsgctl --help lists them")
    }
    if name == "help", let verb = arguments.operands.first.flatMap(verb(named:)) {
        Output.line(verb.help)
        return .done
    }
    if name == "help" {
        Output.line(Verb.overview)
        return .done
    }
    guard let verb = verb(named: name) else { throw usage("unknown verb '\(name)'; nsgctl --help lists them") }
    if arguments.has("--help") {
        Output.line(verb.help)
        return .done
    }
    if let stranger = arguments.strangers(to: verb.options.union(Verb.commonOptions)).first {
        throw usage("\(name) takes no \(stranger); see nsgctl \(name) --help")
    }
    guard arguments.operands.count <= verb.mostOperands else {
        throw usage("\(name) takes no '\(arguments.operands[verb.mostOperands])'; see nsgctl \(name) --help")
    }
    return try verb.run(try Context(arguments))
}

private func read(_ arguments: [String]) throws(CommandFailure) -> Arguments {
    do throws(Arguments.Problem) {
        return try Arguments(arguments)
    } catch {
        throw usage(error.description)
    }
}

private func verb(named name: String) -> Verb? { Verb.all.first { $0.name == name } }

func usage(_ message: String) -> CommandFailure { CommandFailure(status: .usage, message: message) }
