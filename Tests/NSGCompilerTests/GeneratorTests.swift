import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
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

extension CompiledPolicy {
    /// What happens to a packet, in words.
    fileprivate func fates(of packet: TestPacket) -> [String] {
        let outcome = expected(for: packet)
        var fates = outcome.verdict == .accept ? ["allowed"] : []
        if outcome.timeout != nil { fates.append("time-out") }
        let interfaces = [
            packet.path == .output ? nil : packet.inputDevice, packet.path == .input ? nil : packet.outputDevice,
        ].compactMap { binding(of: $0) }
        if interfaces.count == 2 { fates.append("both ends") }
        if outcome.counters.isEmpty, !interfaces.isEmpty { fates.append("link") }
        for counter in outcome.counters.keys.map(\.description) {
            if counter == "platform/allowed" { fates.append("platform") }
            if counter == "platform/smtp" { fates.append("mail") }
            if counter == "dropped/forwarded-multicast" { fates.append("multicast") }
            for direction in ["outbound", "inbound"] where counter.hasSuffix("/foreign/\(direction)") {
                fates.append("foreign \(direction)")
            }
        }
        let label = outcome.label ?? 0
        let passed = LabelSlot.all.compactMap { slot in
            FlowLabel.number(in: slot, of: label).flatMap { numbering.rules[$0] }.map { (slot, $0) }
        }
        let refused = outcome.logs.compactMap { prefix -> (LabelSlot, NumberedRule)? in
            guard case .denied(let slot, let number)? = DecisionMark(prefix) else { return nil }
            return numbering.rules[number].map { (slot, $0) }
        }
        for (slot, rule) in passed + refused where rule.kind != .platform {
            if rule.kind == .admin {
                fates.append("admin \(rule.name.isEmpty ? "none" : rule.access.rawValue)")
            } else {
                fates.append("\(slot.level) \(rule.access.rawValue) \(rule.kind)")
                if packet.flow.source.family == .ipv6 { fates.append("IPv6 \(rule.access.rawValue) \(rule.kind)") }
            }
        }
        return fates
    }
}
