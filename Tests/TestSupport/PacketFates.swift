import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables

extension CompiledPolicy {
    /// What happens to a first packet, in words: which of the things that can happen a test has met.
    package func fates(of packet: TestPacket) -> [String] {
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
