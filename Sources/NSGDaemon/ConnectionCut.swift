import ConntrackKernel
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes

/// Ends live connections so that no packet begins them anew, in either direction (KERNEL 7).
struct ConnectionCut {
    /// Connections that are marked, and then deleted, at a time: one transaction.
    private static let batch = 1000
    /// How many are looked at between two signs of life.
    private static let stretch = 4096

    /// How a cut went.
    struct Outcome {
        /// Connections that were there and are gone.
        var ended = 0
        /// Those whose entries the kernel would not delete, and why the first.
        var failed: (count: Int, first: KernelError)?
        /// Why some, the first of them, are not kept from beginning anew.
        var unmarked: KernelError?
    }

    struct Chosen {
        var entry: ConntrackEntry
        /// Where it is judged.
        var passages: [Passage]
        /// The policy would not let it begin: it comes free once one does.
        var isRefused: Bool
    }

    /// Ends what a change of policy refuses. One dump of the connections.
    /// - Parameters:
    ///   - ended: gets to know what was ended.
    ///   - enforcement: of the table that keeps the ended out.
    ///   - isAlive: called now and then, as there may be a million connections.
    func callAsFunction(
        by review: FlowReview, noting ended: inout EndedFlows, in enforcement: inout Enforcement, isAlive: () -> Void
    ) throws(KernelError) -> Outcome {
        var review = review
        var connections = try ConntrackTable()
        var refused: [Chosen] = []
        var seen = 0
        try connections.dump(restart: { refused = [] }) { entry in
            if let passages = review.refusal(of: Connection(entry)) {
                refused.append(Chosen(entry: entry, passages: passages, isRefused: true))
            }
            seen += 1
            if seen.isMultiple(of: Self.stretch) { isAlive() }
        }
        var outcome = Outcome()
        for start in stride(from: 0, to: refused.count, by: Self.batch) {
            end(refused[start...].prefix(Self.batch), in: &connections, &outcome, noting: &ended, &enforcement)
            isAlive()
        }
        return outcome
    }

    /// Ends connections that somebody chose, of a thousand or so.
    func callAsFunction(
        _ chosen: [Chosen], noting ended: inout EndedFlows, in enforcement: inout Enforcement
    ) throws(KernelError) -> Outcome {
        var connections = try ConntrackTable()
        var outcome = Outcome()
        end(chosen[...], in: &connections, &outcome, noting: &ended, &enforcement)
        return outcome
    }

    private func end(
        _ batch: ArraySlice<Chosen>, in connections: inout ConntrackTable, _ outcome: inout Outcome,
        noting ended: inout EndedFlows, _ enforcement: inout Enforcement
    ) {
        let cuts = batch.map { CutFlow($0.entry) }
        // First of all: between the end of an entry and its mark a packet would open another. Where no mark can be made
        // it ends all the same.
        let refusal = enforcement.cut(cuts, table: FixedNames.table)
        outcome.unmarked = outcome.unmarked ?? refusal
        // Others stay marked until their marks expire, whatever comes into force.
        ended.note(zip(cuts, batch).filter { $1.isRefused }.map { (cut: $0, passages: $1.passages) })
        do throws(KernelError) {
            let deletion = try connections.delete(batch.map(\.entry))
            outcome.ended += deletion.count
            if let first = deletion.failures.first { outcome.fail(deletion.failures.count, first) }
        } catch {
            outcome.fail(batch.count, error)
        }
    }
}

extension ConnectionCut.Outcome {
    mutating func add(_ part: Self) {
        ended += part.ended
        if let failed = part.failed { fail(failed.count, failed.first) }
        unmarked = unmarked ?? part.unmarked
    }

    fileprivate mutating func fail(_ count: Int, _ error: KernelError) {
        failed = ((failed?.count ?? 0) + count, failed?.first ?? error)
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
        let done = ended > 0 ? "\(end): a security group with flushConnection on refuses them now" : nil
        let parts = [done].compactMap(\.self) + problems
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }

    /// For the operator; none where all went well.
    var problems: [String] {
        let rest = failed.map { "\($0.count) live connections could not be ended: \($0.first)" }
        let mark = unmarked.map { "not all of them are kept from beginning anew from the other side: \($0)" }
        return [rest, mark].compactMap(\.self)
    }
}
