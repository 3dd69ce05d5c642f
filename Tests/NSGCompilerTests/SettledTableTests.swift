import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// A change planned from the parts that differ is the change that the whole rulesets give (E3).
@Suite struct SettledTableTests {
    /// One policy after the other, each compiled with what the one before has left.
    private struct Policies {
        private var numbering = RuleNumbering()
        private var book: PolicyBook?
        private var lists: CompiledLists?
        private let division: Division

        init(_ division: Division = Division()) { self.division = division }

        mutating func next(_ estate: Estate) -> ComposedRuleset {
            let book = PolicyBook(estate, after: book)
            _ = numbering.assign(to: book)
            var options = CompilerOptions(packetLogGroup: 5)
            options.division = division
            let output = PolicyCompiler(book, numbering: numbering, options: options).compiled(after: lists)
            (self.book, lists) = (book, output.lists)
            return output.wanted
        }
    }

    /// As it is once the first change has been carried out.
    private static func table(_ wanted: ComposedRuleset) -> SettledTable {
        SettledTable(after: Change(from: nil, to: wanted.ruleset), to: wanted)
    }

    @Test("any policy to any other", arguments: UInt64(0)..<48)
    func agrees(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var policies = Policies(.way(seed))
        var estate = Estate.random(seed: seed)
        var table = Self.table(policies.next(estate))
        for round in 0..<8 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: estate = Estate.random(seed: seed + 1000 * UInt64(round + 1))
            case 1: break
            case 2: estate.bindings.shuffle(using: &random)
            default:
                let position = Int.random(in: 0..<8, using: &random)
                estate = estate.changingRules { rules in
                    guard position < rules.count else { return }
                    rules[position].access = rules[position].access == .allow ? .deny : .allow
                }
            }
            try Self.compare(&table, policies.next(estate), "seed \(seed), round \(round)")
        }
    }

    @Test("one rule of many, in a list with maps in pairs, and back", arguments: Division.ways.indices)
    func oneRule(way: Int) throws {
        var policies = Policies(Division.ways[way])
        let estate = Estate.large(rules: 400, isRouter: false)
        var table = Self.table(policies.next(estate))
        for port in [60000, 60001, nil, 60002] as [UInt16?] {
            let edited = port.map { port in
                estate.changingRules { $0[200].destinationPorts = [PortRange(port)] }
            }
            try Self.compare(&table, policies.next(edited ?? estate), "way \(way), \(port ?? 0)")
        }
    }

    private static func compare(_ table: inout SettledTable, _ wanted: ComposedRuleset, _ what: String) throws {
        var present = table.ruleset
        let plain = Change(from: present, to: wanted.ruleset)
        let change = table.change(to: wanted)
        #expect(change.skeleton == plain.skeleton, "\(what)")
        #expect(change.build == plain.build, "\(what)")
        #expect(change.swap == plain.swap, "\(what)")
        #expect(change.sweep == plain.sweep, "\(what)")
        #expect(change.result == plain.result && change.spares == plain.spares, "\(what)")
        #expect(table.ruleset == plain.result, "\(what)")
        for part in [change.skeleton, change.build, change.swap, change.sweep] { try present.apply(part) }
        #expect(present == plain.result, "\(what)")
    }
}
