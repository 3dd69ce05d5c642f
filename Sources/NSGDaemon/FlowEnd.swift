import ConntrackKernel
import Dispatch
import NSGEngine
import NetworkTypes
import Synchronization
import SystemServices

/// Ends the live connections that somebody chose. The table is read here; the enforcer, which others wait for, is asked
/// to end some hundreds at a time.
struct FlowEnd {
    private var listing: FlowListing
    private let enforcer: Enforcer
    private var chosen: [ConnectionCut.Chosen] = []
    private var outcome = ConnectionCut.Outcome()
    private static let batch = 500

    init(listing: FlowListing, enforcer: Enforcer) {
        self.listing = listing
        self.enforcer = enforcer
    }

    mutating func run() -> Result<ConnectionCut.Outcome, KernelError> {
        do throws(KernelError) {
            var table = try ConntrackTable()
            try table.dump { entry in
                guard let listed = listing.listed(LiveConnection(entry), isJudged: true) else { return }
                chosen.append(
                    ConnectionCut.Chosen(
                        entry: entry, passages: listed.passages, isRefused: listed.refusal != nil))
                if chosen.count >= Self.batch { endChosen() }
            }
            endChosen()
        } catch { return .failure(error) }
        return .success(outcome)
    }

    private mutating func endChosen() {
        guard !chosen.isEmpty else { return }
        let batch = chosen
        chosen = []
        let part = enforcer.executor.queue.sync { enforcer.assumeIsolated { $0.end(batch) } }
        outcome.add(part)
    }
}

extension Enforcer {
    /// Ends connections that somebody chose, whatever the rules say of them.
    func end(_ chosen: [ConnectionCut.Chosen]) -> ConnectionCut.Outcome {
        do throws(KernelError) {
            return try cut(chosen, noting: &ended, in: &enforcement)
        } catch {
            var outcome = ConnectionCut.Outcome()
            outcome.failed = (chosen.count, error)
            return outcome
        }
    }

    nonisolated func noteEnded(_ outcome: ConnectionCut.Outcome, byUser user: UInt32) {
        history.withLock { $0.flowsEnded += outcome.ended }
        let count = outcome.ended == 1 ? "1 connection was ended" : "\(outcome.ended) connections were ended"
        journal.log(
            outcome.problems.isEmpty ? .notice : .error,
            ([count + " as user \(user) asked"] + outcome.problems).joined(separator: "; "), id: "end")
    }
}
