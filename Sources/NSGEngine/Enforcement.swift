import NSGCompiler
package import NetworkTypes
package import Nftables

/// Brings the kernel's table to a wanted ruleset, by the order of E1, and proves by reading back that it is there.
///
/// Where the kernel's ruleset has the number that our last commit left, nobody has changed anything since: the next
/// change is planned from what we know, and what it touches is all that is read back (docs/decisions/0006).
package struct Enforcement {
    let store: any RulesetStore
    /// How often a change is planned anew because somebody else changed the ruleset meanwhile (`ERESTART`).
    private static let attempts = 8
    /// Of these, how many wait for packets before the swap: where others commit all the time, waiting means to be late.
    private static let patientAttempts = 5

    /// Nil until a table has been read or written, and after whatever leaves a doubt.
    var trusted: TrustedTable?

    /// Whether packets may be on their way that began before the last swap: one of an earlier run, at first.
    private var mayStraddleSwap = true

    package init(store: any RulesetStore) { self.store = store }

    /// Whether what is in force has not been read back since it was brought there.
    package private(set) var owesProof = false

    /// From here on the kernel is asked again what it holds: for an audit, which finds what trust would miss.
    package mutating func distrust() { trusted = nil }

    /// Whether nobody has changed any ruleset since our last commit. Cheap: one request.
    package var isCurrent: Bool {
        guard let trusted, let present = try? store.generation() else { return false }
        return present == trusted.generation
    }

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

    package mutating func apply(_ wanted: Ruleset) throws(Failure) -> Summary { try apply(ComposedRuleset(wanted)) }

    /// Skeleton, new generation, swap. After a failure the old policy is in force as before, or the new one wholly.
    package mutating func apply(_ wanted: ComposedRuleset) throws(Failure) -> Summary {
        var summary = Summary()
        var sent: (change: Change, trusted: TrustedTable)?
        // Of what is trusted now; it goes on after the change.
        var proof = trusted?.proof
        for attempt in 1...Self.attempts {
            do throws(KernelError) {
                let (change, table, generation, isRead) = try plan(wanted)
                if change.isEmpty, summary.isUnchanged {
                    // What was read just now proves the kernel's table already; what is trusted, its number.
                    let present = isRead ? generation : try store.generation()
                    guard present == generation else { continue }
                    // What is wanted, of which there is a copy already.
                    trusted = TrustedTable(table: table, generation: generation, proof: isRead ? nil : proof)
                    if isRead { owesProof = false }
                    return summary
                }
                try store.check(change)
                summary.skeleton += change.skeleton.count
                summary.build += change.build.count
                summary.swap += change.swap.count
                summary.sweep = change.sweep.count
                let reached = try commit(
                    change, table: wanted.table, from: generation, isPatient: attempt <= Self.patientAttempts)
                if isRead || proof?.generation != generation { proof = nil }
                proof?.follow(change.skeleton + change.build + change.swap, from: generation, to: reached)
                sent = (
                    change, TrustedTable(table: table, generation: reached, sweep: change.sweep, proof: proof)
                )
                break
            } catch {
                guard error.mayHavePassed, attempt < Self.attempts else { throw .refused(error) }
            }
        }
        guard let sent else { return summary }
        switch try confirmation(of: sent.change, at: sent.trusted.generation) {
        case .equal: trusted = sent.trusted
        case .owed: (trusted, owesProof) = (sent.trusted, true)
        case .doubtful: try confirm(wanted)
        }
        return summary
    }

    /// A change from what the kernel holds, what it leaves there, and whether the kernel was asked for it: it is not
    /// where the table is known, and nothing is left to sweep.
    private mutating func plan(
        _ wanted: ComposedRuleset
    ) throws(KernelError) -> (change: Change, leaves: SettledTable, from: Generation, isRead: Bool) {
        if var known = takeTrusted(), known.sweep.isEmpty, known.table.ruleset.table == wanted.table {
            return (known.table.change(to: wanted), known.table, known.generation, false)
        }
        let (ruleset, generation) = try store.dump(table: wanted.table)
        let change = Change(from: ruleset, to: wanted.ruleset)
        return (change, SettledTable(after: change, to: wanted), generation, true)
    }

    /// Without a second reference to it, so that it can be changed in place.
    mutating func takeTrusted() -> TrustedTable? {
        var taken: TrustedTable?
        swap(&taken, &trusted)
        return taken
    }

    // A packet knows by one bit which rules it goes by, and each commit turns the bit of the rules in force. A packet
    // that was there before a commit and still is after the next one goes by the rules of that next one from there
    // on. So all that are on their way have to pass between a swap and the commit before it, be it somebody else's,
    // and between a swap and the commit behind it (docs/decisions/0001).

    /// - Returns: the number that these commits must have left.
    private mutating func commit(
        _ change: Change, table: String, from first: Generation, isPatient: Bool
    ) throws(KernelError) -> Generation {
        var generation = first
        // Where there was no table nothing of ours can be mixed with it.
        let isFirst = change.skeleton.contains(.addTable)
        if isFirst { mayStraddleSwap = false }
        if !change.skeleton.isEmpty || !change.build.isEmpty { passSwap() }
        if !change.skeleton.isEmpty {
            generation = try store.commit(change.skeleton, table: table, expecting: generation)
        }
        if !change.build.isEmpty {
            generation = try store.commitInParts(change.build, table: table, expecting: generation)
        }
        if !change.swap.isEmpty {
            if isPatient, !isFirst { store.waitForPackets() }
            generation = try commitSwap(change.swap, table: table, expecting: generation)
        }
        return generation
    }

    private mutating func commitSwap(
        _ swap: [Operation], table: String, expecting generation: Generation
    ) throws(KernelError) -> Generation {
        // Its answer may be lost.
        mayStraddleSwap = true
        return try store.commit(swap, table: table, expecting: generation)
    }

    /// Before any commit but a swap.
    mutating func passSwap() {
        if mayStraddleSwap { store.waitForPackets() }
        mayStraddleSwap = false
    }

    /// What is known of a change that the kernel has accepted.
    private enum Confirmation {
        /// It was read back.
        case equal
        /// It was much; nobody has come in between.
        case owed
        /// The whole has to be read, at once.
        case doubtful
    }

    /// Reads back what a change has made or edited, where that is little, and then the number, which says that nobody
    /// has changed anything since our last commit, nor while it was read.
    private func confirmation(of change: Change, at reached: Generation) throws(Failure) -> Confirmation {
        do throws(KernelError) {
            guard let touched = change.touched(atMost: Self.readOneByOne) else {
                return try store.generation() == reached ? .owed : .doubtful
            }
            let table = change.result.table
            for name in touched.chains {
                guard try store.rules(of: name, table: table) == change.result.chains[name]?.rules else {
                    return .doubtful
                }
            }
            var elements = 0
            let sets = touched.sets.compactMap { change.result.sets[$0] }
            for set in sets.sorted(by: { $0.elements.count < $1.elements.count }) {
                elements += set.elements.count
                if set.expires || elements > Self.readElements { continue }
                guard try store.elements(of: set, table: table) == set.elements else { return .doubtful }
            }
            return try store.generation() == reached ? .equal : .doubtful
        } catch {
            throw .unconfirmed(error)
        }
    }

    /// Chains and sets together; beyond that the whole table is read, after the sweep (`prove`).
    private static let readOneByOne = 512
    /// Of the touched sets together, the smallest first; what is beyond is left to the next audit: the kernel has
    /// accepted each addition and each deletion, from a content that was known.
    private static let readElements = 4096

    /// Reads the whole table back and compares it with what is wanted.
    private mutating func confirm(_ wanted: ComposedRuleset) throws(Failure) {
        let present: Ruleset?
        let generation: Generation
        do throws(KernelError) {
            (present, generation) = try store.dump(table: wanted.table)
        } catch {
            throw .unconfirmed(error)
        }
        let change = Change(from: present, to: wanted.ruleset)
        let missing = change.skeleton + change.build + change.swap
        guard missing.isEmpty else { throw .differs(missing) }
        trusted = TrustedTable(
            table: SettledTable(after: change, to: wanted), generation: generation, sweep: change.sweep)
        owesProof = false
    }

    /// What a piece of the proof has shown.
    package enum Proof: Hashable, Sendable {
        /// There is more to read.
        case unfinished
        /// The table is what it should be.
        case equal
        /// It differs, or somebody commits meanwhile, or is not known: an audit reads it at once, and heals it.
        case doubtful
    }

    /// Reads on in the table, of which nothing must be left to sweep. What is brought into force in between is read
    /// as it is then.
    /// - Parameter shallPause: asked after each chain and each set.
    package mutating func prove(until shallPause: () -> Bool) -> Proof {
        guard var known = takeTrusted(), known.sweep.isEmpty else { return .doubtful }
        let state: TableProof.State
        do throws(KernelError) {
            let ruleset = known.table.ruleset
            var begun = known.proof
            if begun == nil { begun = try TableProof(of: ruleset, in: store) }
            guard var proof = begun else { return .doubtful }
            state = try proof.goOn(over: ruleset, in: store, until: shallPause)
            known.proof = proof
        } catch {
            return .doubtful
        }
        switch state {
        case .differs: return .doubtful
        case .unfinished:
            trusted = known
            return .unfinished
        case .equal:
            // Others may have committed to their tables before.
            if let proof = known.proof { known.generation = proof.generation }
            known.proof = nil
            trusted = known
            owesProof = false
            return .equal
        }
    }

    package mutating func sweep(keeping wanted: Ruleset) throws(KernelError) -> Int {
        try sweep(keeping: ComposedRuleset(wanted))
    }

    /// Takes out what nothing refers to any more, and makes the last change in sets that nothing looks into any more.
    /// At least 100 ms after the swap, so that packets in flight have left it. Does nothing where the wanted policy
    /// is not in force: what it would edit may be what packets meet.
    package mutating func sweep(keeping wanted: ComposedRuleset) throws(KernelError) -> Int {
        if let count = try sweepTrusted() { return count }
        let (inForce, generation) = try store.dump(table: wanted.table)
        guard let inForce else { return 0 }
        let change = Change(from: inForce, to: wanted.ruleset)
        guard change.skeleton.isEmpty, change.build.isEmpty, change.swap.isEmpty else { return 0 }
        owesProof = false
        passSwap()
        let reached = try store.commitInParts(change.sweep, table: wanted.table, expecting: generation)
        trusted = TrustedTable(table: SettledTable(after: change, to: wanted), generation: reached)
        return change.sweep.count
    }

    /// What the last swap left, as long as nobody has changed anything since; nil where that is not so.
    private mutating func sweepTrusted() throws(KernelError) -> Int? {
        if trusted?.sweep.isEmpty == true { return 0 }
        guard var known = takeTrusted() else { return nil }
        let table = known.table.ruleset.table
        passSwap()
        do throws(KernelError) {
            let before = known.generation
            known.generation = try store.commitInParts(known.sweep, table: table, expecting: before)
            known.proof?.follow(known.sweep, from: before, to: known.generation)
        } catch {
            guard error.mayHavePassed else { throw error }
            return nil
        }
        let count = known.sweep.count
        known.sweep = []
        trusted = known
        return count
    }

    /// First every trampoline out of the base chains accepts, then `removeTable` may follow. False where there is no
    /// table.
    package mutating func open(table: String) throws(KernelError) -> Bool {
        (trusted, owesProof) = (nil, false)
        for attempt in 1...Self.attempts {
            do throws(KernelError) {
                let (inForce, generation) = try store.dump(table: table)
                guard let inForce else { return false }
                let swap = inForce.entrances.filter { inForce.chains[$0]?.rules != [Self.accept] }.sorted()
                    .map { Operation.replaceRule(at: 0, in: $0, with: Self.accept) }
                if !swap.isEmpty {
                    store.waitForPackets()
                    _ = try commitSwap(swap, table: table, expecting: generation)
                }
                return true
            } catch {
                guard error.isLostRace, attempt < Self.attempts else { throw error }
            }
        }
        return true
    }

    private static let accept = Rule(.verdict(.accept))

    package mutating func removeTable(_ table: String) throws(KernelError) {
        trusted = nil
        guard try store.dump(table: table).ruleset != nil else { return }
        passSwap()
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

    /// A change of somebody else's, or an answer that was lost (`ENOBUFS`, `EPROTO`): what the kernel holds has to be
    /// read.
    var mayHavePassed: Bool { isLostRace || errno == 105 || errno == 71 }
}
