import Nftables
import TestSupport
import Testing

@Suite("Maps of numbers, and packets through four of them")
struct ClassificationTests {
    private static let (classes, points) = (SetName("classes"), SetName("points"))
    private static let (ranges, outcomes) = (SetName("ranges"), SetName("outcomes"))

    private static func step(
        _ field: Field = .ipSource, protocol number: UInt8? = nil, readsPort: Bool = true, points: SetName? = points
    ) -> Step {
        .classify(
            Classification(
                address: field, classes: classes, protocolNumber: number, readsPort: readsPort, points: points,
                ranges: ranges, outcomes: outcomes))
    }

    @Test(
        "print as nft would be told",
        arguments: [
            (
                Rule(step()),
                "ip saddr map @classes . meta l4proto . th dport map @points else @ranges vmap @outcomes"
            ),
            (
                Rule(.match(.family, .equals(10)), step(.ip6Destination, protocol: 132)),
                "ip6 daddr map @classes . 132 . th dport map @points else @ranges vmap @outcomes"
            ),
            (
                Rule(.match(.family, .equals(2)), step(.ipDestination, readsPort: false, points: nil)),
                "ip daddr map @classes . meta l4proto . 0xffffffff map @ranges vmap @outcomes"
            ),
            (
                Rule(step(.ip6Source, protocol: 1, readsPort: false, points: nil)),
                "ip6 saddr map @classes . 1 . 0xffffffff map @ranges vmap @outcomes"
            ),
        ])
    func prints(rule: Rule, text: String) { #expect(rule.description == text) }

    @Test("what holds all else prints as nft has it, behind the others")
    func printsCatchAll() {
        let elements = [SetElement(.catchAll, number: 0), SetElement(.values(7...7), number: 5)]
        let set = NamedSet(
            Self.points, keyType: Classification.pointType, isInterval: false, values: .numbers,
            elements: elements.sorted { $0.key < $1.key })
        #expect(set.elements.map(set.text(of:)) == ["7 : 5", "* : 0"])
    }

    @Test("keys of points are those of ranges of no class, and of no other point")
    func tellsKeysApart() {
        let last = Classification.key(class: .max, protocol: .max, port: nil)
        #expect(Classification.keys(ofPoint: Classification.noPoint).upperBound >= last)
        #expect(Classification.keys(ofPoint: 1).lowerBound > last)
        #expect(Classification.keys(ofPoint: .max).upperBound == .max)
    }

    @Test("elements stay small")
    func isSmall() { #expect(MemoryLayout<SetElement>.stride <= 64) }

    private static func ruleset(_ numbers: [UInt32], leaf: ChainName = ChainName("leaf")) -> Ruleset {
        func one(_ value: UInt128) -> SetKey { .values(value...value) }
        let (root, entry) = (ChainName("root.0"), ChainName("to/root"))
        return Ruleset(
            table: "t",
            chains: [
                Chain(
                    ChainName("in"), at: Attachpoint(hook: .input, priority: 0), rules: [Rule(.verdict(.jump(entry)))]),
                Chain(entry, rules: [Rule(.verdict(.goto(root)))]), Chain(root, rules: [Rule(step())]),
                Chain(leaf, rules: [Rule(.verdict(.drop))]),
            ],
            sets: [
                NamedSet(
                    classes, keyType: .ipv4Address, isInterval: true, values: .numbers,
                    elements: [SetElement(.values(0...255), number: 1)]),
                NamedSet(
                    points, keyType: Classification.pointType, isInterval: false, values: .numbers, isPaired: true,
                    elements: numbers.enumerated().map {
                        SetElement(
                            one(Classification.key(class: 1, protocol: 6, port: UInt16($0.offset))), number: $0.element)
                    } + [SetElement(.catchAll, number: Classification.noPoint)]),
                NamedSet(
                    ranges, keyType: Classification.rangeType, isInterval: true, values: .numbers,
                    elements: [7, 8].map { SetElement(.values(Classification.keys(ofPoint: $0)), number: $0) }),
                NamedSet(
                    outcomes, keyType: Classification.outcomeType, isInterval: false, values: .verdicts, isPaired: true,
                    elements: [SetElement(one(7), verdict: .goto(leaf))]),
            ])
    }

    @Test(
        "a table is built, edited by elements and left as the kernel allows; no chain goes that an outcome leads to (E1)"
    )
    func isBuiltAndEdited() throws {
        var inForce: Ruleset?
        for (round, numbers) in ([[7, 7, 7], [7, 8, 7], [7, 8], [8, 7]] as [[UInt32]]).enumerated() {
            let wanted = Self.ruleset(numbers, leaf: ChainName("leaf-\(round)"))
            let change = Change(from: inForce, to: wanted)
            var kernel = inForce ?? Ruleset(table: "t")
            for operations in [change.skeleton, change.build, change.swap, change.sweep] {
                try kernel.apply(operations)
                if round > 0 { #expect(kernel.depth != nil) }
            }
            #expect(kernel == change.result)
            #expect(Change(from: kernel, to: wanted).isEmpty)
            if round > 0 {
                let edited = change.build.compactMap { operation -> Int? in
                    switch operation {
                    case .addElements(let elements, let set), .deleteElements(let elements, let set):
                        set.keyType == Classification.pointType ? elements.count : nil
                    default: nil
                    }
                }
                #expect(edited.reduce(0, +) <= 4)
            }
            inForce = kernel
        }
    }
}
