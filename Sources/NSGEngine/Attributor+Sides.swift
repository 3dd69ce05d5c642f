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

    /// The bound interfaces a packet passes, in the order in which they judge it.
    func sides(entry: String?, exit: String?) -> [Side] {
        [(DeviceSide.entry, entry), (.exit, exit)].compactMap { side, device in
            device.flatMap { policy.binding(ofDevice: $0) }.map { self.side(side, of: $0) }
        }
    }

    private func side(_ side: DeviceSide, of binding: Binding) -> Side {
        let direction = Direction.allCases.first { DeviceSide($0, binding.attachment) == side } ?? .inbound
        return Side(interface: interface(of: binding), direction: direction, side: side)
    }

    private func interface(of binding: Binding) -> LoggedInterface {
        let document = policy.estate.networkInterfaces[binding.networkInterface]
        return LoggedInterface(
            networkInterface: binding.networkInterface, virtualNetwork: networks[binding.networkInterface],
            device: binding.device,
            macAddress: document?.macAddress ?? macAddresses[binding.networkInterface] ?? .unknown)
    }

    /// The bound interfaces of a connection whose first packet nobody saw, told from its label and addresses: on each
    /// side the interface whose own address the flow has, else the only one of that side that can have the lists whose
    /// rules the label names.
    func sides(of flow: FlowTuple, label: UInt128) -> [Side] {
        DeviceSide.allCases.compactMap { side in
            let rules = LabelSlot.all.filter { $0.side == side }
                .compactMap { FlowLabel.number(in: $0, of: label).flatMap { policy.numbering.rules[$0] } }
            guard let direction = rules.first?.direction else { return nil }
            let fits = { (binding: Binding) in rules.allSatisfy { policy.mayHave($0, at: binding) } }
            let owners = owners(of: flow, direction).filter { DeviceSide(direction, $0.attachment) == side }
            if let owner = owners.first(where: fits) ?? owners.first { return self.side(side, of: owner) }
            let candidates = policy.estate.bindings.filter {
                DeviceSide(direction, $0.attachment) == side && fits($0)
            }
            return candidates.count == 1 ? candidates.first.map { self.side(side, of: $0) } : nil
        }
    }

    /// The same for a connection that lives on, with the guests that no list judged when it began: their packets come
    /// and go by their device alone.
    func sides(ofLive flow: FlowTuple, label: UInt128) -> [Side] {
        let told = sides(of: flow, label: label)
        return DeviceSide.allCases.compactMap { side in
            if let known = told.first(where: { $0.side == side }) { return known }
            let guest = owners(of: flow, side == .entry ? .outbound : .inbound).first { $0.attachment == .guest }
            return guest.map { self.side(side, of: $0) }
        }
    }

    /// The interfaces that have the flow's address on their own side.
    private func owners(of flow: FlowTuple, _ direction: Direction) -> [Binding] {
        bindingsByAddress[direction == .inbound ? flow.destination : flow.source] ?? []
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
