import NetworkTypes
import Nftables
import TestSupport
import Testing

/// Large sets that change a little (S10, E1, E3): only differences are sent, and no packet meets half of them.
@Suite struct PairedSetTests {
    private static let tag = SetName("tag/Storage.v4")
    private static let twin = SetName("tag/Storage.v4.b")
    private static let table = "nsgd"

    private static func ranges(_ numbers: some Sequence<Int>) -> [SetElement] {
        numbers.map { SetElement(.values(UInt128($0) * 16...UInt128($0) * 16 + 7)) }
    }

    /// A base chain, a trampoline, a list of two rules that look into the tag, and a leaf that looks into it again.
    /// - Parameter list: what the list's name says of its content, which does not depend on that of the tag.
    private static func policy(_ elements: [SetElement]?, list: Int = 1, keyType: KeyType = .ipv4Address) -> Ruleset {
        let (entry, leaf) = (ChainName("to/web"), ChainName("leaf"))
        let content = ChainName("list.\(list)")
        let isTagged = { (isIn: Bool) in Step.membership([.ipSource], of: tag, isIn: isIn) }
        let rules = [
            Rule(isTagged(true), .verdict(.jump(leaf))), Rule(isTagged(false), .verdict(.drop)),
            Rule(.match(.protocol, .equals(UInt128(list))), .verdict(.drop)),
        ]
        return Ruleset(
            table: table,
            chains: [
                Chain(
                    ChainName("forward"), at: Attachpoint(hook: .forward, priority: 20),
                    rules: [Rule(.verdict(.jump(entry)))]),
                Chain(entry, rules: [Rule(.verdict(.goto(content)))]),
                Chain(content, rules: elements == nil ? Array(rules.suffix(1)) : rules),
                Chain(leaf, rules: [Rule(elements == nil ? [] : [isTagged(true)] + [.verdict(.accept)])]),
            ],
            sets: elements.map {
                [NamedSet(tag, keyType: keyType, isInterval: true, isPaired: true, elements: $0)]
            } ?? [])
    }

    /// What each look-up on the way from the base chain finds in its set; the names of these sets.
    private static func met(in ruleset: Ruleset?) -> (contents: Set<[SetElement]>, names: Set<SetName>) {
        var (pending, seen): ([ChainName], Set<ChainName>) = ([ChainName("forward")], [])
        var names: Set<SetName> = []
        while let name = pending.popLast() {
            for step in ruleset?.chains[name]?.rules.flatMap(\.steps) ?? [] {
                names.formUnion(step.sets)
                if case .verdict(let verdict) = step, let target = verdict.target, seen.insert(target).inserted {
                    pending.append(target)
                }
            }
        }
        return (Set(names.map { ruleset?.sets[$0]?.elements ?? [] }), names)
    }

    private static func apply(_ change: Change, to ruleset: inout Ruleset) throws {
        for part in [change.skeleton, change.build, change.swap, change.sweep] { try ruleset.apply(part) }
    }

    private static func loaded(_ wanted: Ruleset) throws -> Ruleset {
        var ruleset = Ruleset(table: table)
        try apply(Change(from: nil, to: wanted), to: &ruleset)
        return ruleset
    }

    /// How many elements a list of operations adds and deletes.
    private static func elements(in operations: [Nftables.Operation]) -> Int {
        operations.reduce(0) { sum, operation in
            switch operation {
            case .addElements(let elements, _), .deleteElements(let elements, _): sum + elements.count
            default: sum
            }
        }
    }

    @Test("the first load makes one set before the swap and its twin after it")
    func firstLoad() throws {
        let wanted = Self.policy(Self.ranges(0..<100))
        let change = Change(from: nil, to: wanted)
        #expect(Self.elements(in: change.build) == 100 && Self.elements(in: change.sweep) == 100)
        let deletesNothing = change.sweep.allSatisfy { !$0.description.hasPrefix("delete") }
        #expect(deletesNothing)
        let ruleset = try Self.loaded(wanted)
        #expect(ruleset.sets[Self.tag]?.elements == ruleset.sets[Self.twin]?.elements)
        #expect(ruleset.sets.count == 2)
        #expect(Change(from: ruleset, to: wanted).isEmpty)
    }

    @Test("an update of 5,000 ranges sends what changed, twice, and replaces the rules that look into them")
    func sendsDifferences() throws {
        let first = Self.policy(Self.ranges(0..<5000))
        let second = Self.policy(Self.ranges((0..<5000).filter { $0 % 500 != 3 } + [6000, 6001]))
        var ruleset = try Self.loaded(first)
        for (wanted, name) in [(second, Self.twin), (first, Self.tag), (second, Self.twin)] {
            let change = Change(from: ruleset, to: wanted)
            #expect(change.skeleton.isEmpty && change.build.count == 2 && change.sweep.count == 2)
            #expect(Self.elements(in: change.build) == 12 && Self.elements(in: change.sweep) == 12)
            let isReplacing = change.swap.allSatisfy { if case .replaceRule = $0 { true } else { false } }
            #expect(change.swap.count == 3 && isReplacing)
            try Self.apply(change, to: &ruleset)
            #expect(Self.met(in: ruleset).names == [name])
            #expect(Change(from: ruleset, to: wanted).isEmpty)
        }
    }

    @Test("a change of rules alone leaves the pair as it is, whichever of the two is in use")
    func otherRulesChange() throws {
        var ruleset = try Self.loaded(Self.policy(Self.ranges(0..<50)))
        let elements = Self.ranges(1..<51)
        try Self.apply(Change(from: ruleset, to: Self.policy(elements)), to: &ruleset)
        let wanted = Self.policy(elements, list: 2)
        let change = Change(from: ruleset, to: wanted)
        #expect(change.build.isEmpty && change.sweep.isEmpty && change.swap.count == 1, "\(change)")
        try Self.apply(change, to: &ruleset)
        #expect(Self.met(in: ruleset).names == [Self.twin] && Change(from: ruleset, to: wanted).isEmpty)
    }

    @Test("a tag that no rule names any more goes, and may come back")
    func removal() throws {
        var ruleset = try Self.loaded(Self.policy(Self.ranges(0..<50)))
        for wanted in [Self.policy(nil), Self.policy(Self.ranges(0..<50)), Self.policy(nil)] {
            try Self.apply(Change(from: ruleset, to: wanted), to: &ruleset)
            #expect(ruleset.sets.count == (wanted.sets.isEmpty ? 0 : 2))
            #expect(Change(from: ruleset, to: wanted).isEmpty)
        }
    }

    @Test(
        "elements changed by somebody else's hand are healed: by the twin where they are in use",
        arguments: [tag, twin, SetName("tag/Storage.v4.c")])
    func tampered(name: SetName) throws {
        let wanted = Self.policy(Self.ranges(0..<50))
        var ruleset = try Self.loaded(wanted)
        ruleset.sets[name] = NamedSet(
            name, keyType: .ipv4Address, isInterval: true, elements: Self.ranges(20..<22))
        let change = Change(from: ruleset, to: wanted)
        #expect(change.build.isEmpty && change.swap.isEmpty == (name != Self.tag))
        try Self.apply(change, to: &ruleset)
        #expect(ruleset.sets.count == 2 && Self.met(in: ruleset).contents == [Self.ranges(0..<50)])
        #expect(Change(from: ruleset, to: wanted).isEmpty)
    }

    @Test("both sets in use, or of another type, or unreadable: a third one, or the idle one built anew")
    func fallsBack() throws {
        let wanted = Self.policy(Self.ranges(5..<60))
        let odd = NamedSet(
            Self.twin, keyType: .ipv4Address, isInterval: true, elements: [SetElement(.device("not ours: elements"))])
        let cases: [(inout Ruleset) -> Void] = [
            { $0.chains[ChainName("leaf")]?.rules = [Rule(.lookup(.ipSource, in: Self.twin), .verdict(.accept))] },
            { $0.sets[Self.twin] = odd },
            { $0.sets[Self.twin]?.keyType = .ipv6Address },
            { $0.sets[Self.twin] = nil },
            {
                $0.chains[ChainName("dead")] = Chain(
                    ChainName("dead"), rules: [Rule(.lookup(.ipSource, in: Self.twin), .verdict(.accept))])
                $0.sets[Self.twin] = odd
            },
        ]
        for (number, tamper) in cases.enumerated() {
            var ruleset = try Self.loaded(Self.policy(Self.ranges(0..<50)))
            tamper(&ruleset)
            try Self.apply(Change(from: ruleset, to: wanted), to: &ruleset)
            #expect(Self.met(in: ruleset).contents == [Self.ranges(5..<60)], "case \(number)")
            #expect(Self.met(in: ruleset).names == [number % 4 == 0 ? SetName("\(Self.tag).c") : Self.twin])
            #expect(ruleset.sets.count == 2 && Change(from: ruleset, to: wanted).isEmpty, "case \(number)")
        }
        // Both of another type than is wanted now.
        var ruleset = try Self.loaded(Self.policy(Self.ranges(0..<50), keyType: .ipv6Address))
        try Self.apply(Change(from: ruleset, to: wanted), to: &ruleset)
        #expect(Set(ruleset.sets.values.map(\.keyType)) == [.ipv4Address])
        #expect(Change(from: ruleset, to: wanted).isEmpty)
    }

    @Test(
        "packets meet the old content or the new, in every look-up, after each operation; the swap holds rules alone; a change that ends anywhere is finished by the next (E1)",
        arguments: UInt64(0)..<48)
    func neverHalf(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var numbers = Set((0..<60).map { _ in Int.random(in: 0..<200, using: &random) })
        var wanted = Self.policy(Self.ranges(numbers.sorted()))
        var ruleset = try Self.loaded(wanted)
        for round in 0..<12 {
            let before = Self.met(in: ruleset).contents
            if Bool.random(using: &random) {
                for _ in 0..<Int.random(in: 0...9, using: &random) {
                    numbers.formSymmetricDifference([Int.random(in: 0..<200, using: &random)])
                }
            }
            let elements = Self.ranges(numbers.sorted())
            wanted = Self.policy(elements, list: Int.random(in: 0..<3, using: &random))
            let change = Change(from: ruleset, to: wanted)
            #expect(change.skeleton.isEmpty, "seed \(seed), round \(round)")
            let isOfRules = change.swap.allSatisfy(\.isOfRules)
            #expect(isOfRules, "seed \(seed), round \(round)")
            let end = Int.random(in: 0...(change.build.count + change.sweep.count + 3), using: &random)
            for operation in change.build.prefix(end) {
                try ruleset.apply(operation)
                #expect(Self.met(in: ruleset).contents == before, "seed \(seed), round \(round): \(operation)")
            }
            guard end > change.build.count else { continue }
            try ruleset.apply(change.swap)
            #expect(Self.met(in: ruleset).contents == [elements], "seed \(seed), round \(round)")
            let rest = end - change.build.count - 1
            for operation in change.sweep.prefix(rest) {
                try ruleset.apply(operation)
                #expect(Self.met(in: ruleset).contents == [elements], "seed \(seed), round \(round): \(operation)")
            }
            // An operation on many elements may be cut too.
            if case .deleteElements(let gone, let set)? = change.sweep.dropFirst(rest).first {
                try ruleset.apply(.deleteElements(Array(gone.prefix(gone.count / 2)), from: set))
            }
        }
        try Self.apply(Change(from: ruleset, to: wanted), to: &ruleset)
        #expect(ruleset.sets.count == 2 && Change(from: ruleset, to: wanted).isEmpty, "seed \(seed)")
    }
}

extension Nftables.Operation {
    fileprivate var isOfRules: Bool {
        switch self {
        case .addRule, .insertRule, .replaceRule, .deleteRule: true
        default: false
        }
    }
}
