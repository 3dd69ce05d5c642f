import NSGCompiler
package import NetworkTypes
import Nftables

/// Elements of the sets of connections that were ended (`CutFlows`), which come and go beside any change.
extension Enforcement {
    /// From here on drops what would begin these connections anew; their entries may go then (KERNEL 7). A connection
    /// that is in the sets already does no harm.
    /// - Returns: the first refusal, of a set that takes no more, say; the other sets have theirs all the same.
    package mutating func cut(_ flows: [CutFlow], table: String) -> KernelError? {
        var refusal: KernelError?
        for (set, elements) in Self.elements(of: flows) {
            do throws(KernelError) {
                try commitMarks([.addElements(elements, to: set)], table: table)
            } catch { refusal = refusal ?? error }
        }
        return refusal
    }

    /// Takes back what `cut` did. Elements may have expired meanwhile, and a deletion of one that is not there would
    /// refuse the whole transaction; so each is added first, which changes nothing where it is there.
    package mutating func release(_ flows: [CutFlow], table: String) throws(KernelError) {
        for start in stride(from: 0, to: flows.count, by: Self.releasedAtOnce) {
            let operations = Self.elements(of: flows[start..<min(start + Self.releasedAtOnce, flows.count)]).flatMap {
                [Operation.addElements($0.elements, to: $0.set), .deleteElements($0.elements, from: $0.set)]
            }
            guard !operations.isEmpty else { continue }
            try commitMarks(operations, table: table)
        }
    }

    /// Elements of sets that expire may come beside any change of anybody's, and are no part of what is known of the
    /// table; its number moves with them.
    private mutating func commitMarks(_ operations: [Operation], table: String) throws(KernelError) {
        passSwap()
        if var known = takeTrusted() {
            do throws(KernelError) {
                let before = known.generation
                known.generation = try store.commitInParts(operations, table: table, expecting: before)
                known.proof?.follow([], from: before, to: known.generation)
                trusted = known
                return
            } catch {
                guard error.mayHavePassed else { throw error }
            }
        }
        _ = try store.commitInParts(operations, table: table, expecting: nil)
    }

    /// So many fit one transaction, whatever the socket's buffer.
    private static let releasedAtOnce = 256

    /// Each element once, by its set.
    private static func elements(of flows: some Sequence<CutFlow>) -> [(set: NamedSet, elements: [SetElement])] {
        var elements: [SetName: [SetElement]] = [:]
        var known: [SetName: Set<SetElement>] = [:]
        for flow in flows {
            guard let cut = CutFlows.elements(original: flow.original, reply: flow.reply) else { continue }
            elements[cut.set.name, default: []] += cut.elements.filter {
                known[cut.set.name, default: []].insert($0).inserted
            }
        }
        return CutFlows.sets.compactMap { set in elements[set.name].map { (set, $0) } }
    }
}
