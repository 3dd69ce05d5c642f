import FlowLog
import NSGModel
import NetworkTypes
import SystemServices

/// Decisions that the lines in a log folder tell of, counted without the daemon's help.
struct LogFileCount {
    /// What is to be counted: what a rule decided, or without one what every list allowed.
    typealias Counter = CountedRule?

    private let accounts: [Counter: Timestamp]
    private var decisions: [Counter: UInt64] = [:]
    /// Why the lines cannot tell; nil where they do.
    private(set) var problem: String?

    /// - Parameter accounts: since when each is to be counted.
    init(folder: String, accounts: [Counter: Timestamp]) {
        self.accounts = accounts
        let names = ((try? Files.list(folder, suffix: ".jsonl")) ?? []).filter { $0.hasPrefix("flows.") }
        if names.isEmpty { problem = "there is no flows.jsonl that may be read in \(folder)" }
        var reader = LogEntryReader { _ in
            .zero
        } network: { _ in
            nil
        }
        for name in names {
            guard let file = LineFileReader("\(folder)/\(name)") else {
                problem = "\(folder)/\(name) cannot be read"
                return
            }
            do throws(KernelError) {
                try file.forEachLine(from: 0) { line, _ in
                    if case .flow(let record) = reader.entry(line) { add(record) }
                }
            } catch { problem = "\(error)" }
        }
    }

    private mutating func add(_ record: FlowRecord) {
        guard record.decisions > 0 else { return }
        for rule in record.side.countedRules(record.access) { add(record, to: rule) }
        if record.access != .deny, !record.side.facts.isPassedOn { add(record, to: nil) }
    }

    private mutating func add(_ record: FlowRecord, to counter: Counter) {
        guard let since = accounts[counter], record.time >= since else { return }
        decisions[counter, default: 0] += record.decisions
    }

    /// Nil where it is not known.
    subscript(counter: Counter) -> UInt64? { problem == nil ? decisions[counter] ?? 0 : nil }
}
