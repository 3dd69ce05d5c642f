import ControlProtocol
import JSONText
import NSGCompiler
import NSGConfig
import NSGEngine
import SystemServices

/// A verb's surroundings: where documents and the daemon are, and how to print.
struct Context {
    enum Format: String {
        case table, json, tsv
    }

    let arguments: Arguments
    let format: Format

    init(_ arguments: Arguments) throws(CommandFailure) {
        self.arguments = arguments
        let word = arguments.value("--output") ?? "table"
        guard let format = Format(rawValue: word) else { throw usage("-o \(word): table, json or tsv") }
        self.format = format
    }

    /// The folder to work on offline; nil where the daemon is meant.
    var folder: String? { arguments.operands.first ?? arguments.value("--config") }
    var folderOrDefault: String { folder ?? Installation.configuration }
    var stateFolder: String { arguments.value("--state") ?? Installation.state }
    var logFolder: String { arguments.value("--logs") ?? Installation.logs }
    var socket: String { arguments.value("--socket") ?? Installation.socket }

    // MARK: Offline

    func documents() throws(ConfigurationFaults) -> Configuration {
        let sources = try ConfigurationFolder.read(
            folderOrDefault, serviceTags: "\(stateFolder)/\(Installation.serviceTagsFile)")
        return try configuration(from: sources)
    }

    /// The policy of the documents, with numbers from 1.
    func offlinePolicy() throws(CommandFailure) -> Policy {
        do throws(ConfigurationFaults) {
            guard let policy = Policy(try documents(), numbering: RuleNumbering()) else {
                throw ConfigurationFaults([])
            }
            return policy
        } catch {
            throw CommandFailure(status: .refused, message: "the documents have faults:\n\(error)")
        }
    }

    // MARK: Daemon

    /// - Parameter seconds: how long the daemon may take; nil waits for ever.
    func call(
        _ method: ControlInterface.Method, _ parameters: JSONValue = [:], within seconds: Int? = nil
    ) throws(CommandFailure) -> JSONValue {
        do throws(ControlError) {
            var client = try ControlClient(path: socket, seconds: seconds)
            return try client.call(method.qualifiedName, parameters)
        } catch { throw failure(error) }
    }

    func stream(
        _ method: ControlInterface.Method, _ parameters: JSONValue, onReply: (JSONValue) -> Bool
    ) throws(CommandFailure) {
        do throws(ControlError) {
            let client = try ControlClient(path: socket)
            try client.stream(method.qualifiedName, parameters, onReply: onReply)
        } catch { throw failure(error) }
    }

    private func failure(_ error: ControlError) -> CommandFailure {
        switch error {
        case .unreachable: CommandFailure(status: .unreachable, message: "\(error)")
        case .protocolViolation: CommandFailure(status: .refused, message: "\(error)")
        case .method(ControlInterface.Failure.configurationFaulty.qualifiedName, let parameters):
            CommandFailure(
                status: .refused,
                message: "the documents have faults, the policy in force stays:\n"
                    + (parameters["faults"]?.array ?? []).map(Fault.line(ofJSON:)).joined(separator: "\n"))
        case .method: CommandFailure(status: .refused, message: "\(error)")
        }
    }
}
