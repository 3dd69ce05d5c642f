import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// The way from one policy to the next (E1, E3).
@Suite struct ChangeTests {
    @Test("old until the swap, new after it, at every step", arguments: UInt64(0)..<24)
    func isNeverHalf(seed: UInt64) throws {
        let estate = Estate.random(seed: seed)
        // Another seed is another policy on the same devices' names; odd seeds change one rule.
        let next =
            seed % 2 == 0
            ? Estate.random(seed: seed + 1000)
            : estate.changingRules { rules in
                if !rules.isEmpty { rules[0].access = rules[0].access == .allow ? .deny : .allow }
            }
        let old = CompiledPolicy(estate, division: .way(seed / 2))
        let new = CompiledPolicy(next, numbering: old.numbering, division: .way(seed / 2))
        let change = Change(from: old.ruleset, to: new.ruleset)
        // The first guest that is held to its addresses brings a base chain (S13).
        let guards = { (ruleset: Ruleset) in ruleset.chains.keys.contains(ChainName("prerouting")) }
        // The first machine that routes, a trampoline.
        let routes = { (ruleset: Ruleset) in ruleset.chains.keys.contains(ChainName("to/again")) }
        let isSkeletonThere =
            (guards(old.ruleset) || !guards(new.ruleset)) && (routes(old.ruleset) || !routes(new.ruleset))
        #expect(change.skeleton.isEmpty == isSkeletonThere)

        var random = SplitMix64(seed: seed ^ 0xc4a7)
        let edges = [FlowEdges(of: estate), FlowEdges(of: next)]
        let packets = (0..<24).map { index in
            (index % 4 < 2 ? old : new).packet(near: edges[index % 2], using: &random)
        }
        try Self.carryOut(change, from: old, to: new, packets)
    }

    /// Rules of a list, of which those of 40 are a tree, and of 100 a table.
    static let lists: [@Sendable (inout [SecurityRule]) -> Void] = [
        { $0.removeLast(60) }, { _ in },
        // No points any more.
        { for index in $0.indices { $0[index].destinationPorts = [PortRange(1000...UInt16(2000 + index))] } },
        { $0.removeFirst(60) },
        {
            for index in $0.indices where index > 2 {
                $0[index].destinationPorts = [PortRange(80), PortRange(90...99)]
            }
        },
    ]

    @Test(
        "a list becomes a table of cells and a tree again, points come and go: no packet meets half (E1)",
        arguments: lists.indices, lists.indices)
    func changesForm(from: Int, to: Int) throws {
        var division = Division()
        division.fewestCells = 60
        let estate = Estate.large(rules: 100, isRouter: false)
        let estates = [estate.changingRules(Self.lists[from]), estate.changingRules(Self.lists[to])]
        let old = CompiledPolicy(estates[0], division: division)
        let new = CompiledPolicy(estates[1], numbering: old.numbering, division: division)
        for (policy, list) in [(old, from), (new, to)] {
            let classification = policy.ruleset.chains.values.flatMap(\.rules).flatMap(\.steps).compactMap { step in
                if case .classify(let classification) = step { classification } else { nil }
            }
            #expect(classification.isEmpty == (list % 3 == 0))
            #expect(classification.contains { $0.points != nil } == [1, 4].contains(list))
        }
        var random = SplitMix64(seed: UInt64(from * 8 + to))
        let edges = estates.map { FlowEdges(of: $0) }
        let packets = (0..<48).map { index in
            let packet = (index % 4 < 2 ? old : new).packet(near: edges[index % 2], using: &random)
            return TestPacket(.forward, from: "other0", to: "guest0", packet.flow)
        }
        try Self.carryOut(Change(from: old.ruleset, to: new.ruleset), from: old, to: new, packets)
    }

    private static func carryOut(
        _ change: Change, from old: CompiledPolicy, to new: CompiledPolicy, _ packets: [TestPacket]
    ) throws {
        #expect(change.swap.allSatisfy { $0.touchesRulesAlone })
        let before = packets.map { old.interpreter.outcome(of: $0).effect }
        let after = packets.map { new.interpreter.outcome(of: $0).effect }

        var ruleset = old.ruleset
        let preparation = change.skeleton + change.build
        let stride = max(1, change.build.count / 8)
        for (index, operation) in preparation.enumerated() {
            try ruleset.apply(operation)
            guard index < change.skeleton.count || index % stride == 0 || index == preparation.count - 1 else {
                continue
            }
            let interpreter = RulesetInterpreter(ruleset)
            #expect(packets.map { interpreter.outcome(of: $0).effect } == before, "build \(index): \(operation)")
        }
        try ruleset.apply(change.swap)
        let swapped = RulesetInterpreter(ruleset)
        #expect(packets.map { swapped.outcome(of: $0).effect } == after)
        for operation in change.sweep { try ruleset.apply(operation) }
        let swept = RulesetInterpreter(ruleset)
        #expect(packets.map { swept.outcome(of: $0).effect } == after)
        #expect(Change(from: ruleset, to: new.ruleset).isEmpty)
    }

    @Test("the first load: everything passes until the swap (KERNEL 3)", arguments: UInt64(0)..<8)
    func firstLoad(seed: UInt64) throws {
        let estate = Estate.random(seed: seed)
        let policy = CompiledPolicy(estate)
        let change = Change(from: nil, to: policy.ruleset)
        var random = SplitMix64(seed: seed)
        let edges = FlowEdges(of: estate)
        let packets = (0..<16).map { _ in policy.packet(near: edges, using: &random) }
        var ruleset = Ruleset(table: policy.ruleset.table)
        let load = change.skeleton + change.build
        for (index, operation) in load.enumerated() {
            try ruleset.apply(operation)
            guard index < change.skeleton.count || index % 32 == 0 || index == load.count - 1 else { continue }
            let interpreter = RulesetInterpreter(ruleset)
            #expect(packets.allSatisfy { interpreter.outcome(of: $0).effect == PacketOutcome(label: 0) })
        }
        // The trampolines that base chains lead to.
        let entrances = Set(
            policy.ruleset.chains.values.filter { $0.attachpoint != nil }.flatMap(\.rules).flatMap(\.steps)
                .compactMap { if case .verdict(let verdict) = $0 { verdict.target } else { nil } })
        #expect(change.swap.count == (estate.bindings.isEmpty ? 0 : entrances.count { $0.isTrampoline }))
        try ruleset.apply(change.swap)
        let interpreter = RulesetInterpreter(ruleset)
        for packet in packets {
            #expect(interpreter.outcome(of: packet).effect == policy.expected(for: packet))
        }
    }

    struct Edit: CustomTestStringConvertible, Sendable {
        var name: String
        var change: @Sendable (inout [SecurityRule]) -> Void
        var testDescription: String { name }
    }

    static let edits = [
        Edit(name: "access of the first") { $0[0].access = $0[0].access == .allow ? .deny : .allow },
        Edit(name: "port of the middle") { $0[500].destinationPorts = [PortRange(60000)] },
        Edit(name: "the last goes") { $0.removeLast() },
        Edit(name: "one in the middle goes") { $0.remove(at: 300) },
        Edit(name: "one comes") { rules in
            var rule = rules[700]
            rule.name = "new"
            rule.priority = Priority(2000)
            rules.append(rule)
        },
    ]

    @Test("one rule of 1,000 changed sends a handful of messages", arguments: edits, [true, false])
    func oneRule(edit: Edit, hasCells: Bool) {
        var division = Division()
        division.fewestCells = hasCells ? 0 : nil
        let estate = Estate.large(rules: 1000, isRouter: false)
        let old = CompiledPolicy(estate, division: division)
        let new = CompiledPolicy(estate.changingRules(edit.change), numbering: old.numbering, division: division)
        let change = Change(from: old.ruleset, to: new.ruleset)
        let messages = change.build.count + change.swap.count + change.sweep.count
        #expect(messages <= 24, "\(messages)")
        #expect(change.swap.allSatisfy { $0.touchesRulesAlone })
        #expect(change.skeleton.isEmpty)
        // Counters of what did not change go on (E3).
        #expect(change.sweep.filter { if case .deleteCounter = $0 { true } else { false } }.count <= 1)
    }
}

extension Nftables.Operation {
    /// What a swap may do: no set, element, chain or counter is made or deleted (KERNEL 2).
    fileprivate var touchesRulesAlone: Bool {
        switch self {
        case .addRule, .insertRule, .replaceRule, .deleteRule: true
        default: false
        }
    }
}
