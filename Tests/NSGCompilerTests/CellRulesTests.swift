import Nftables
import Testing

@testable import NSGCompiler

/// What cells hold, as the numbers under which maps have it (docs/decisions/0008).
@Suite struct CellRulesTests {
    @Test("outcomes whose names give one number are told apart, and keep off the numbers that mean something else")
    func collisions() {
        let rest = ChainName("rest")
        func target(_ chain: String, _ number: UInt32) -> CellRules.Target {
            CellRules.Target(chain: ChainName(chain), number: number)
        }
        let numbers = CellRules.numbers(
            of: [
                target("a", 7), target("b", 7), target("a", 7), target("c", 8), target("rest", 7), target("d", 0),
                target("e", 1), target("f", .max), target("g", .max),
            ], rest: rest)
        #expect(numbers == [7, 8, 7, 9, 1, 2, 3, .max, 4])
    }
}
