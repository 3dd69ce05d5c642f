import NetworkTypes
import Nftables
import TestSupport
import Testing

/// Maps in pairs, and chains with fixed names that the swap edits: any ruleset to any other, ended anywhere (E1).
@Suite struct PairedMapTests {
    private static let (entry, root) = (ChainName("to/web"), ChainName("nsg/web/subnet/inbound/v4"))
    private static let map = SetName("nsg/web/subnet/inbound/sources.v4")
    private static let addresses: [UInt128] = (0..<24).map { $0 * 16 + 5 }

    /// What a random policy is: for each of 24 ranges the version of its leaf, and how the root's rules go.
    private struct Policy {
        var leaves: [Int?]
        var order: [Int]

        init(using random: inout SplitMix64) {
            leaves = (0..<24).map { _ in Int.random(in: 0..<4, using: &random) }.map { $0 == 0 ? nil : $0 }
            order = Array(0..<Int.random(in: 1...6, using: &random)).shuffled(using: &random)
        }

        mutating func change(using random: inout SplitMix64) {
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                let leaf = Int.random(in: 0..<8, using: &random)
                leaves[Int.random(in: 0..<24, using: &random)] = leaf == 0 ? nil : leaf
            }
            if Bool.random(using: &random) { order = Policy(using: &random).order }
        }
    }

    private static func ruleset(_ policy: Policy) -> Ruleset {
        func leaf(_ number: Int) -> ChainName { ChainName("leaf.\(number)") }
        let elements = policy.leaves.enumerated().compactMap { index, version in
            version.map {
                SetElement(.values(UInt128(index) * 16...UInt128(index) * 16 + 15), verdict: .jump(leaf($0)))
            }
        }
        let inner = ChainName("class.\(policy.order)")
        let used = Set(policy.leaves.compactMap(\.self)).sorted()
        // The map is looked into twice, in two chains.
        let rules =
            policy.order.map { Rule(.counter(CounterName("order-\($0)"))) }
            + [Rule(.dispatch(.ipSource, through: map)), Rule(.verdict(.jump(inner)))]
        return Ruleset(
            table: "nsgd",
            chains: [
                Chain(
                    ChainName("forward"), at: Attachpoint(hook: .forward, priority: 20),
                    rules: [Rule(.verdict(.jump(entry)))]),
                Chain(entry, rules: [Rule(.verdict(.goto(root)))]), Chain(root, rules: rules),
                Chain(inner, rules: [Rule(.dispatch(.ipSource, through: map))]),
            ] + used.map { Chain(leaf($0), rules: [Rule(.counter(CounterName("leaf-\($0)")))]) },
            sets: [
                NamedSet(
                    map, keyType: .ipv4Address, isInterval: true, values: .verdicts, isPaired: true,
                    elements: elements)
            ],
            counters: Set(used.map { CounterName("leaf-\($0)") } + policy.order.map { CounterName("order-\($0)") }))
    }

    /// The counters that packets meet, address by address.
    private static func met(in ruleset: Ruleset) -> [[String]] {
        addresses.map { address in
            var counters: [String] = []
            var steps = 0
            func walk(_ name: ChainName) {
                steps += 1
                guard steps < 100 else { return }
                for step in ruleset.chains[name]?.rules.flatMap(\.steps) ?? [] {
                    switch step {
                    case .counter(let name): counters.append(name.description)
                    case .verdict(let verdict): verdict.target.map(walk)
                    case .dispatch(_, let map):
                        let element = ruleset.sets[map]?.elements.first {
                            if case .values(let range) = $0.key { range.contains(address) } else { false }
                        }
                        element?.verdict?.target.map(walk)
                    default: break
                    }
                }
            }
            walk(ChainName("forward"))
            return counters
        }
    }

    @Test(
        "packets meet the old policy or the new one after each operation; a change that ends anywhere is finished by the next",
        arguments: UInt64(0)..<64)
    func neverMixed(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var policy = Policy(using: &random)
        var present = Ruleset(table: "nsgd")
        let first = Change(from: nil, to: Self.ruleset(policy))
        for part in [first.skeleton, first.build, first.swap, first.sweep] { try present.apply(part) }
        #expect(present == first.result, "seed \(seed)")
        for round in 0..<16 {
            let before = Self.met(in: present)
            policy.change(using: &random)
            let wanted = Self.ruleset(policy)
            let after = Self.met(in: wanted)
            let change = Change(from: present, to: wanted)
            #expect(change.skeleton.isEmpty, "seed \(seed), round \(round)")
            let end = Int.random(in: 0...(change.build.count + change.sweep.count + 2), using: &random)
            for operation in change.build.prefix(end) {
                try present.apply(operation)
                #expect(Self.met(in: present) == before, "seed \(seed), round \(round): \(operation)")
            }
            guard end > change.build.count else { continue }
            try present.apply(change.swap)
            #expect(Self.met(in: present) == after, "seed \(seed), round \(round)")
            let rest = end - change.build.count - 1
            for operation in change.sweep.prefix(rest) {
                try present.apply(operation)
                #expect(Self.met(in: present) == after, "seed \(seed), round \(round): \(operation)")
            }
            if rest >= change.sweep.count { #expect(present == change.result, "seed \(seed), round \(round)") }
        }
        let last = Change(from: present, to: Self.ruleset(policy))
        for part in [last.build, last.swap, last.sweep] { try present.apply(part) }
        #expect(present == last.result && Change(from: present, to: Self.ruleset(policy)).isEmpty, "seed \(seed)")
        #expect(present.sets.count == 2)
    }

    @Test("a rule that leads elsewhere costs the elements that lead to it, twice, and the rules that name the map")
    func sendsDifferences() throws {
        var random = SplitMix64(seed: 1)
        var policy = Policy(using: &random)
        policy.leaves = (0..<24).map { $0 % 3 + 1 }
        var present = Ruleset(table: "nsgd")
        let first = Change(from: nil, to: Self.ruleset(policy))
        for part in [first.skeleton, first.build, first.swap, first.sweep] { try present.apply(part) }
        policy.leaves[7] = 9
        let change = Change(from: present, to: Self.ruleset(policy))
        // The leaf with its rule and counter; one element that goes and one that comes.
        #expect(change.build.count == 5 && change.sweep.count == 2 && change.swap.count == 2, "\(change)")
    }

    @Test("a hash map has room to grow; one that outgrows it is made anew, where nothing looks into it")
    func outgrows() throws {
        let leaf = ChainName("leaf")
        func policy(_ count: Int) -> Ruleset {
            let elements = (0..<UInt128(count)).map { SetElement(.values($0...$0), verdict: .jump(leaf)) }
            return Ruleset(
                table: "nsgd",
                chains: [
                    Chain(
                        ChainName("forward"), at: Attachpoint(hook: .forward, priority: 20),
                        rules: [Rule(.verdict(.jump(Self.entry)))]),
                    Chain(Self.entry, rules: [Rule(.verdict(.goto(Self.root)))]),
                    Chain(Self.root, rules: [Rule(.dispatch(.destinationPort, through: Self.map))]),
                    Chain(leaf, rules: [Rule(.verdict(.drop))]),
                ],
                sets: [
                    NamedSet(
                        Self.map, keyType: .inetService, isInterval: false, values: .verdicts, isPaired: true,
                        elements: elements)
                ])
        }
        var present = Ruleset(table: "nsgd")
        for (count, capacity, isMade) in [
            (400, 600, true), (600, 600, false), (601, 901, true), (100, 901, false), (2000, 3000, true),
        ] {
            let change = Change(from: present.chains.isEmpty ? nil : present, to: policy(count))
            let made = change.build.contains { if case .addSet = $0 { true } else { false } }
            #expect(made == isMade, "\(count)")
            for part in [change.skeleton, change.build, change.swap, change.sweep] { try present.apply(part) }
            #expect(present == change.result && present.sets.count == 2)
            #expect(present.sets.values.allSatisfy { $0.capacity == capacity }, "\(count)")
            #expect(Change(from: present, to: policy(count)).isEmpty)
        }
    }
}
