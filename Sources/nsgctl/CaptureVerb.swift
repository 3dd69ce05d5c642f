import ControlProtocol
import FlowLog
import Glibc
import JSONText
import SystemServices

/// `capture`: packets of decisions, to a pcapng file or as lines (F7).
enum CaptureVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let parameters = try parameters(context.arguments)
        guard let path = context.arguments.value("--write") else { return try show(parameters, context) }
        return try write(parameters, to: path, context)
    }

    private static func parameters(_ arguments: Arguments) throws(CommandFailure) -> JSONValue {
        var filter: [(String, JSONValue)] = []
        for (option, member) in [
            ("--nic", "nic"), ("--rule", "rule"), ("--verdict", "access"), ("--protocol", "protocol"),
        ] {
            if let value = arguments.value(option) { filter.append((member, JSONValue(value))) }
        }
        var parameters = [("filter", JSONValue(object: filter))]
        if let text = arguments.value("--count") {
            guard let count = Int(text), count > 0 else {
                throw usage("--count \(text): a number of packets from 1 on")
            }
            parameters.append(("count", JSONValue(count)))
        }
        if let text = arguments.value("--duration") {
            guard let seconds = seconds(text), (1...86_400).contains(seconds) else {
                throw usage("--duration \(text): write 30s, 5min or 1h; a day at most")
            }
            parameters.append(("seconds", JSONValue(seconds)))
        }
        return JSONValue(object: parameters)
    }

    /// `30`, `30s`, `5 min`, `1h`
    private static func seconds(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let units = ["": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600]
        guard digits.count <= 5, let number = Int(digits),
            let unit = units[String(text.dropFirst(digits.count).drop { $0 == " " })]
        else { return nil }
        return number * unit
    }

    // MARK: To a file

    private static func write(
        _ parameters: JSONValue, to path: String, _ context: Context
    ) throws(CommandFailure) -> ExitStatus {
        var file: CaptureFile?
        var signals: SignalSource?
        var failure: CommandFailure?
        var last: UInt64?
        do throws(CommandFailure) {
            try context.stream(.capture, parameters) { reply in
                let leftOut = reply["leftOut"]?.int.flatMap(UInt64.init(exactly:)) ?? 0
                last = leftOut
                guard let opened = file else {
                    // The daemon captures: only now is there something to write, and a file to end.
                    do throws(CommandFailure) {
                        let opened = try CaptureFile(path)
                        file = opened
                        signals = try? SignalSource { _ in stop(opened, context) }
                        Output.error(isRunning)
                        return true
                    } catch {
                        failure = error
                        return false
                    }
                }
                guard let packet = reply["packet"].flatMap(CapturedPacket.init) else { return true }
                return opened.put(packet, leftOut: leftOut)
            }
        } catch {
            // What has come is kept.
            if let file { tell(file.end(leftOut: last), of: file, context) }
            throw error
        }
        if let failure { throw failure }
        guard let file else { return .done }
        return withExtendedLifetime(signals) { status(of: file.end(leftOut: last), file, context) }
    }

    /// On a signal.
    private static func stop(_ file: CaptureFile, _ context: Context) {
        guard let outcome = file.endAtOnce() else {
            Output.error("nsgctl: nobody reads \(file.path), which may end in the middle of a packet")
            exit(ExitStatus.refused.rawValue)
        }
        exit(status(of: outcome, file, context).rawValue)
    }

    private static func status(
        of outcome: CaptureFile.Outcome, _ file: CaptureFile, _ context: Context
    ) -> ExitStatus {
        tell(outcome, of: file, context)
        // A reader that has had enough.
        guard outcome.failure != 0, outcome.failure != EPIPE else { return .done }
        let reason = unsafe String(cString: strerror(outcome.failure))
        Output.error("nsgctl: cannot write \(file.path): \(reason); the file ends before that")
        return .refused
    }

    private static func tell(_ outcome: CaptureFile.Outcome, of file: CaptureFile, _ context: Context) {
        let isPipe = file.path == "-"
        switch context.format {
        case .json where !isPipe:
            Output.line(
                JSONValue(object: [
                    ("file", JSONValue(file.path)), ("packets", JSONValue(outcome.packets)),
                    ("leftOut", JSONValue(outcome.leftOut)),
                ]).text(style: .pretty))
        case .tsv where !isPipe: Output.tsv([[file.path, "\(outcome.packets)", "\(outcome.leftOut)"]])
        default:
            let left = outcome.leftOut == 0 ? "" : ", \(outcome.leftOut) left out"
            Output.error(
                "nsgctl: \(outcome.packets) packet\(outcome.packets == 1 ? "" : "s")\(left)"
                    + (isPipe ? "" : " in \(file.path)"))
        }
    }

    private static let isRunning = "nsgctl: capturing; Ctrl-C ends it"

    // MARK: As lines

    private static func show(_ parameters: JSONValue, _ context: Context) throws(CommandFailure) -> ExitStatus {
        var leftOut: Int?
        try context.stream(.capture, parameters) { reply in
            if leftOut == nil { Output.error(isRunning) }
            leftOut = reply["leftOut"]?.int ?? 0
            if context.format == .json {
                Output.line(reply.text(style: .compact))
                return true
            }
            guard let packet = reply["packet"].flatMap(CapturedPacket.init) else { return true }
            let comment = packet.comment.split(separator: "\n").joined(separator: "; ")
            let words = [packet.time.rfc3339(fractionDigits: 6), packet.flow, "\(packet.length)", comment]
            if context.format == .tsv {
                Output.tsv([words])
            } else {
                Output.line("\(words[0]) \(words[1]) \(words[2]) bytes: \(comment)")
            }
            return true
        }
        if let leftOut, leftOut > 0 { Output.error("nsgctl: \(leftOut) packets were left out") }
        return .done
    }
}
