package import NSGCompiler
package import NSGEvaluation
package import NSGModel
import NetworkTypes
package import Nftables

extension Division {
    /// Every way to find the first match alone, and all of them: as it is done, by cells wherever that is possible, by
    /// trees alone, and one by one.
    package static let ways: [Division] = {
        var (cells, trees, rows) = (Division(), Division(), Division())
        (cells.shortRow, cells.fewestCells) = (0, 0)
        (trees.shortRow, trees.fewestCells) = (0, nil)
        rows.shortRow = .max
        return [Division(), cells, trees, rows]
    }()

    /// One of them, each in turn.
    package static func way(_ seed: UInt64) -> Division { ways[Int(seed % UInt64(ways.count))] }
}

/// A policy both ways: as the evaluator answers it, and compiled.
package struct CompiledPolicy {
    package let book: PolicyBook
    package let evaluator: Evaluator
    package let numbering: RuleNumbering
    package let names: ChainNames
    package let ruleset: Ruleset
    package let interpreter: RulesetInterpreter

    package init(
        _ estate: Estate, numbering old: RuleNumbering = RuleNumbering(), group: UInt16? = 5,
        division: Division = Division()
    ) {
        book = PolicyBook(estate)
        evaluator = Evaluator(book)
        var numbering = old
        _ = numbering.assign(to: book)
        self.numbering = numbering
        names = ChainNames(book)
        var options = CompilerOptions(packetLogGroup: group)
        options.division = division
        ruleset = PolicyCompiler(book, numbering: numbering, options: options).ruleset()
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
        let one = random.pick(devices)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return (.input, one, nil)
        case 1: return (.output, nil, one)
        default: return (.forward, one, random.pick(devices))
        }
    }

    /// A first packet on an edge of the policy, somewhere. At a bound device most have an address of its interface:
    /// what guests send as others, or get for others, ends before any rule (S13).
    package func packet(near edges: FlowEdges, using random: inout SplitMix64) -> TestPacket {
        let way = way(using: &random)
        var flow = edges.flow(using: &random)
        func own(_ device: String?) -> IPAddress? {
            guard random.chance(80), let binding = binding(of: device) else { return nil }
            let addresses = book.estate.networkInterfaces[binding.networkInterface]?.addresses ?? []
            let fitting = addresses.filter { $0.family == flow.source.family }
            return fitting.isEmpty ? nil : random.pick(fitting)
        }
        // Machines are behind guests, and are the hosts.
        let isGuest = { (device: String?) in binding(of: device)?.attachment == .guest }
        if way.path != .output, let own = own(way.input) {
            if isGuest(way.input) { flow.source = own } else { flow.destination = own }
        }
        if way.path != .input, let own = own(way.output) {
            if isGuest(way.output) { flow.destination = own } else { flow.source = own }
        }
        return TestPacket(way.path, from: way.input, to: way.output, flow)
    }
}

/// What the evaluator makes of a packet: the conjunction of the decisions at both ends (S2, S3).
extension CompiledPolicy {
    /// - Parameter isAgain: the packet's flow is decided, and a router stands at one end (KERNEL 4).
    package func expected(for packet: TestPacket, isAgain: Bool = false) -> PacketOutcome {
        if let forgery = forgery(packet) { return forgery }
        var outcome = PacketOutcome(label: packet.label)
        let sides = DeviceSide.allCases.compactMap { side in interface(on: side, of: packet).map { (side, $0) } }
        if sides.isEmpty { return outcome }
        if packet.path == .forward, packet.flow.isMulticast, !isAgain {
            outcome.drop(CounterName("dropped/forwarded-multicast"))
            return outcome
        }
        if packet.path != .forward, sides.contains(where: { keepsLinkAlive(packet.flow, at: $1, direction($0, $1)) }) {
            return outcome
        }
        if packet.path == .input, packet.flow.isRouterAdvertisement, sides[0].1.attachment == .guest, !isAgain {
            outcome.drop(FixedNames.routersCounter)
            return outcome
        }
        for (side, binding) in sides where !judge(packet, side, binding, isAgain, &outcome) { return outcome }
        outcome.counters[isAgain ? FixedNames.allowedAgainCounter : FixedNames.allowedCounter] = 1
        outcome.logs = [(isAgain ? DecisionMark.allowedAgain : .allowed).description]
        if packet.path == .forward, packet.label == nil, let last = sides.last, last.0 == .exit,
            !keepsLinkAlive(packet.flow, at: last.1, direction(last.0, last.1))
        {
            // Without a connection no label tells `postrouting` that `forward` has judged the packet.
            _ = judge(packet, last.0, last.1, isAgain, &outcome)
            outcome.counters[FixedNames.allowedCounter, default: 0] += 1
            outcome.logs.append(DecisionMark.allowed.description)
        }
        let isOfOpener = leadsToDestination(packet) && !packet.isReply && packet.state != .related
        if isOfOpener || !routes {
            outcome.label = outcome.label.map { $0 | FlowLabel.settled }
        }
        if !isAgain {
            outcome.label = outcome.label.map { $0 | FlowLabel.decided }
            outcome.timeout = timeout(of: packet, sides.map(\.1))
        }
        return outcome
    }

    /// What becomes of a packet of a connection that was answered: it passes, unless a router sends on what nobody has
    /// allowed as far as its destination, or a pass of the connection was refused (S4, KERNEL 4).
    package func expectedOnceAnswered(_ packet: TestPacket) -> PacketOutcome {
        let label = packet.label ?? 0
        let isSettled = !FlowLabel.isDecided(label) || FlowLabel.isSettled(label)
        let mustAsk = !isSettled && !packet.isReply && isRouter(packet.inputDevice) && leadsToDestination(packet)
        if routes, packet.path == .forward, mustAsk || !FlowLabel.isSettled(label) && label & FlowLabel.refused != 0 {
            return expected(for: packet, isAgain: true)
        }
        return forgery(packet) ?? PacketOutcome(label: packet.label)
    }

    private var routes: Bool { book.estate.bindings.contains { isRouter($0.device) } }

    /// To no machine that routes, or to the one whose address the destination is.
    private func leadsToDestination(_ packet: TestPacket) -> Bool {
        guard let exit = interface(on: .exit, of: packet), isRouter(exit.device) else { return true }
        return book.estate.networkInterfaces[exit.networkInterface]?.addresses.contains(packet.flow.destination)
            ?? false
    }

    /// What becomes of a packet that a guest sends as another, whatever its state (S13); nil of any other.
    package func forgery(_ packet: TestPacket) -> PacketOutcome? {
        guard let sender = interface(on: .entry, of: packet), sender.attachment == .guest,
            book.estate.dropsAsForeign(packet.flow, at: sender, .outbound)
        else { return nil }
        var outcome = PacketOutcome(label: packet.label)
        outcome.drop(names.foreignCounter(sender.networkInterface, .outbound))
        return outcome
    }

    /// The interface at a side of a packet's way.
    private func interface(on side: DeviceSide, of packet: TestPacket) -> Binding? {
        switch side {
        case .entry: packet.path == .output ? nil : binding(of: packet.inputDevice)
        case .exit: packet.path == .input ? nil : binding(of: packet.outputDevice)
        }
    }

    private func direction(_ side: DeviceSide, _ binding: Binding) -> Direction {
        (side == .entry) == (binding.attachment == .host) ? .inbound : .outbound
    }

    private func keepsLinkAlive(_ flow: FlowTuple, at binding: Binding, _ direction: Direction) -> Bool {
        evaluator.decision(for: flow, at: binding.networkInterface, direction).platform == .link
    }

    /// What one interface makes of a packet; false where it ends there. Its order: another's address (S13), services of
    /// the platform (S9), mail (S14), the lists.
    private func judge(
        _ packet: TestPacket, _ side: DeviceSide, _ binding: Binding, _ isAgain: Bool, _ outcome: inout PacketOutcome
    ) -> Bool {
        let direction = direction(side, binding)
        let decision = evaluator.decision(
            for: packet.flow, at: binding.networkInterface, direction, isForwarded: packet.path == .forward)
        switch decision.platform {
        case .service: return pass(PlatformRules.allow, at: .platform, side, isAgain, &outcome)
        case .blocksSMTP: return pass(PlatformRules.blockSMTP, at: .platform, side, isAgain, &outcome)
        case .foreignAddress:
            outcome.drop(names.foreignCounter(binding.networkInterface, direction))
            return false
        case .link, nil: break
        }
        for stage in decision.stages where !pass(stage.rule, at: stage.level, side, isAgain, &outcome) { return false }
        return true
    }

    /// What a rule that matches leaves behind; false where it denies.
    private func pass(
        _ rule: SecurityRule, at level: PolicyLevel, _ side: DeviceSide, _ isAgain: Bool, _ outcome: inout PacketOutcome
    ) -> Bool {
        outcome.counters[names.counterName(of: NumberedRule(rule)), default: 0] += 1
        guard let number = numbering.number(of: rule) else {
            outcome.faults.append("\(rule.name) has no number")
            return false
        }
        let slot = LabelSlot(side: side, level: level)
        if rule.access == .deny {
            outcome.verdict = .drop
            outcome.logs = [DecisionMark.denied(slot, number).description]
            if isAgain { outcome.label = outcome.label.map { $0 | FlowLabel.refused } }
            return false
        }
        if !isAgain { outcome.label = outcome.label.map { $0 | FlowLabel.bits(number, in: slot) } }
        return true
    }

    /// S6: TCP and UDP, the shorter time of both ends.
    private func timeout(of packet: TestPacket, _ interfaces: [Binding]) -> TimeoutName? {
        guard packet.label != nil, packet.state == .new,
            let transport = TimeoutObject.Transport(rawValue: packet.flow.protocol.rawValue)
        else { return nil }
        let minutes = interfaces.compactMap { binding -> Int? in
            let subnet = book.estate.networkInterfaces[binding.networkInterface]?.ipConfigurations.first?.subnet
            return book.estate.virtualNetworks.values.first { network in network.subnets.contains { $0.id == subnet } }?
                .flowTimeoutMinutes
        }
        return minutes.min().map { FixedNames.timeout(transport, minutes: $0) }
    }
}

extension PacketOutcome {
    /// Ends without a record.
    fileprivate mutating func drop(_ counter: CounterName) {
        verdict = .drop
        counters[counter] = 1
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
    fileprivate var isRouterAdvertisement: Bool { self.protocol == .icmpv6 && icmpType == 134 }

    /// Multicast of either family, or the limited broadcast.
    package var isMulticast: Bool {
        switch destination {
        case .v4(let address): address.value >> 28 == 0xe || address.value == .max
        case .v6(let address): address.value >> 120 == 0xff
        }
    }
}
