package import NSGCompiler
package import NSGEvaluation
package import NSGModel
import NetworkTypes
package import Nftables

/// A policy both ways: as the evaluator answers it, and compiled.
package struct CompiledPolicy {
    package let book: PolicyBook
    package let evaluator: Evaluator
    package let numbering: RuleNumbering
    package let names: ChainNames
    package let ruleset: Ruleset
    package let interpreter: RulesetInterpreter

    package init(_ estate: Estate, numbering old: RuleNumbering = RuleNumbering(), group: UInt16? = 5) {
        book = PolicyBook(estate)
        evaluator = Evaluator(book)
        var numbering = old
        _ = numbering.assign(to: book)
        self.numbering = numbering
        names = ChainNames(book)
        ruleset = PolicyCompiler(book, numbering: numbering, options: CompilerOptions(packetLogGroup: group)).ruleset()
        interpreter = RulesetInterpreter(ruleset)
    }

    package func binding(of device: String?) -> Binding? {
        device.flatMap { name in book.estate.bindings.first { $0.device == name } }
    }

    package func isRouter(_ device: String?) -> Bool {
        binding(of: device).flatMap { book.estate.networkInterfaces[$0.networkInterface] }?.enableIPForwarding ?? false
    }

    /// Devices that rules may meet: every bound one, and one that is not.
    package var devices: [String] { book.estate.bindings.map(\.device) + ["other0"] }

    /// Two devices, or one and this machine itself.
    package func way(using random: inout SplitMix64) -> (path: TestPacket.Path, input: String?, output: String?) {
        let devices = devices
        let one = devices[Int.random(in: 0..<devices.count, using: &random)]
        let other = devices[Int.random(in: 0..<devices.count, using: &random)]
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return (.input, one, nil)
        case 1: return (.output, nil, one)
        default: return (.forward, one, other)
        }
    }
}

/// What the evaluator makes of a packet: the conjunction of the decisions at both ends (S2, S3).
extension CompiledPolicy {
    /// - Parameter isAgain: the packet's flow is decided, and a router stands at one end (KERNEL 4).
    package func expected(for packet: TestPacket, isAgain: Bool = false) -> PacketOutcome {
        var outcome = PacketOutcome(label: packet.label)
        let sides: [(DeviceSide, Binding)] = [
            (.entry, packet.path == .output ? nil : binding(of: packet.inputDevice)),
            (.exit, packet.path == .input ? nil : binding(of: packet.outputDevice)),
        ].compactMap { side, binding in binding.map { (side, $0) } }
        if sides.isEmpty { return outcome }
        if packet.path == .forward, packet.flow.isMulticast {
            outcome.verdict = .drop
            outcome.counters[CounterName("dropped/forwarded-multicast")] = 1
            return outcome
        }
        for (side, binding) in sides {
            let direction: Direction = (side == .entry) == (binding.attachment == .host) ? .inbound : .outbound
            let decision = evaluator.decision(for: packet.flow, at: binding.networkInterface, direction)
            // What is exempt is between neighbours: what is forwarded is not.
            if decision.platform == .link, packet.path != .forward { return outcome }
            for stage in decision.stages {
                outcome.counters[names.counterName(of: NumberedRule(stage.rule)), default: 0] += 1
                guard let number = numbering.number(of: stage.rule) else { continue }
                let slot = LabelSlot(side: side, level: stage.level)
                if stage.access == .deny {
                    outcome.verdict = .drop
                    outcome.logs = [DecisionMark.denied(slot, number).description]
                    if isAgain { outcome.label = outcome.label.map { $0 | FlowLabel.refused } }
                    return outcome
                }
                if !isAgain { outcome.label = outcome.label.map { $0 | FlowLabel.bits(number, in: slot) } }
            }
        }
        outcome.counters[isAgain ? FixedNames.allowedAgainCounter : FixedNames.allowedCounter] = 1
        outcome.logs = [(isAgain ? DecisionMark.allowedAgain : .allowed).description]
        if !isAgain { outcome.label = outcome.label.map { $0 | FlowLabel.decided } }
        return outcome
    }
}

extension PacketOutcome {
    /// Without what a packet costs.
    package var effect: PacketOutcome {
        var copy = self
        copy.rules = 0
        copy.lookups = 0
        return copy
    }
}

extension FlowTuple {
    /// Multicast of either family, or the limited broadcast.
    package var isMulticast: Bool {
        switch destination {
        case .v4(let address): address.value >> 28 == 0xe || address.value == .max
        case .v6(let address): address.value >> 120 == 0xff
        }
    }
}
