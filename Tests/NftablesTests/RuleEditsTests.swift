import Nftables
import Testing

/// Edits of a chain that keeps its name, which the swap makes (E1).
@Suite struct RuleEditsTests {
    private static let size = 2048

    /// What becomes of the numbers from 0 to `size` in their order.
    enum Order: String, CaseIterable {
        case same, bothEndsChange, firstBecomesLast, halvesChangePlaces, reversed, allOthers, everySecondChanges
        case eachTwice, oneAgainAndAgain, none

        var numbers: [Int] {
            let (size, old) = (RuleEditsTests.size, Array(0..<RuleEditsTests.size))
            return switch self {
            case .same: old
            case .bothEndsChange: [size] + old[1..<size - 1] + [size + 1]
            case .firstBecomesLast: old[1...] + [0]
            case .halvesChangePlaces: Array(old[(size / 2)...] + old[..<(size / 2)])
            case .reversed: old.reversed()
            case .allOthers: old.map { $0 + size }
            case .everySecondChanges: old.map { $0.isMultiple(of: 2) ? $0 : $0 + size }
            case .eachTwice: old.flatMap { [$0, $0] }
            case .oneAgainAndAgain: old.map { _ in 0 }
            case .none: []
            }
        }

        /// How many of the numbers stay.
        var kept: Int {
            switch self {
            case .same, .eachTwice: RuleEditsTests.size
            case .bothEndsChange: RuleEditsTests.size - 2
            case .firstBecomesLast: RuleEditsTests.size - 1
            case .halvesChangePlaces, .everySecondChanges: RuleEditsTests.size / 2
            case .reversed, .oneAgainAndAgain: 1
            case .allOthers, .none: 0
            }
        }
    }

    /// A number that counts how often it is compared.
    private struct Counted: Hashable {
        final class Count { var comparisons = 0 }

        let number: Int
        let count: Count

        static func == (left: Counted, right: Counted) -> Bool {
            left.count.comparisons += 1
            return left.number == right.number
        }

        func hash(into hasher: inout Hasher) { hasher.combine(number) }
    }

    @Test("what stays of thousands of rules is found without comparing each with each", arguments: Order.allCases)
    func compares(order: Order) {
        let count = Counted.Count()
        let old = (0..<Self.size).map { Counted(number: $0, count: count) }
        let new = order.numbers.map { Counted(number: $0, count: count) }
        let places = CommonSubsequence(of: old, new).places
        // Beside equal ones, a dictionary compares those whose hashes collide.
        #expect(count.comparisons <= 16 * (old.count + new.count))
        #expect(places.count == order.kept)
        let areEqual = places.allSatisfy { old[$0.old].number == new[$0.new].number }
        let ascend = zip(places, places.dropFirst()).allSatisfy { $0.old < $1.old && $0.new < $1.new }
        #expect(areEqual && ascend)
    }

    @Test("a chain of a fixed name becomes the wanted one, however many of its rules differ", arguments: Order.allCases)
    func edits(order: Order) {
        let (base, list) = (ChainName("forward"), ChainName("nsg/web/in"))
        let policy = { (numbers: [Int]) in
            let rules = numbers.map { Rule(.match(.ipSource, .equals(UInt128($0))), .verdict(.accept)) }
            let entrance = Rule(.verdict(.jump(list)))
            return Ruleset(
                table: "nsgd",
                chains: [
                    Chain(base, at: Attachpoint(hook: .forward, priority: 20), rules: [entrance]),
                    Chain(list, rules: rules),
                ])
        }
        let (present, wanted) = (policy(Array(0..<Self.size)), policy(order.numbers))
        let change = Change(from: present, to: wanted)
        #expect(change.skeleton.isEmpty && change.build.isEmpty && change.sweep.isEmpty)
        // Each rule that comes and each that goes is one operation at most.
        #expect(change.swap.count <= Self.size + order.numbers.count - 2 * order.kept)
        var rules = present.chains[list]?.rules ?? []
        for operation in change.swap {
            switch operation {
            case .insertRule(let rule, let index, list): rules.insert(rule, at: index)
            case .replaceRule(let index, list, let rule): rules[index] = rule
            case .deleteRule(let index, list): rules.remove(at: index)
            default: Issue.record("\(operation)")
            }
        }
        let isWanted = rules == wanted.chains[list]?.rules
        #expect(isWanted)
    }
}
