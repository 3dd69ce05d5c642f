import NSGCompiler
package import NetworkTypes
package import Nftables

/// Brings the kernel's table to a wanted ruleset, by the order of E1, and proves by reading back that it is there.
package struct Enforcement {
    private let store: any RulesetStore
    /// How often a change is planned anew because somebody else changed the ruleset meanwhile (`ERESTART`).
    private static let attempts = 5

    package init(store: any RulesetStore) { self.store = store }

    /// What one application sent.
    package struct Summary: Hashable, Sendable {
        package var skeleton = 0
        package var build = 0
        package var swap = 0
        /// Operations that are left for the sweep.
        package var sweep = 0
        package var isUnchanged: Bool { skeleton + build + swap + sweep == 0 }
        package var messages: Int { skeleton + build + swap + sweep }
    }

    package enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The policy before is in force.
        case refused(KernelError)
        /// The new policy was swapped in, and what was read back is not what was sent.
        case differs([Operation])
        /// The new policy was swapped in, and could not be read back.
        case unconfirmed(KernelError)

        /// Whether the new policy took effect all the same.
        package var isSwapped: Bool {
            switch self {
            case .refused: false
            case .differs, .unconfirmed: true
            }
        }

        package var description: String {
            switch self {
            case .refused(let error): "\(error)"
            case .unconfirmed(let error): "the kernel's table could not be read back: \(error)"
            case .differs(let operations):
                "the kernel's table differs from what was sent: it would take \(operations.count) more operations, first: "
                    + (operations.first.map(\.description) ?? "")
            }
        }
    }

    /// Skeleton, new generation, swap. After a failure the old policy is in force as before, or the new one wholly.
    package func apply(_ wanted: Ruleset) throws(Failure) -> Summary {
        var summary = Summary()
        for attempt in 1...Self.attempts {
            do throws(KernelError) {
                let (inForce, generation) = try store.dump(table: wanted.table)
                let change = Change(from: inForce, to: wanted)
                // What was read just now proves the kernel's table already.
                if change.isEmpty && attempt == 1 { return summary }
                summary.skeleton += change.skeleton.count
                summary.build += change.build.count
                summary.swap += change.swap.count
                summary.sweep = change.sweep.count
                try commit(change, table: wanted.table, from: generation)
                break
            } catch {
                guard error.isLostRace, attempt < Self.attempts else { throw .refused(error) }
            }
        }
        try confirm(wanted)
        return summary
    }

    private func commit(_ change: Change, table: String, from first: Generation) throws(KernelError) {
        var generation = first
        if !change.skeleton.isEmpty {
            generation = try store.commit(change.skeleton, table: table, expecting: generation)
        }
        if !change.build.isEmpty {
            generation = try store.commitInParts(change.build, table: table, expecting: generation)
        }
        if !change.swap.isEmpty {
            _ = try store.commit(change.swap, table: table, expecting: generation)
        }
    }

    private func confirm(_ wanted: Ruleset) throws(Failure) {
        let present: Ruleset?
        do throws(KernelError) {
            present = try store.dump(table: wanted.table).ruleset
        } catch {
            throw .unconfirmed(error)
        }
        let change = Change(from: present, to: wanted)
        let missing = change.skeleton + change.build + change.swap
        guard missing.isEmpty else { throw .differs(missing) }
    }

    /// Takes out what nothing refers to any more, and makes the last change in sets that nothing looks into any more. At
    /// least 100 ms after the swap, so that packets in flight have left it. Does nothing where the wanted policy is not
    /// in force: what it would edit may be what packets meet.
    package func sweep(keeping wanted: Ruleset) throws(KernelError) -> Int {
        let (inForce, generation) = try store.dump(table: wanted.table)
        guard let inForce else { return 0 }
        let change = Change(from: inForce, to: wanted)
        guard change.skeleton.isEmpty, change.build.isEmpty, change.swap.isEmpty, !change.sweep.isEmpty else {
            return 0
        }
        _ = try store.commitInParts(change.sweep, table: wanted.table, expecting: generation)
        return change.sweep.count
    }

    /// First every trampoline out of the base chains accepts, then `removeTable` may follow. False where there is no
    /// table.
    package func open(table: String) throws(KernelError) -> Bool {
        for attempt in 1...Self.attempts {
            do throws(KernelError) {
                let (inForce, generation) = try store.dump(table: table)
                guard let inForce else { return false }
                let swap = inForce.entrances.filter { inForce.chains[$0]?.rules != [Self.accept] }.sorted()
                    .map { Operation.replaceRule(at: 0, in: $0, with: Self.accept) }
                if !swap.isEmpty { _ = try store.commit(swap, table: table, expecting: generation) }
                return true
            } catch {
                guard error.isLostRace, attempt < Self.attempts else { throw error }
            }
        }
        return true
    }

    /// From here on drops what would begin these connections anew; their entries may go then (KERNEL 7). A connection
    /// that is in the sets already does no harm.
    /// - Returns: the first refusal, of a set that takes no more, say; the other sets have theirs all the same.
    package func cut(_ flows: [CutFlow], table: String) -> KernelError? {
        var refusal: KernelError?
        for (set, elements) in Self.elements(of: flows) {
            do throws(KernelError) {
                // Elements may come beside any change of anybody's.
                _ = try store.commitInParts([.addElements(elements, to: set)], table: table, expecting: nil)
            } catch { refusal = refusal ?? error }
        }
        return refusal
    }

    /// Takes back what `cut` did. Elements may have expired meanwhile, and a deletion of one that is not there would
    /// refuse the whole transaction; so each is added first, which changes nothing where it is there.
    package func release(_ flows: [CutFlow], table: String) throws(KernelError) {
        for start in stride(from: 0, to: flows.count, by: Self.releasedAtOnce) {
            let operations = Self.elements(of: flows[start..<min(start + Self.releasedAtOnce, flows.count)]).flatMap {
                [Operation.addElements($0.elements, to: $0.set), .deleteElements($0.elements, from: $0.set)]
            }
            guard !operations.isEmpty else { continue }
            _ = try store.commit(operations, table: table, expecting: nil)
        }
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

    private static let accept = Rule(.verdict(.accept))

    package func removeTable(_ table: String) throws(KernelError) {
        guard try store.dump(table: table).ruleset != nil else { return }
        _ = try store.commit([.deleteTable], table: table, expecting: nil)
    }
}

extension Ruleset {
    /// The trampolines that base chains lead to, as far as they hold a rule to replace.
    fileprivate var entrances: Set<ChainName> {
        var found: Set<ChainName> = []
        for case .verdict(let verdict) in chains.values.filter({ $0.attachpoint != nil }).flatMap(\.rules).flatMap(
            \.steps)
        {
            if let target = verdict.target, target.isTrampoline, chains[target]?.rules.isEmpty == false {
                found.insert(target)
            }
        }
        return found
    }
}

extension KernelError {
    /// `ERESTART`: the ruleset was changed between reading and writing.
    var isLostRace: Bool { errno == 85 }
}
