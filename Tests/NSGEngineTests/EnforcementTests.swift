import NSGEngine
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// What is known by the kernel's number and what is read (docs/decisions/0006); what does not fit is refused whole.
@Suite struct EnforcementTests {
    /// A policy of 20 rules in each of two lists, in which some rules are others.
    private static func policy(_ edits: Int..., paired: Bool = true) -> Ruleset {
        var policy = LargeRuleset(rulesPerList: 20, elementsPerList: 40)
        policy.arePaired = paired
        policy.edited = Set(edits.map { .init(list: $0 % 2, rule: $0 / 2) })
        return policy.ruleset
    }

    /// A store in which a policy is in force and swept, and who brought it there.
    private static func enforced(_ ruleset: Ruleset) throws -> (FakeRulesetStore, Enforcement) {
        let store = FakeRulesetStore()
        var enforcement = Enforcement(store: store)
        _ = try enforcement.apply(ruleset)
        _ = try enforcement.sweep(keeping: ruleset)
        return (store, enforcement)
    }

    private static func isInForce(_ ruleset: Ruleset, in store: FakeRulesetStore) -> Bool {
        Change(from: store.tables["nsgd"], to: ruleset).isEmpty
    }

    @Test("as long as nobody else changes anything the table is read once, at the start")
    func readsOnce() throws {
        let (store, enforced) = try Self.enforced(Self.policy())
        var enforcement = enforced
        let dumps = store.dumps
        for edit in 0..<12 {
            let wanted = Self.policy(edit)
            let summary = try enforcement.apply(wanted)
            #expect(summary.swap > 0 && summary.skeleton == 0)
            let swept = try enforcement.sweep(keeping: wanted)
            #expect(swept == summary.sweep && Self.isInForce(wanted, in: store), "\(edit)")
            let again = try enforcement.apply(wanted)
            #expect(again.isUnchanged)
        }
        #expect(store.dumps == dumps)
        enforcement.distrust()
        let audit = try enforcement.apply(Self.policy(11))
        #expect(audit.isUnchanged && store.dumps == dumps + 1)
    }

    /// A packet that is on its way over two commits meets the rules of both (docs/decisions/0001).
    @Test("packets pass between a swap and the commits before and behind it (E1)")
    func waits() throws {
        let (store, enforced) = try Self.enforced(Self.policy())
        var enforcement = enforced
        // Before the table was there nothing could be mixed; the wait is that of the sweep.
        #expect(store.waits == [store.transactions.count - 1])
        let (transactions, waits) = (store.transactions.count, store.waits.count)
        let wanted = Self.policy(3)
        let summary = try enforcement.apply(wanted)
        try #require(summary.build > 0 && summary.swap > 0)
        // Of the two commits the last is the swap; the one before it came long after the sweep.
        #expect(store.transactions.count == transactions + 2)
        #expect(store.waits[waits...] == [transactions + 1])
        // At once, or after the sweep: once is enough.
        _ = try enforcement.sweep(keeping: wanted)
        #expect(store.waits[waits...] == [transactions + 1, transactions + 2])
        _ = try enforcement.apply(Self.policy(3, 5))
        #expect(store.waits[waits...].dropFirst(2) == [transactions + 4])
        _ = try enforcement.open(table: "nsgd")
        #expect(store.waits[waits...].dropFirst(3) == [transactions + 5])
        try enforcement.removeTable("nsgd")
        #expect(store.waits.last == store.transactions.count - 1)
    }

    @Test("at a start a swap of an earlier run may have been just now (E1)")
    func waitsAtStart() throws {
        let (store, _) = try Self.enforced(Self.policy())
        var enforcement = Enforcement(store: store)
        let transactions = store.transactions.count
        let waits = store.waits.count
        _ = try enforcement.apply(Self.policy(7))
        #expect(store.waits[waits...] == [transactions, transactions + 1])
    }

    @Test("what somebody else changed is seen and healed, by a change and by none", arguments: [true, false])
    func heals(changes: Bool) throws {
        let (store, enforced) = try Self.enforced(Self.policy())
        var enforcement = enforced
        store.tamper("nsgd") { ruleset in
            for name in ruleset?.chains.keys.filter({ $0.description.hasSuffix("/v4") }) ?? [] {
                ruleset?.chains[name]?.rules.insert(Rule(.verdict(.accept)), at: 0)
            }
        }
        let wanted = changes ? Self.policy(3) : Self.policy()
        _ = try enforcement.apply(wanted)
        _ = try enforcement.sweep(keeping: wanted)
        #expect(Self.isInForce(wanted, in: store))
    }

    @Test("another table's change costs a reading and nothing else; so does a flush, which is a first load")
    func readsAfterOthers() throws {
        let (store, enforced) = try Self.enforced(Self.policy())
        var enforcement = enforced
        var dumps = store.dumps
        store.tamper("other") { $0 = Ruleset(table: "other") }
        let unchanged = try enforcement.apply(Self.policy())
        #expect(unchanged.isUnchanged && store.dumps == dumps + 1)
        dumps = store.dumps
        store.tamper("nsgd") { $0 = nil }
        let summary = try enforcement.apply(Self.policy(1))
        _ = try enforcement.sweep(keeping: Self.policy(1))
        #expect(summary.skeleton > 0 && Self.isInForce(Self.policy(1), in: store))
    }

    @Test(
        "a commit that fails, or another's that comes first, at each transaction: the old policy or the new, and then the new"
    )
    func interrupted() throws {
        for errno: Int32 in [12, 85, 105] {
            for attempt in 0..<12 {
                let (store, enforced) = try Self.enforced(Self.policy())
                var enforcement = enforced
                let wanted = Self.policy(0, 5, 9)
                store.capacity = 16
                store.failingAttempt = (store.attempts + attempt, KernelError(errno: errno, doing: "commit"))
                do throws(Enforcement.Failure) {
                    _ = try enforcement.apply(wanted)
                    _ = try? enforcement.sweep(keeping: wanted)
                } catch {
                    #expect(!error.isSwapped)
                }
                let left = store.tables["nsgd"]
                let isOld = Change(from: left, to: Self.policy()).swap.isEmpty
                let isNew = Change(from: left, to: wanted).swap.isEmpty
                #expect(isOld || isNew, "\(errno) at \(attempt)")
                store.failingAttempt = nil
                store.capacity = .max
                _ = try enforcement.apply(wanted)
                _ = try enforcement.sweep(keeping: wanted)
                #expect(Self.isInForce(wanted, in: store), "\(errno) at \(attempt)")
            }
        }
    }

    @Test("another's commit between the swap and the reading back, or before the sweep: all is read")
    func othersAfterSwap() throws {
        let (store, enforced) = try Self.enforced(Self.policy())
        var enforcement = enforced
        let wanted = Self.policy(2)
        _ = try enforcement.apply(wanted)
        store.tamper("nsgd") { $0?.chains[ChainName("extra")] = Chain(ChainName("extra"), rules: []) }
        let swept = try enforcement.sweep(keeping: wanted)
        #expect(swept > 0 && Self.isInForce(wanted, in: store))
        store.tamper("nsgd") { $0?.chains[ChainName("to/forward")]?.rules = [Rule(.verdict(.accept))] }
        let healed = try enforcement.apply(wanted)
        #expect(healed.swap == 1 && Self.isInForce(wanted, in: store))
    }

    /// More chains than are read one by one before a change is said to be in force.
    private static func largePolicy(_ edits: Int...) -> Ruleset {
        var policy = LargeRuleset(rulesPerList: 300, elementsPerList: 600)
        policy.edited = Set(edits.map { .init(list: 0, rule: $0) })
        return policy.ruleset
    }

    /// In the smallest pieces, to the end.
    private static func prove(_ enforcement: inout Enforcement) -> Enforcement.Proof {
        for _ in 0..<100_000 {
            let proof = enforcement.prove { true }
            if proof != .unfinished { return proof }
        }
        return .unfinished
    }

    @Test("a first load of many chains is read back after the sweep, in pieces, and a change may come in between (E1)")
    func provesLater() throws {
        let store = FakeRulesetStore()
        var enforcement = Enforcement(store: store)
        _ = try enforcement.apply(Self.largePolicy())
        #expect(enforcement.owesProof && store.dumps == 1)
        _ = try enforcement.sweep(keeping: Self.largePolicy())
        for _ in 0..<50 {
            let piece = enforcement.prove { true }
            #expect(piece == .unfinished)
        }
        let change = try enforcement.apply(Self.largePolicy(7))
        #expect(change.swap > 0 && enforcement.owesProof && store.dumps == 1)
        _ = try enforcement.sweep(keeping: Self.largePolicy(7))
        // It goes on, with what the change has touched.
        let all = Self.largePolicy().chains.count + Self.largePolicy().sets.count
        var pieces = 1
        while enforcement.prove(until: { true }) == .unfinished { pieces += 1 }
        #expect(pieces < all && !enforcement.owesProof && enforcement.isCurrent)
        let again = try enforcement.apply(Self.largePolicy(7))
        #expect(again.isUnchanged && store.dumps == 1)
    }

    @Test("another's commit to another table, before the proof begins, is no difference")
    func provesBesideOthers() throws {
        let store = FakeRulesetStore()
        var enforcement = Enforcement(store: store)
        _ = try enforcement.apply(Self.largePolicy())
        _ = try enforcement.sweep(keeping: Self.largePolicy())
        store.tamper("other") { $0 = Ruleset(table: "other") }
        let proof = Self.prove(&enforcement)
        #expect(proof == .equal && !enforcement.owesProof && enforcement.isCurrent)
    }

    @Test("what a change has touched in the middle of a proof is read again (E6)", arguments: [true, false])
    func findsInTheMiddleOfProof(isSet: Bool) throws {
        let store = FakeRulesetStore()
        var enforcement = Enforcement(store: store)
        _ = try enforcement.apply(Self.largePolicy())
        _ = try enforcement.sweep(keeping: Self.largePolicy())
        // All chains and sets but the last.
        let all = Self.largePolicy().chains.count + 2 * Self.largePolicy().sets.count
        for _ in 0..<all / 2 { _ = enforcement.prove { true } }
        let before = store.tables["nsgd"]
        _ = try enforcement.apply(Self.largePolicy(7))
        _ = try enforcement.sweep(keeping: Self.largePolicy(7))
        let after = try #require(store.tables["nsgd"])
        let chain = after.chains.keys.sorted().first { before?.chains[$0] != after.chains[$0] }
        let set = after.sets.keys.sorted().first { before?.sets[$0] != after.sets[$0] }
        store.tamperUnseen("nsgd") { ruleset in
            if isSet, let set { ruleset?.sets[set]?.elements.removeLast() }
            if !isSet, let chain { ruleset?.chains[chain]?.rules.append(Rule(.verdict(.accept))) }
        }
        let proof = Self.prove(&enforcement)
        #expect(proof == .doubtful)
    }

    @Test(
        "what somebody changes between the swap and the end of the proof is found and healed (E6)",
        arguments: ["rule", "element", "chain", "counter", "table", "during"])
    func findsBeforeProof(what: String) throws {
        let store = FakeRulesetStore()
        var enforcement = Enforcement(store: store)
        let wanted = Self.largePolicy()
        _ = try enforcement.apply(wanted)
        _ = try enforcement.sweep(keeping: wanted)
        if what == "during" {
            let piece = enforcement.prove { true }
            #expect(piece == .unfinished)
        }
        store.tamper("nsgd") { ruleset in
            switch what {
            case "element":
                let name = ruleset?.sets.keys.filter { $0 != SetName("interfaces/in") }.sorted().first
                if let name { ruleset?.sets[name]?.elements.removeLast() }
            case "chain": ruleset?.chains[ChainName("extra")] = Chain(ChainName("extra"), rules: [])
            case "counter": ruleset?.counters.removeFirst()
            case "table": ruleset = nil
            default:
                let name = ruleset?.chains.keys.sorted().first
                if let name { ruleset?.chains[name]?.rules.append(Rule(.verdict(.accept))) }
            }
        }
        let proof = Self.prove(&enforcement)
        #expect(proof == .doubtful)
        enforcement.distrust()
        // A counter that is gone takes a rule with it that is made anew.
        guard what != "counter" else { return }
        _ = try enforcement.apply(wanted)
        _ = try enforcement.sweep(keeping: wanted)
        let last = enforcement.owesProof ? Self.prove(&enforcement) : .equal
        #expect(last == .equal && Self.isInForce(wanted, in: store), "\(what)")
    }

    @Test("what the kernel has no room for is refused before anything is sent, and the policy in force stays (E1)")
    func limits() throws {
        func deep(_ count: Int) -> Ruleset {
            var ruleset = Self.policy()
            for level in 0..<count {
                let name = ChainName("deep-\(level)")
                let rules = level + 1 < count ? [Rule(.verdict(.goto(ChainName("deep-\(level + 1)"))))] : []
                ruleset.chains[name] = Chain(name, rules: rules)
            }
            ruleset.chains[ChainName("to/forward")]?.rules = [Rule(.verdict(.goto(ChainName("deep-0"))))]
            return ruleset
        }
        var long = Self.policy()
        let name = CounterName(String(repeating: "n", count: 256))
        long.counters.insert(name)
        var wide = Self.policy()
        wide.chains[ChainName("wide")] = Chain(
            ChainName("wide"), rules: [Rule((0..<70).map { .match(.destinationPort, .equals(UInt128($0))) })])
        // The set's name fits; that of its twin, which the sweep makes, does not.
        var paired = Self.policy()
        let twin = SetName(String(repeating: "n", count: 254))
        paired.sets[twin] = NamedSet(
            twin, keyType: .ipv4Address, isInterval: true, isPaired: true,
            elements: [SetElement(.values(0x0a00_0000...0x0aff_ffff))])
        let cases: [(KernelLimits, Ruleset, Int32, String)] = [
            (KernelLimits(transactionBytes: 1, memory: nil), Self.policy(0, 1, 2, 3), 90, "where"),
            (KernelLimits(transactionBytes: .max, memory: 4096), Self.policy(4), 12, "MiB"),
            (KernelLimits(transactionBytes: .max, memory: nil), deep(16), 31, "15"),
            (KernelLimits(transactionBytes: .max, memory: nil), long, 36, "255"),
            (KernelLimits(transactionBytes: .max, memory: nil), wide, 7, "128"),
            (KernelLimits(transactionBytes: .max, memory: nil), paired, 36, "255"),
        ]
        for (limits, wanted, errno, words) in cases {
            let (store, enforced) = try Self.enforced(Self.policy())
            var enforcement = enforced
            store.limits = limits
            let (attempts, before) = (store.attempts, store.tables["nsgd"])
            do throws(Enforcement.Failure) {
                _ = try enforcement.apply(wanted)
                Issue.record("\(errno) was not refused")
            } catch {
                guard case .refused(let reason) = error else {
                    Issue.record("\(error)")
                    continue
                }
                #expect(reason.errno == errno, "\(reason)")
                let isExplained = "\(reason)".contains(words) || errno == 90
                #expect(isExplained && reason.object != nil, "\(reason)")
            }
            #expect(store.attempts == attempts && store.tables["nsgd"] == before)
        }
        // As deep as the kernel allows.
        let (store, _) = try Self.enforced(Self.policy())
        var enforcement = Enforcement(store: store)
        _ = try enforcement.apply(deep(14))
    }
}
