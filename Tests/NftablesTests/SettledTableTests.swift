import NetworkTypes
import Nftables
import TestSupport
import Testing

/// Changes of rulesets that are put together of parts: the same, and by a look at the parts that differ alone.
@Suite struct SettledTableTests {
    private static let forward = ChainName("forward")

    /// A base chain, a trampoline, and a chain that asks every list.
    private static func frame(_ lists: [Int], version: Int) -> RulesetPart {
        let judge = ChainName("judge.\(version)-\(lists)")
        let entry = ChainName("to/forward")
        return RulesetPart(
            Ruleset(
                table: "nsgd",
                chains: [
                    Chain(
                        forward, at: Attachpoint(hook: .forward, priority: 20),
                        rules: [Rule(.verdict(.jump(entry)))]),
                    Chain(entry, rules: [Rule(.verdict(.goto(judge)))]),
                    Chain(
                        judge,
                        rules: lists.map { Rule(.verdict(.jump(root($0)))) } + [
                            Rule(.counter(CounterName("frame-\(version)")), .verdict(.accept))
                        ]),
                ], counters: [CounterName("frame-\(version)")]))
    }

    private static func root(_ list: Int) -> ChainName { ChainName("list-\(list)/v4") }

    /// A root with a map in pairs, and a set that other lists have too.
    private static func list(_ number: Int, _ ports: [UInt16], _ shared: Int) -> RulesetPart {
        func leaf(_ port: UInt16) -> ChainName { ChainName("list-\(number)/leaf.\(port)") }
        let map = SetName("list-\(number)/ports")
        let (sources, counter) = (SetName("shared.\(shared)"), CounterName("shared-\(shared)"))
        return RulesetPart(
            Ruleset(
                table: "nsgd",
                chains: [
                    Chain(
                        root(number),
                        rules: [
                            Rule(.lookup(.ipSource, in: sources), .counter(counter), .verdict(.return)),
                            Rule(.dispatch(.destinationPort, through: map)),
                        ])
                ] + ports.map { Chain(leaf($0), rules: [Rule(.verdict(.drop))]) },
                sets: [
                    NamedSet(
                        map, keyType: .inetService, isInterval: true, values: .verdicts, isPaired: true,
                        elements: ports.map {
                            SetElement(.values(UInt128($0)...UInt128($0)), verdict: .goto(leaf($0)))
                        }),
                    NamedSet(
                        sources, keyType: .ipv4Address, isInterval: true,
                        elements: [SetElement(.values(UInt128(shared)...UInt128(shared)))]),
                ], counters: [counter]))
    }

    private struct Lists {
        var parts: [Int: RulesetPart] = [:]
        var frame = SettledTableTests.frame([], version: 0)

        mutating func change(using random: inout SplitMix64) {
            let version = Int.random(in: 0..<3, using: &random)
            for number in 0..<6 where Int.random(in: 0..<3, using: &random) == 0 {
                let ports = (1...8).filter { _ in Bool.random(using: &random) }.map { UInt16($0) }
                parts[number] =
                    Int.random(in: 0..<5, using: &random) == 0
                    ? nil : SettledTableTests.list(number, ports, Int.random(in: 0..<3, using: &random))
            }
            frame = SettledTableTests.frame(parts.keys.sorted(), version: version)
        }

        var wanted: ComposedRuleset { ComposedRuleset(table: "nsgd", parts: [frame] + parts.values) }
    }

    @Test("a part that others share something with comes, changes and goes", arguments: UInt64(0)..<64)
    func agrees(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var lists = Lists()
        lists.change(using: &random)
        var table = SettledTable(after: Change(from: nil, to: lists.wanted.ruleset), to: lists.wanted)
        for round in 0..<16 {
            lists.change(using: &random)
            var present = table.ruleset
            let plain = Change(from: present, to: lists.wanted.ruleset)
            let change = table.change(to: lists.wanted)
            #expect(change == plain, "seed \(seed), round \(round)")
            for part in [change.skeleton, change.build, change.swap, change.sweep] { try present.apply(part) }
            #expect(present == table.ruleset, "seed \(seed), round \(round)")
        }
    }

    @Test("a part that looks into another's sets is looked at with all the others")
    func dependentParts() throws {
        let set = SetName("addresses")
        func sets(_ address: UInt128) -> RulesetPart {
            RulesetPart(
                Ruleset(
                    table: "nsgd",
                    sets: [
                        NamedSet(
                            set, keyType: .ipv4Address, isInterval: true, isPaired: true,
                            elements: [SetElement(.values(address...address))])
                    ]))
        }
        let rules = RulesetPart(
            Ruleset(
                table: "nsgd",
                chains: [
                    Chain(
                        Self.forward, at: Attachpoint(hook: .forward, priority: 20),
                        rules: [Rule(.lookup(.ipSource, in: set), .verdict(.drop))])
                ]))
        let first = ComposedRuleset(table: "nsgd", parts: [rules, sets(1)])
        var table = SettledTable(after: Change(from: nil, to: first.ruleset), to: first)
        let present = table.ruleset
        let next = ComposedRuleset(table: "nsgd", parts: [rules, sets(2)])
        let change = table.change(to: next)
        #expect(change == Change(from: present, to: next.ruleset))
        // The rule looks into the other of the pair.
        #expect(change.swap.count == 1)
    }
}
