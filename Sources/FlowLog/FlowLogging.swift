/// What a `flowLogs` resource says about its target.
package enum FlowLogging<Log: Hashable & Sendable>: Hashable, Sendable {
    case disabled
    case enabled(Log)

    var log: Log? {
        switch self {
        case .disabled: nil
        case .enabled(let log): log
        }
    }
}
