import NetworkTypes
import Nftables
import TestSupport
import Testing

/// E1: skeleton, build, swap, sweep, against a store that refuses what the kernel refuses.
@Suite struct ChangeTests {
    private static let entry = ChainName("to/web")
    private static let forward = ChainName("forward")

    /// A policy: base chain, trampoline, and behind it chains, sets and a counter that carry `version` in their names.
    private static func policy(_ version: Int) -> Ruleset {
        let rules = ChainName("rules-\(version)")
        let leaf = ChainName("leaf-\(version)")
        let sources = SetName("sources-\(version)")
        let map = SetName("ports-\(version)")
        let counter = CounterName("hits-\(version)")
        let timeout = TimeoutName("tcp-\(version)")
        let base = [
            Rule(.match(.connectionState, .hasAny(6)), .verdict(.accept)),
            Rule(.verdict(.jump(entry))),
        ]
        return Ruleset(
            table: "nsgd",
            chains: [
                Chain(forward, at: Attachpoint(hook: .forward, priority: 20), rules: base),
                Chain(entry, rules: [Rule(.verdict(.goto(rules)))]),
                Chain(
                    rules,
                    rules: [
                        Rule(.lookup(.ipSource, in: sources), .dispatch(.destinationPort, through: map)),
                        Rule(.verdict(.drop)),
                    ]),
                Chain(leaf, rules: [Rule(.counter(counter), .setTimeout(timeout), .verdict(.accept))]),
            ],
            sets: [
                NamedSet(
                    sources, keyType: .ipv4Address, isInterval: true,
                    elements: [SetElement(.values(0x0a00_0000...0x0aff_ffff))]),
                NamedSet(
                    map, keyType: .inetService, isInterval: true, values: .verdicts,
                    elements: [SetElement(.values(443...443), verdict: .goto(leaf))]),
                NamedSet(SetName("cut"), keyType: .ipv4Address, isInterval: false, expires: true, elements: []),
            ],
            counters: [counter],
            timeouts: [TimeoutObject(timeout, transport: .tcp, seconds: UInt32(240 * version))])
    }

    /// Carries a change out as the daemon does: build in parts of `capacity` operations, the swap in one.
    private static func apply(_ change: Change, to store: FakeRulesetStore, capacity: Int = .max) throws {
        store.capacity = capacity
        for part in [change.skeleton, change.build] where !part.isEmpty {
            _ = try store.commitInParts(part, table: "nsgd", expecting: store.generation())
        }
        store.capacity = .max
        for part in [change.swap, change.sweep] where !part.isEmpty {
            _ = try store.commit(part, table: "nsgd", expecting: store.generation())
        }
    }

    private static func store(holding ruleset: Ruleset) throws -> FakeRulesetStore {
        let store = FakeRulesetStore()
        try apply(Change(from: nil, to: ruleset), to: store)
        return store
    }

    /// What stays of the time-outs of earlier policies is no part of a comparison.
    private static func withoutTimeouts(_ ruleset: Ruleset) -> Ruleset {
        var ruleset = ruleset
        ruleset.timeouts = [:]
        return ruleset
    }

    @Test(
        "from nothing, from itself, and from one policy to the next: what was wanted is there", arguments: [1, 3, .max])
    func reachesWanted(capacity: Int) throws {
        let store = FakeRulesetStore()
        for version in [1, 1, 2, 1] {
            let inForce = try store.dump(table: "nsgd").ruleset
            let change = Change(from: inForce, to: Self.policy(version))
            #expect(change.isEmpty == (inForce.map(Self.withoutTimeouts) == Self.withoutTimeouts(Self.policy(version))))
            try Self.apply(change, to: store, capacity: capacity)
            let present = try #require(store.tables["nsgd"])
            #expect(Self.withoutTimeouts(present) == Self.withoutTimeouts(Self.policy(version)))
            // With its object a live connection would lose its time-out (S5, KERNEL 16).
            #expect(
                present.timeouts.count == (inForce?.timeouts ?? [:]).merging(Self.policy(version).timeouts) { $1 }.count
            )
        }
    }

    @Test("a swap only replaces the rules of trampolines (KERNEL 2), the first one too (KERNEL 3)")
    func swapOnlyReplaces() {
        for inForce in [nil, Self.policy(1)] {
            let change = Change(from: inForce, to: Self.policy(2))
            #expect(
                change.swap == [.replaceRule(at: 0, in: Self.entry, with: Rule(.verdict(.goto(ChainName("rules-2")))))])
        }
    }

    @Test("until the swap every packet meets the old policy, and nothing in force refers to the new one")
    func buildIsUnreferenced() throws {
        let store = try Self.store(holding: Self.policy(1))
        let change = Change(from: Self.policy(1), to: Self.policy(2))
        #expect(change.skeleton.isEmpty)
        _ = try store.commitInParts(change.build, table: "nsgd", expecting: nil)
        let built = try #require(store.tables["nsgd"])
        for (name, chain) in Self.policy(1).chains { #expect(built.chains[name] == chain) }
        #expect(Change(from: built, to: Self.policy(1)).swap.isEmpty)
    }

    @Test("before its first swap a skeleton accepts what its trampolines are to judge")
    func skeletonAccepts() throws {
        let store = FakeRulesetStore()
        let change = Change(from: nil, to: Self.policy(1))
        _ = try store.commit(change.skeleton, table: "nsgd", expecting: nil)
        let chains = try #require(store.tables["nsgd"]?.chains)
        #expect(chains[Self.entry]?.rules == [Rule(.verdict(.accept))])
        #expect(chains[Self.forward] == Self.policy(1).chains[Self.forward])
    }

    @Test("what two policies share is neither made nor swept (E3)")
    func sharesWhatIsEqual() {
        var wanted = Self.policy(2)
        let inForce = Self.policy(1)
        wanted.sets[SetName("sources-1")] = inForce.sets[SetName("sources-1")]
        wanted.counters.insert(CounterName("hits-1"))
        let change = Change(from: inForce, to: wanted)
        let touched = (change.build + change.sweep).map(\.description)
        #expect(!touched.contains { $0.hasSuffix("sources-1") || $0.hasSuffix("counter hits-1") })
    }

    @Test("an interrupted change leaves a ruleset from which the next one arrives", arguments: 0..<4)
    func resumes(at attempt: Int) throws {
        let store = try Self.store(holding: Self.policy(1))
        let change = Change(from: Self.policy(1), to: Self.policy(2))
        store.failingAttempt = (store.attempts + attempt, KernelError(errno: 12, doing: "commit"))
        #expect(throws: KernelError.self) { try Self.apply(change, to: store, capacity: 4) }
        let next = Change(from: store.tables["nsgd"], to: Self.policy(2))
        try Self.apply(next, to: store)
        #expect(store.tables["nsgd"].map(Self.withoutTimeouts) == Self.withoutTimeouts(Self.policy(2)))
    }

    private static func largePolicy() -> Ruleset {
        LargeRuleset(rulesPerList: 12, elementsPerList: 24).ruleset
    }

    @Test("a first load that ends anywhere enforces nothing, and is gone on with under the same names (KERNEL 3)")
    func resumesFirstLoad() throws {
        let policy = Self.largePolicy()
        var transactions = 0
        while transactions < 1000 {
            let store = FakeRulesetStore()
            store.failingAttempt = (transactions, KernelError(errno: 12, doing: "commit"))
            do { try Self.apply(Change(from: nil, to: policy), to: store, capacity: 8) } catch {
                let left = store.tables["nsgd"]
                let entry = left?.chains[ChainName("to/forward")]?.rules
                let isInForce = entry == policy.chains[ChainName("to/forward")]?.rules
                #expect(isInForce || entry == nil || entry == [] || entry == [Rule(.verdict(.accept))])
                let next = Change(from: left, to: policy)
                try Self.apply(next, to: store)
                #expect(store.tables["nsgd"] == Change(from: nil, to: policy).result, "after \(transactions)")
                transactions += 1
                continue
            }
            break
        }
        #expect((20..<1000).contains(transactions))
    }

    @Test("paired maps are filled after the rules that look into them, which is when the kernel takes them quicker")
    func fillsLast() throws {
        let build = Change(from: nil, to: Self.largePolicy()).build
        let lastRule = try #require(
            build.lastIndex { if case .addRule = $0 { true } else { false } })
        let filled = build.indices.filter {
            if case .addElements(_, let set) = build[$0] { set.name.description.hasPrefix("nsg/") } else { false }
        }
        #expect(filled.count == 4 && filled.allSatisfy { $0 > lastRule })
    }

    @Test("rules changed by somebody else's hand are put right")
    func healsChains() throws {
        let store = try Self.store(holding: Self.policy(1))
        store.tamper("nsgd") { ruleset in
            ruleset?.chains[Self.entry]?.rules.append(Rule(.verdict(.accept)))
            ruleset?.chains[ChainName("rules-1")]?.rules.insert(Rule([], comment: "not ours"), at: 0)
            ruleset?.chains[ChainName("extra")] = Chain(ChainName("extra"), rules: [])
        }
        let change = Change(from: store.tables["nsgd"], to: Self.policy(1))
        #expect(change.skeleton.isEmpty && change.build.isEmpty)
        try Self.apply(change, to: store)
        #expect(store.tables["nsgd"] == Self.policy(1))
    }

    @Test(
        "elements changed by somebody else's hand are refused, so that whoever commits builds all of it under new names"
    )
    func refusesDamagedSets() throws {
        let store = try Self.store(holding: Self.policy(1))
        store.tamper("nsgd") { $0?.sets[SetName("sources-1")]?.elements = [] }
        let error = #expect(throws: KernelError.self) {
            try Self.apply(Change(from: store.tables["nsgd"], to: Self.policy(1)), to: store)
        }
        #expect(error?.errno == 17)
    }

    @Test("a base chain at another place is noticed")
    func noticesAttachpoint() throws {
        var moved = Self.policy(1)
        moved.chains[Self.forward]?.attachpoint = Attachpoint(hook: .forward, priority: 300)
        let store = try Self.store(holding: moved)
        try Self.apply(Change(from: moved, to: Self.policy(1)), to: store)
        #expect(store.tables["nsgd"] == Self.policy(1))
    }

    @Test(
        "the store refuses what the kernel refuses",
        arguments: [
            (.addTable, 17), (.addChain(ChainName("leaf-1"), nil), 17), (.addCounter(CounterName("hits-1")), 17),
            (.addRule(Rule(.verdict(.jump(ChainName("none")))), to: ChainName("leaf-1")), 2),
            (.addRule(Rule(.lookup(.ipSource, in: SetName("none"))), to: ChainName("leaf-1")), 2),
            (.replaceRule(at: 2, in: ChainName("rules-1"), with: Rule(.verdict(.drop))), 2),
            (.insertRule(Rule(.verdict(.drop)), at: 3, in: ChainName("rules-1")), 2),
            (.deleteRule(at: 2, in: ChainName("rules-1")), 2),
            (.deleteChain(ChainName("leaf-1")), 16), (.deleteSet(SetName("sources-1")), 16),
            (.deleteCounter(CounterName("hits-1")), 16), (.deleteTimeout(TimeoutName("tcp-1")), 16),
            (.deleteTimeout(TimeoutName("none")), 2),
            (.addTimeout(TimeoutObject(TimeoutName("tcp-1"), transport: .tcp, seconds: 240)), 17),
            (.addRule(Rule(.setTimeout(TimeoutName("none"))), to: ChainName("leaf-1")), 2),
            (.flushChain(ChainName("none")), 2),
        ] as [(Nftables.Operation, Int32)])
    func fakeRefuses(operation: Nftables.Operation, errno: Int32) throws {
        let store = try Self.store(holding: Self.policy(1))
        let error = #expect(throws: KernelError.self) {
            _ = try store.commit([.addCounter(CounterName("new")), operation], table: "nsgd", expecting: nil)
        }
        #expect(error?.errno == errno && error?.object == operation.description)
        #expect(store.tables["nsgd"] == Self.policy(1))
    }

    @Test(
        "a chain that differs little from the one in force is edited, and keeps its name and the rules that stay",
        arguments: UInt64(0)..<64)
    func editsChains(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let list = { (name: String, ports: [Int]) in
            Ruleset(
                table: "nsgd",
                chains: [
                    Chain(Self.entry, rules: [Rule(.verdict(.goto(ChainName("list.\(name)"))))]),
                    Chain(
                        Self.forward, at: Attachpoint(hook: .forward, priority: 20),
                        rules: [Rule(.verdict(.jump(Self.entry)))]),
                    Chain(
                        ChainName("list.\(name)"),
                        rules: ports.map { Rule(.match(.destinationPort, .equals(UInt128($0))), .verdict(.drop)) }),
                ])
        }
        let ports = Array(1...40)
        var edited = ports
        for number in 0..<Int.random(in: 1...20, using: &random) {
            let index = edited.indices.randomElement(using: &random) ?? 0
            switch Int.random(in: 0..<3, using: &random) {
            case 0: edited.remove(at: index)
            case 1: edited.insert(1000 + number, at: index)
            default: edited[index] = 2000 + number
            }
        }
        let store = try Self.store(holding: list("a", ports))
        let change = Change(from: store.tables["nsgd"], to: list("b", edited))
        #expect(change.build.isEmpty && change.sweep.isEmpty && change.swap.count <= 20, "seed \(seed)")
        try Self.apply(change, to: store)
        #expect(
            store.tables["nsgd"]?.chains[ChainName("list.a")]?.rules
                == list("a", edited).chains[ChainName("list.a")]?.rules)
        #expect(Change(from: store.tables["nsgd"], to: list("b", edited)).isEmpty)

        // Far from what is in force: built beside, under a name of its own even where the content's name is taken.
        let far = list("a", Array(5000..<5100))
        let rebuilt = Change(from: store.tables["nsgd"], to: far)
        #expect(rebuilt.swap.count == 1 && !rebuilt.build.isEmpty)
        try Self.apply(rebuilt, to: store)
        #expect(store.tables["nsgd"]?.chains.keys.contains(ChainName("list.a-2")) == true)
        #expect(Change(from: store.tables["nsgd"], to: far).isEmpty)
    }
}
