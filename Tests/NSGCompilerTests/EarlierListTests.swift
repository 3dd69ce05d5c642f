import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// A list that is compiled after an earlier version of it is what it is compiled to by itself (E3).
@Suite struct EarlierListTests {
    @Test("edit after edit", arguments: UInt64(0)..<24)
    func agrees(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        // A router's list asks for destinations.
        let isRouter = seed % 4 < 2
        var estate = Estate.large(rules: 160, nameLength: 8, isRouter: isRouter).changingRules { rules in
            for index in rules.indices {
                rules[index].priority = Priority(100 + 10 * index)
                if index.isMultiple(of: 3) { Self.edit(&rules[index], using: &random) }
            }
        }
        var options = CompilerOptions(packetLogGroup: 5)
        // Half of them are tables of cells, however short.
        if seed.isMultiple(of: 2) { options.division.fewestCells = 0 }
        var numbering = RuleNumbering()
        var book: PolicyBook?
        var lists: CompiledLists?
        for round in 0..<12 {
            if round > 0 {
                estate = estate.changingRules { rules in
                    for _ in 0..<Int.random(in: 1...3, using: &random) { Self.edit(&rules, using: &random) }
                }
            }
            let present = PolicyBook(estate, after: book)
            _ = numbering.assign(to: present)
            let compiler = PolicyCompiler(present, numbering: numbering, options: options)
            let output = compiler.compiled(after: lists)
            let fresh = compiler.compiled()
            #expect(output.statistics == fresh.statistics, "seed \(seed), round \(round)")
            let (ruleset, wanted) = (output.wanted.ruleset, fresh.wanted.ruleset)
            try #require(
                Set(ruleset.chains.keys) == Set(wanted.chains.keys) && ruleset.sets.keys == wanted.sets.keys,
                "seed \(seed), round \(round)")
            #expect(ruleset == wanted, "seed \(seed), round \(round)")
            (book, lists) = (present, output.lists)
        }
    }

    private static func edit(_ rules: inout [SecurityRule], using random: inout SplitMix64) {
        let index = Int.random(in: rules.indices, using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: rules.remove(at: index)
        case 1:
            // Every tenth priority is taken.
            let priority = rules[index].priority.value / 10 * 10 + Int.random(in: 1..<10, using: &random)
            guard !rules.contains(where: { $0.priority.value == priority }) else { return }
            var copy = rules[index]
            copy.name = "copy_\(UInt64.random(in: 0...UInt64.max, using: &random))"
            copy.priority = Priority(priority)
            edit(&copy, using: &random)
            rules.insert(copy, at: Int.random(in: 0...rules.count, using: &random))
        case 2:
            let other = Int.random(in: rules.indices, using: &random)
            let (first, second) = (rules[index].priority, rules[other].priority)
            rules[index].priority = second
            rules[other].priority = first
        default: edit(&rules[index], using: &random)
        }
    }

    private static func edit(_ rule: inout SecurityRule, using random: inout SplitMix64) {
        switch Int.random(in: 0..<7, using: &random) {
        case 0: rule.access = rule.access == .allow ? .deny : .allow
        case 1: rule.protocol = [.any, .tcp, .udp, .icmp, .esp].randomElement(using: &random) ?? .any
        case 2: rule.source = .any
        case 3: rule.source = .prefixes(prefixes(using: &random))
        case 4: rule.destination = .prefixes([IPPrefix(.v4(IPv4Address(0x0a00_0000)), length: 29)].compactMap(\.self))
        case 5: rule.sourcePorts = [PortRange(UInt16.random(in: 1...65535, using: &random))]
        default:
            let first = UInt16.random(in: 1000...1200, using: &random)
            rule.destinationPorts =
                Bool.random(using: &random)
                ? [PortRange(first)]
                : [PortRange(first...first + UInt16.random(in: 1...40, using: &random))]
        }
        if rule.protocol == .esp { (rule.sourcePorts, rule.destinationPorts) = ([.any], [.any]) }
    }

    /// Of those of the other rules, and wider ones; all of one family.
    private static func prefixes(using random: inout SplitMix64) -> [IPPrefix] {
        let count = Int.random(in: 1...5, using: &random)
        if Int.random(in: 0..<6, using: &random) == 0 {
            return (0..<count).compactMap { _ in
                IPPrefix("2001:db8:\(String(Int.random(in: 0..<40, using: &random), radix: 16))::/48")
            }
        }
        return (0..<count).compactMap { _ in
            let length = [24, 26, 28, 32].randomElement(using: &random) ?? 28
            let address = 0x0a00_0000 + UInt32.random(in: 0..<160, using: &random) << 4
            return IPPrefix(.v4(IPv4Address(address & (UInt32.max << UInt32(32 - length)))), length: length)
        }
    }
}
