import ConntrackKernel
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes

/// Ends live connections so that no packet begins them anew, in either direction (KERNEL 7).
struct ConnectionCut {
    let enforcement: Enforcement

    /// How a cut went.
    struct Outcome {
        /// Connections that were there and are gone.
        var ended = 0
        /// Those whose entries the kernel would not delete, and why the first.
        var failed: (count: Int, first: KernelError)?
    }

    /// Ends what a change of policy refuses. One dump of the connections.
    func callAsFunction(by review: FlowReview) throws(KernelError) -> Outcome {
        var connections = try ConntrackTable()
        var refused: [ConntrackEntry] = []
        try connections.dump(restart: { refused = [] }) { entry in
            if review.ends(Connection(entry)) { refused.append(entry) }
        }
        return try end(refused, in: &connections)
    }

    private func end(
        _ entries: [ConntrackEntry], in connections: inout ConntrackTable
    ) throws(KernelError) -> Outcome {
        var outcome = Outcome()
        guard !entries.isEmpty else { return outcome }
        // First of all: between the end of an entry and its mark a packet would open another.
        try enforcement.cut(entries.map(CutFlow.init), table: FixedNames.table)
        for entry in entries {
            do throws(KernelError) {
                if try connections.delete(entry) { outcome.ended += 1 }
            } catch {
                outcome.failed = ((outcome.failed?.count ?? 0) + 1, outcome.failed?.first ?? error)
            }
        }
        return outcome
    }
}

extension CutFlow {
    fileprivate init(_ entry: ConntrackEntry) {
        let ports = entry.protocol.hasPorts ? (entry.reply.sourcePort, entry.reply.destinationPort) : nil
        self.init(
            original: Connection(entry).flow,
            reply: FlowTuple(
                protocol: entry.protocol, source: entry.reply.source, destination: entry.reply.destination,
                sourcePort: ports?.0, destinationPort: ports?.1))
    }
}

extension ConnectionCut.Outcome {
    /// For the operator; nil where there was nothing to end.
    var message: String? {
        let end = ended == 1 ? "1 connection was ended" : "\(ended) connections were ended"
        let done = ended > 0 ? "\(end): a security group with flushConnection on refuses what it let in before" : nil
        let rest = failed.map { "\($0.count) live connections that are refused now could not be ended: \($0.first)" }
        let parts = [done, rest].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }
}
