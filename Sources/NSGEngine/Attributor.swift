import FlowLog
import NSGCompiler
import NSGEvaluation
package import NSGModel
package import NetworkTypes

/// Whose rules decided: turns devices, label numbers and the evaluator's answers into the stages of flow records.
package struct Attributor: Sendable {
    package var policy: Policy {
        didSet { index() }
    }
    /// What records say of each numbered rule, made once: a record is made for each packet.
    private var rules: [RuleNumber: StageRecord] = [:]
    /// MAC addresses that no document gives: of links for `host`, of neighbours for `guest` (KERNEL 18).
    package var macAddresses: [ResourceID: MACAddress]

    package init(policy: Policy, macAddresses: [ResourceID: MACAddress] = [:]) {
        self.policy = policy
        self.macAddresses = macAddresses
        index()
    }

    private mutating func index() {
        rules = [:]
        for (number, rule) in policy.numbering.rules {
            rules[number] = StageRecord(
                level: .nic, rule: RuleReference(owner: rule.owner, name: rule.name, kind: rule.kind),
                groupGUID: policy.estate.guid(ofOwner: rule.owner),
                priority: Priority(rule.priority), access: rule.access)
        }
        for list in policy.book.boundLists {
            for rule in list.rules.map(\.rule) {
                guard let location = rule.location, let number = policy.numbering.number(of: rule)
                else { continue }
                rules[number]?.location = location
            }
        }
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
                        .contains { $0.key.owner == rule.owner }
            }
            let owner = candidates.first {
                policy.estate.networkInterfaces[$0.networkInterface]?.addresses.contains(own) ?? false
            }
            return (owner ?? (candidates.count == 1 ? candidates.first : nil)).map { self.side(side, of: $0) }
        }
    }

    // MARK: Stages

    /// What a label says of one side. Nil where it holds a number that no rule has: two rules wrote into one slot of a connection
    /// that was there before the policy.
    func stages(of side: Side, label: UInt128) -> [StageRecord]? {
        let numbers = LabelSlot.all.filter { $0.side == side.side }.compactMap { FlowLabel.number(in: $0, of: label) }
        guard numbers.allSatisfy({ rules[$0] != nil }) else { return nil }
        let levels: [PolicyLevel] = [.admin] + (side.direction == .inbound ? [.subnet, .nic] : [.nic, .subnet])
        return levels.compactMap { level in
            let slot = LabelSlot(side: side.side, level: level)
            return FlowLabel.number(in: slot, of: label).flatMap { stage(level, $0) }
        }
    }

    /// Nil for a number that no rule has.
    private func stage(_ level: PolicyLevel, _ number: RuleNumber) -> StageRecord? {
        var record = rules[number]
        record?.level = level
        return record
    }

    /// What the evaluator says of one side.
    func derivedStages(of side: Side, _ flow: FlowTuple) -> [StageRecord] {
        guard let interface = side.interface.networkInterface else { return [] }
        return policy.evaluator.decision(for: flow, at: interface, side.direction).stages.map { stage in
            StageRecord(
                level: stage.level, rule: stage.rule, groupGUID: policy.estate.guid(ofOwner: stage.rule.owner),
                isDerived: true)
        }
    }

    /// The stages of the side that refused a packet: the kernel names the rule that did, the evaluator those around it.
    /// Where the two disagree, the policy changed in between: then only what the kernel named is known.
    func stages(of side: Side, _ flow: FlowTuple, deniedAt slot: LabelSlot, by number: RuleNumber) -> [StageRecord] {
        guard let kernel = stage(slot.level, number) else { return [] }
        var stages = derivedStages(of: side, flow)
        guard let index = stages.firstIndex(where: { $0.access == .deny }), stages[index].level == slot.level,
            stages[index].rule == kernel.rule
        else { return [kernel] }
        stages[index] = kernel
        return stages
    }
}
