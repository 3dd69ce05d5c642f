import FlowLog
import NSGCompiler
import NSGEvaluation
package import NSGModel
package import NetworkTypes

/// Whose rules decided: turns devices, label numbers and the evaluator's answers into the stages of flow records.
package struct Attributor: Sendable {
    package var policy: Policy {
        didSet { locations = Self.locations(of: policy) }
    }
    /// Where each rule that is written down stands: looked up for every record, so not searched for in its group.
    private var locations: [NumberedRule: SourceLocation] = [:]
    /// MAC addresses that no document gives: of links for `host`, of neighbours for `guest` (KERNEL 18).
    package var macAddresses: [ResourceID: MACAddress]

    package init(policy: Policy, macAddresses: [ResourceID: MACAddress] = [:]) {
        self.policy = policy
        self.macAddresses = macAddresses
        locations = Self.locations(of: policy)
    }

    private static func locations(of policy: Policy) -> [NumberedRule: SourceLocation] {
        var locations: [NumberedRule: SourceLocation] = [:]
        for list in policy.book.boundLists {
            for rule in list.rules.map(\.rule) {
                if let location = rule.location { locations[NumberedRule(rule, of: list.key.group)] = location }
            }
        }
        return locations
    }

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
            networkInterface: binding.networkInterface,
            virtualNetwork: document.flatMap { policy.estate.virtualNetwork(of: $0)?.id }, device: binding.device,
            macAddress: document?.macAddress ?? macAddresses[binding.networkInterface] ?? .unknown)
    }

    /// The bound interfaces of a connection whose first packet nobody saw, told from its label and addresses: on each
    /// side the interface whose own address the flow has, else the only one of that side with the group that a number
    /// names.
    func sides(of flow: FlowTuple, label: UInt128) -> [Side] {
        DeviceSide.allCases.compactMap { side -> Side? in
            let numbers = LabelSlot.all.filter { $0.side == side }.compactMap { FlowLabel.number(in: $0, of: label) }
            guard let rule = numbers.lazy.compactMap({ policy.numbering.rules[$0] }).first else { return nil }
            let own = rule.direction == .inbound ? flow.destination : flow.source
            let candidates = policy.estate.bindings.filter { binding in
                DeviceSide(rule.direction, binding.attachment) == side
                    && policy.book.lists(of: binding.networkInterface, rule.direction)
                        .contains { $0.key.group == rule.group }
            }
            let owner = candidates.first {
                policy.estate.networkInterfaces[$0.networkInterface]?.addresses.contains(own) ?? false
            }
            return (owner ?? (candidates.count == 1 ? candidates.first : nil)).map { self.side(side, of: $0) }
        }
    }

    // MARK: Stages

    /// What a label says of one side; nil where it names no rule of a level that the interface has.
    func stages(of side: Side, label: UInt128) -> [StageRecord] {
        let levels: [PolicyLevel] = side.direction == .inbound ? [.subnet, .nic] : [.nic, .subnet]
        return levels.compactMap { level in
            let slot = LabelSlot(side: side.side, level: level)
            guard let number = FlowLabel.number(in: slot, of: label), let rule = policy.numbering.rules[number] else {
                return nil
            }
            return stage(level, rule, isDerived: false)
        }
    }

    private func stage(_ level: PolicyLevel, _ rule: NumberedRule, isDerived: Bool) -> StageRecord {
        let group = policy.estate.networkSecurityGroups[rule.group]
        return StageRecord(
            level: level,
            rule: RuleReference(networkSecurityGroup: rule.group, name: rule.name, isDefault: rule.isDefault),
            groupGUID: group?.guid ?? UUID(named: rule.group.description.lowercased()),
            priority: Priority(rule.priority),
            access: rule.access, location: locations[rule], isDerived: isDerived)
    }

    /// What the evaluator says of one side.
    func derivedStages(of side: Side, _ flow: FlowTuple) -> [StageRecord] {
        guard let interface = side.interface.networkInterface else { return [] }
        return policy.evaluator.decision(for: flow, at: interface, side.direction).stages.map {
            stage($0.level, NumberedRule($0.rule, of: $0.group), isDerived: true)
        }
    }

    /// The stages of the side that refused a packet: the kernel names the rule that did, the evaluator those around it.
    /// Where the two disagree, the policy changed in between: then only what the kernel named is known.
    func stages(of side: Side, _ flow: FlowTuple, deniedAt slot: LabelSlot, by number: RuleNumber) -> [StageRecord] {
        guard let rule = policy.numbering.rules[number] else { return [] }
        let kernel = stage(slot.level, rule, isDerived: false)
        var stages = derivedStages(of: side, flow)
        guard let index = stages.firstIndex(where: { $0.access == .deny }), stages[index].level == slot.level,
            stages[index].rule == kernel.rule
        else { return [kernel] }
        stages[index] = kernel
        return stages
    }
}
