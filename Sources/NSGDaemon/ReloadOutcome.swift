import NSGConfig
import NSGEngine

/// How a reload ended.
enum ReloadOutcome: Sendable {
    case applied(Enforcement.Summary, notes: [String])
    case unchanged(notes: [String])
    /// The documents are refused whole; the policy in force stays.
    case faulty([Fault])
    /// The kernel, or the disk before it, refused; the policy in force stays.
    case refused(String)

    var isSuccess: Bool {
        switch self {
        case .applied, .unchanged: true
        case .faulty, .refused: false
        }
    }

    var message: String {
        switch self {
        case .applied(let summary, _):
            "the policy is in force: \(summary.build) objects built, \(summary.swap) swapped, \(summary.sweep) to sweep"
        case .unchanged: "the rules in the kernel are what the documents say"
        case .faulty(let faults):
            "the documents have \(faults.count) fault\(faults.count == 1 ? "" : "s") and change nothing; the first: "
                + (faults.first.map(\.description) ?? "")
        case .refused(let reason): reason
        }
    }
}

/// What a start brings into force.
struct FirstPolicy: Sendable {
    var policy: Policy
    /// Nil where it is the last good one.
    var sources: ConfigurationSources?
}

/// Why a start failed, in a sentence.
struct StartFailure: Error, CustomStringConvertible {
    var description: String
}
