import ControlProtocol
import JSONText
import NSGEngine
import NetworkTypes
import SystemServices

/// `verify`: one question, or a batch of them (K5).
enum VerifyVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        if let file = context.arguments.value("--batch") { return try batch(file, context) }
        let query = try query(context.arguments)
        let explains = context.arguments.has("--explain")
        let answer =
            context.folder == nil
            ? try context.call(.verify, ["query": query, "explain": JSONValue(explains)])["answer"] ?? [:]
            : try offline(query, explains, context)
        show(answer, context)
        return context.arguments.has("--exit-code") && answer["access"]?.string == "Deny" ? .no : .done
    }

    private static func query(_ arguments: Arguments) throws(CommandFailure) -> JSONValue {
        var members: [(String, JSONValue)] = []
        for name in ["nic", "vm", "direction", "protocol", "local", "remote"] {
            if let value = arguments.value("--\(name)") { members.append((name, JSONValue(value))) }
        }
        for name in ["direction", "protocol", "local", "remote"] where arguments.value("--\(name)") == nil {
            throw usage("verify needs --\(name); see nsgctl verify --help")
        }
        return JSONValue(object: members)
    }

    private static func offline(_ query: JSONValue, _ explains: Bool, _ context: Context) throws(CommandFailure)
        -> JSONValue
    {
        let policy = try context.offlinePolicy()
        do throws(FlowQuery.Problem) {
            let query = try FlowQuery(query)
            let found = try policy.answer(query)
            let answer = found.json
            return explains ? answer.adding("explanation", try policy.explanation(of: query)) : answer
        } catch {
            throw CommandFailure(status: .refused, message: error.description)
        }
    }

    // MARK: Batch

    /// Queries a call; what comes back for a thousand is well below a megabyte.
    private static let chunk = 1000

    private static func batch(_ file: String, _ context: Context) throws(CommandFailure) -> ExitStatus {
        let lines = try lines(of: file)
        let policy = context.folder == nil ? nil : try context.offlinePolicy()
        for start in stride(from: 0, to: lines.count, by: chunk) {
            let part = lines[start..<min(start + chunk, lines.count)]
            let answers: [JSONValue]
            if let policy { answers = offline(part, policy) } else { answers = try live(part, context) }
            Output.write(answers.map { $0.text(style: .compact) + "\n" }.joined(), to: 1)
        }
        return .done
    }

    private static func offline(_ lines: ArraySlice<String>, _ policy: Policy) -> [JSONValue] {
        lines.map { line in
            switch parsed(line) {
            case .success(let query): policy.batchAnswer(query)
            case .failure(let problem): ["error": JSONValue(problem.message)]
            }
        }
    }

    /// Lines that are no JSON objects are answered here; the others go to the daemon together.
    private static func live(_ lines: ArraySlice<String>, _ context: Context) throws(CommandFailure) -> [JSONValue] {
        let queries = lines.map(parsed)
        let readable = queries.compactMap { try? $0.get() }
        var answers: ArraySlice<JSONValue> = []
        if !readable.isEmpty {
            answers = try context.call(.verifyBatch, ["queries": JSONValue(readable)])["answers"]?.array?[...] ?? []
        }
        return queries.map { query in
            switch query {
            case .success: answers.popFirst() ?? ["error": "no answer"]
            case .failure(let problem): ["error": JSONValue(problem.message)]
            }
        }
    }

    /// A query that the daemon's interface takes: strings alone, the needed ones present.
    private static func parsed(_ line: String) -> Result<JSONValue, CommandFailure> {
        let failure = { (message: String) in
            Result<JSONValue, CommandFailure>.failure(CommandFailure(status: .refused, message: message))
        }
        do {
            let query = try JSONValue(parsing: line, dialect: .json5)
            _ = try FlowQuery(query)
            return .success(query)
        } catch let error as FlowQuery.Problem {
            return failure(error.description)
        } catch {
            return failure("\(error)")
        }
    }

    private static func lines(of file: String) throws(CommandFailure) -> [String] {
        do throws(KernelError) {
            let bytes = file == "-" ? StandardInput.read() : try Files.read(file, limit: 1 << 30)
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        } catch {
            throw CommandFailure(status: .refused, message: "\(error)")
        }
    }

    // MARK: Print

    private static func show(_ answer: JSONValue, _ context: Context) {
        let text = { (value: JSONValue, key: String) in value[key]?.string ?? "" }
        let stages = (answer["stages"]?.array ?? []).map { stage in
            let name = text(stage, "ruleName")
            return [
                text(stage, "level"), text(stage, "access"), name.isEmpty ? "no admin rule" : name,
                stage["priority"]?.text() ?? "",
                ResourceName.last(of: text(stage, "networkSecurityGroup")), text(stage, "file"),
            ]
        }
        switch context.format {
        case .json: Output.line(answer.text(style: .pretty))
        case .tsv: Output.tsv([[text(answer, "access"), text(answer, "ruleName"), text(answer, "ruleId")]])
        case .table:
            let platform = answer["platform"]?.bool ?? false
            Output.table([["Access", "RuleName"], [text(answer, "access"), text(answer, "ruleName")]])
            if platform { Output.line("The platform lets this packet pass whatever the rules say.") }
            if let note = answer["note"]?.string { Output.line("Note: \(note).") }
            if let reason = answer["reason"]?.string { Output.line("Dropped whatever the rules say: \(reason).") }
            if stages.isEmpty {
                Output.line("No security group is on the way.")
            } else {
                Output.line("")
                Output.table([["Level", "Access", "Rule", "Priority", "Group", "File"]] + stages)
            }
            if let explanation = answer["explanation"] { explain(explanation) }
        }
    }

    private static func explain(_ explanation: JSONValue) {
        Output.line("\nFlow: \(explanation["flow"]?.string ?? "")")
        for list in explanation["evaluatedNetworkSecurityGroups"]?.array ?? [] {
            let group = ResourceName.last(of: list["networkSecurityGroup"]?.string ?? "")
            Output.line("\n\(group) (\(list["level"]?.string ?? "")), rules in the order they were tried:")
            let mark = { (rule: JSONValue, key: String) in rule[key]?.bool ?? false ? "yes" : "no" }
            Output.table(
                [
                    [
                        "Priority", "Rule", "Access", "Protocol", "Source", "SourcePort", "Destination",
                        "DestinationPort", "Match",
                    ]
                ]
                    + (list["rulesEvaluationResult"]?.array ?? []).map { rule in
                        [
                            rule["priority"]?.text() ?? "", rule["name"]?.string ?? "", rule["access"]?.string ?? "",
                            mark(rule, "protocolMatched"), mark(rule, "sourceMatched"), mark(rule, "sourcePortMatched"),
                            mark(rule, "destinationMatched"), mark(rule, "destinationPortMatched"),
                            mark(rule, "matched"),
                        ]
                    })
        }
    }
}
