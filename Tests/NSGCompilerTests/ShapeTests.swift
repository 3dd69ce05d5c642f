import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// What the kernel, and nft, take of a compiled ruleset.
@Suite struct ShapeTests {
    /// The kernel counts jumps and gotos alike, in maps too, and refuses 16 (`NFT_JUMP_STACK_SIZE`; KERNEL 12).
    @Test(
        "chains nest less than 16 deep, however long a list", arguments: [0, 1, 12, 13, 40, 100, 255, 256, 257, 1000])
    func depth(rules: Int) throws {
        let depth = try #require(CompiledPolicy(.large(rules: rules)).ruleset.depth)
        #expect(depth <= 15)
        // A list of one chain, behind the trampolines of the hook, the second pass, the interface and the list itself.
        if rules == 0 { #expect(depth <= 8) }
    }

    @Test(
        "chains nest less than 16 deep, whatever stands on the way: routers, guests, admin rules",
        arguments: UInt64(0)..<64)
    func depth(seed: UInt64) throws {
        #expect(try #require(CompiledPolicy(.random(seed: seed)).ruleset.depth) <= 15)
    }

    @Test("names are nft's, and no longer than the kernel's", arguments: UInt64(0)..<24)
    func names(seed: UInt64) {
        var estate = seed == 0 ? Estate.large(rules: 300) : .random(seed: seed)
        // A lab's own tag may be called anything.
        let tag = ServiceTag(String(repeating: "our \"läb\"; ", count: 30))
        estate.serviceTags[tag.key] = ["192.0.2.0/25", "192.0.2.192/26"].compactMap { IPPrefix($0) }
        estate = estate.changingRules { if !$0.isEmpty { $0[0].source = .serviceTag(tag) } }
        let ruleset = CompiledPolicy(estate).ruleset
        let names =
            ruleset.chains.keys.map(\.description) + ruleset.sets.keys.map(\.description)
            + ruleset.counters.map(\.description)
        for name in names {
            #expect(name.utf8.count <= 255, "\(name)")
            #expect(name.first.map { $0.isASCII && $0.isLetter } == true, "\(name)")
            #expect(name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/_.-".contains($0)) }, "\(name)")
        }
        for rule in ruleset.chains.values.flatMap(\.rules) {
            #expect((rule.comment?.utf8.count ?? 0) <= 127)
            // `NFT_RULE_MAXEXPRS`: 128 expressions; a match is two of them, a look-up and a log two at most.
            #expect(rule.steps.count <= 20, "\(rule)")
            for case .log(let copy) in rule.steps { #expect(copy.prefix.utf8.count <= 127) }
        }
    }

    @Test("sets hold disjoint ascending elements, and none of addresses or ports is empty", arguments: UInt64(0)..<32)
    func sets(seed: UInt64) {
        let ruleset = CompiledPolicy(.random(seed: seed)).ruleset
        for set in ruleset.sets.values {
            // Connections that were cut come later; of guests' addresses one family may have none, and of the
            // interfaces of a side none may have a group.
            let mayBeEmpty = if case .concatenation = set.keyType { true } else { set.isVerdictMap }
            #expect(mayBeEmpty || !set.elements.isEmpty, "\(set.name)")
            #expect(set.elements.allSatisfy { ($0.verdict != nil) == set.isVerdictMap })
            var last: UInt128?
            for case .values(let range) in set.elements.map(\.key) {
                // Adjacent elements would print as two where one does.
                if let last { #expect(range.lowerBound > last, "\(set.name)") }
                last = range.upperBound
            }
            #expect(Set(set.elements.map(\.key)).count == set.elements.count, "\(set.name)")
        }
    }

    @Test("every name a rule or map uses is there", arguments: UInt64(0)..<32)
    func references(seed: UInt64) throws {
        let ruleset = CompiledPolicy(.random(seed: seed)).ruleset
        var replayed = Ruleset(table: ruleset.table)
        let change = Change(from: nil, to: ruleset)
        try replayed.apply(change.skeleton + change.build + change.swap + change.sweep)
        let isSame = replayed == ruleset
        #expect(isSame)
    }

    @Test("the same input compiles to the same output", arguments: UInt64(0)..<12)
    func isDeterministic(seed: UInt64) {
        let first = CompiledPolicy(.random(seed: seed)).ruleset
        let second = CompiledPolicy(.random(seed: seed)).ruleset
        let isSame = first == second && first.description == second.description
        #expect(isSame)
    }

    @Test("nothing is enforced without bindings")
    func unbound() {
        var estate = Estate.random(seed: 1)
        estate.bindings = []
        let ruleset = CompiledPolicy(estate).ruleset
        #expect(ruleset.counters.isEmpty)
        #expect(ruleset.chains.values.filter(\.name.isTrampoline).allSatisfy { $0.rules == [Rule(.verdict(.accept))] })
    }

    @Test("without a log group no packet is copied")
    func withoutLog() {
        let ruleset = CompiledPolicy(.random(seed: 2), group: nil).ruleset
        #expect(!ruleset.description.contains("log prefix"))
    }

    /// A rule may carry the word by which a use of its list is told from another, wherever the list is cut.
    @Test("rules named like a use of their list", arguments: ["host", "again", "vnet.lab"])
    func rulesNamedLikeUses(name: String) throws {
        for position in 4..<28 {
            var estate = Estate.large(rules: 28, nameLength: 1).changingRules { rules in
                for index in rules.indices { rules[index].name = index == position ? name : "r\(index)" }
            }
            // A router as guest, and a host, under one group: every use there is.
            let first = try #require(estate.networkInterfaces.values.first)
            let other = NetworkInterface(
                id: testID("networkInterfaces", "other"), networkSecurityGroup: first.networkSecurityGroup,
                ipConfigurations: first.ipConfigurations)
            estate.networkInterfaces[other.id] = other
            estate.bindings.append(Binding(networkInterface: other.id, device: "host0", attachment: .host))
            let policy = CompiledPolicy(estate)
            var random = SplitMix64(seed: 11)
            for flow in FlowTuple.nearEdges(of: estate, count: 16, using: &random) {
                for packet in [TestPacket(.output, to: "guest0", flow), TestPacket(.input, from: "host0", flow)] {
                    #expect(policy.interpreter.outcome(of: packet).effect == policy.expected(for: packet), "\(packet)")
                }
            }
        }
    }
}
