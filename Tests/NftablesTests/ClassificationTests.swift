import Nftables
import TestSupport
import Testing

@Suite("Maps of numbers, and packets through three of them")
struct ClassificationTests {
    private static let (classes, cells, outcomes) = (SetName("classes"), SetName("cells"), SetName("outcomes"))

    private static func step(_ field: Field = .ipSource, protocol number: UInt8? = nil, readsPort: Bool = true) -> Step
    {
        .classify(
            Classification(
                address: field, classes: classes, protocolNumber: number, readsPort: readsPort, cells: cells,
                outcomes: outcomes))
    }

    @Test(
        "print as nft would be told",
        arguments: [
            (Rule(step()), "ip saddr map @classes . meta l4proto . th dport map @cells vmap @outcomes"),
            (
                Rule(.match(.family, .equals(10)), step(.ip6Destination, protocol: 132)),
                "ip6 daddr map @classes . 132 . th dport map @cells vmap @outcomes"
            ),
            (
                Rule(.match(.family, .equals(2)), step(.ipDestination, readsPort: false)),
                "ip daddr map @classes . meta l4proto . 0xffffffff map @cells vmap @outcomes"
            ),
            (
                Rule(step(.ip6Source, protocol: 1, readsPort: false)),
                "ip6 saddr map @classes . 1 . 0xffffffff map @cells vmap @outcomes"
            ),
        ])
    func prints(rule: Rule, text: String) { #expect(rule.description == text) }

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
                    cells, keyType: Classification.cellType, isInterval: false, values: .numbers, isPaired: true,
                    elements: numbers.enumerated().map {
                        SetElement(
                            one(Classification.key(class: 1, protocol: 6, port: UInt16($0.offset))), number: $0.element)
                    }),
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
                        set.keyType == Classification.cellType ? elements.count : nil
                    default: nil
                    }
                }
                #expect(edited.reduce(0, +) <= 4)
            }
            inForce = kernel
        }
    }
}
