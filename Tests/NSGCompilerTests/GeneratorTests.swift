import NSGModel
import TestSupport
import Testing

/// Whether the generated cases are cases: estates and packets at random may agree about nothing at all.
@Suite struct GeneratorTests {
    @Test("generated packets meet everything that can happen to one")
    func coverage() {
        var seen: [String: Int] = [:]
        for seed in UInt64(0)..<48 {
            let estate = Estate.random(seed: seed)
            let policy = CompiledPolicy(estate)
            let edges = FlowEdges(of: estate)
            var random = SplitMix64(seed: seed ^ 0xf1f1)
            for _ in 0..<100 {
                let packet = policy.packet(near: edges, using: &random)
                for fate in policy.fates(of: packet) { seen[fate, default: 0] += 1 }
            }
        }
        let wanted = [
            "allowed", "foreign outbound", "foreign inbound", "multicast", "platform", "mail", "link", "time-out",
            "admin Allow", "admin AlwaysAllow", "admin Deny", "admin none", "subnet Allow custom", "subnet Deny custom",
            "nic Allow custom", "nic Deny custom", "subnet Allow default", "subnet Deny default", "nic Allow default",
            "nic Deny default", "IPv6 Allow custom", "IPv6 Deny custom", "both ends",
        ]
        for fate in wanted { #expect(seen[fate, default: 0] >= 8, "\(fate): \(seen[fate, default: 0]) of 4,800") }
    }
}
