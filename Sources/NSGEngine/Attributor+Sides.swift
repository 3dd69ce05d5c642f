import FlowLog
import NSGCompiler
import NSGModel
import NetworkTypes

extension Attributor {
    /// One bound interface on a packet's way.
    struct Side: Hashable {
        var interface: LoggedInterface
        var direction: Direction
        var side: DeviceSide
    }

    /// See `sides(entry:exit:)`.
    func boundSides(entry: String?, exit: String?) -> [Side] {
        [(DeviceSide.entry, entry), (.exit, exit)].compactMap { side, device in
            device.flatMap { policy.binding(ofDevice: $0) }.map { self.side(side, of: $0) }
        }
    }

    func side(_ side: DeviceSide, of binding: Binding) -> Side {
        Side(interface: interface(of: binding), direction: binding.direction(at: side), side: side)
    }

    private func interface(of binding: Binding) -> LoggedInterface {
        let document = policy.estate.networkInterfaces[binding.networkInterface]
        return LoggedInterface(
            networkInterface: binding.networkInterface, virtualNetwork: networks[binding.networkInterface],
            device: binding.device,
            macAddress: document?.macAddress ?? macAddresses[binding.networkInterface] ?? .unknown)
    }

    /// What a label says of one side.
    struct LabelSide: Hashable {
        let side: DeviceSide
        /// The slots of the other side are zero.
        private let label: UInt128

        init(_ side: DeviceSide, of label: UInt128) {
            self.side = side
            self.label = LabelSlot.all.reduce(0) { bits, slot in
                guard slot.side == side, let number = FlowLabel.number(in: slot, of: label) else { return bits }
                return bits | FlowLabel.bits(number, in: slot)
            }
        }

        var numbers: [RuleNumber] { label == 0 ? [] : FlowLabel.numbers(of: label) }
    }

    /// The bound interfaces of a connection whose first packet nobody saw, told from its label and addresses: on each
    /// side the interface whose own address the flow has, else the only one of that side that can have the lists whose
    /// rules the label names.
    func sides(of flow: FlowTuple, label: UInt128) -> [Side] {
        DeviceSide.allCases.compactMap { side in
            binding(of: flow, told: LabelSide(side, of: label), otherwise: onlyBinding).map { self.side(side, of: $0) }
        }
    }

    /// The same for a connection that lives on, with the guests that no list judged when it began: their packets come
    /// and go by their device alone.
    /// - Parameter only: gives `onlyBinding(told:)`.
    func passages(
        ofLive flow: FlowTuple, label: UInt128, otherwise only: (LabelSide) -> Binding?
    ) -> [Passage] {
        DeviceSide.allCases.compactMap { side in
            if let told = binding(of: flow, told: LabelSide(side, of: label), otherwise: only) {
                return Passage(told.networkInterface, told.direction(at: side))
            }
            let direction: Direction = side == .entry ? .outbound : .inbound
            let guest = owners(of: flow, direction).first { $0.attachment == .guest }
            return guest.map { Passage($0.networkInterface, direction) }
        }
    }

    /// Of a connection that no policy has judged, the guests whose addresses it has: their packets come and go by their
    /// device alone. Whether it passes the device of a `host` interface its addresses do not tell: what others send to
    /// the machine's address may come by any device.
    func passages(ofUnlabelled flow: FlowTuple) -> [Passage] {
        [Direction.outbound, .inbound].compactMap { direction in
            owners(of: flow, direction).first { $0.attachment == .guest }.map {
                Passage($0.networkInterface, direction)
            }
        }
    }

    private func rules(told side: LabelSide) -> [NumberedRule] {
        side.numbers.compactMap { policy.numbering.rules[$0] }
    }

    private func binding(
        of flow: FlowTuple, told side: LabelSide, otherwise only: (LabelSide) -> Binding?
    ) -> Binding? {
        let rules = rules(told: side)
        guard let direction = rules.first?.direction else { return nil }
        let owners = owners(of: flow, direction).filter { DeviceSide(direction, $0.attachment) == side.side }
        guard !owners.isEmpty else { return only(side) }
        return owners.first { owner in rules.allSatisfy { policy.mayHave($0, at: owner) } } ?? owners.first
    }

    /// The only bound interface that can have the lists whose rules a label names. O(bindings).
    func onlyBinding(told side: LabelSide) -> Binding? {
        let rules = rules(told: side)
        guard let direction = rules.first?.direction else { return nil }
        let candidates = policy.estate.bindings.filter { binding in
            DeviceSide(direction, binding.attachment) == side.side
                && rules.allSatisfy { policy.mayHave($0, at: binding) }
        }
        return candidates.count == 1 ? candidates.first : nil
    }

    /// The interfaces that have the flow's address on their own side.
    func owners(of flow: FlowTuple, _ direction: Direction) -> [Binding] {
        bindingsByAddress[direction == .inbound ? flow.destination : flow.source] ?? []
    }
}

extension Binding {
    /// Which of its lists a packet meets that passes its device on this side.
    fileprivate func direction(at side: DeviceSide) -> Direction {
        DeviceSide(.inbound, attachment) == side ? .inbound : .outbound
    }
}

extension Policy {
    /// Whether a list of the interface can have had the rule, which need not be there any more.
    fileprivate func mayHave(_ rule: NumberedRule, at binding: Binding) -> Bool {
        switch rule.kind {
        case .platform: true
        case .admin: book.lists(of: binding.networkInterface, rule.direction).contains { $0.key.level == .admin }
        case .custom, .default:
            book.lists(of: binding.networkInterface, rule.direction).contains { $0.key.owner == rule.owner }
        }
    }
}
