import NSGModel
import Nftables
import TestSupport
import Testing

@Suite struct GoldenTests {
    @Test("reads as nft prints it", arguments: ["three-tier"])
    func ruleset(name: String) throws {
        let ruleset = CompiledPolicy(.threeTier).ruleset
        let difference = try Golden("\(name)/ruleset.nft").difference(from: ruleset.description)
        #expect(difference == nil, "\(difference ?? "")")
    }
}
