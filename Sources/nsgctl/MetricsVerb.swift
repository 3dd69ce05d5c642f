import ControlProtocol
import JSONText

enum MetricsVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let answer = try context.call(.metrics)
        let text = answer["text"]?.string ?? ""
        switch context.format {
        case .json: Output.line(answer.text(style: .pretty))
        case .tsv:
            Output.tsv(
                text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
                    line.lastIndex(of: " ").map { [String(line[..<$0]), String(line[$0...].dropFirst())] }
                })
        case .table: Output.write(text, to: 1)
        }
        return .done
    }
}
