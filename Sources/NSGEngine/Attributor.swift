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
    /// What has been worked out for packets so far, as they come by the thousand and are much alike.
    var known = KnownSides()
    /// What records say of numbered rules that packets have met, made once: a record is made for each packet.
    private var rules: [RuleNumber: StageRecord] = [:]
    /// Of bound interfaces.
    private var lists: [PolicyList] = []
    private(set) var bindingsByAddress: [IPAddress: [Binding]] = [:]
    /// The virtual networks of bound interfaces.
    private(set) var networks: [ResourceID: ResourceID] = [:]
    /// MAC addresses that no document gives: of links for `host`, of neighbours for `guest` (KERNEL 18).
    package var macAddresses: [ResourceID: MACAddress] {
        didSet {
            guard macAddresses != oldValue else { return }
            known = KnownSides()
            indexGuests()
        }
    }
    /// Interfaces of guests whose MAC address nothing tells yet, by device.
    package private(set) var guestsWithoutAddress: [String: ResourceID] = [:]

    package init(policy: Policy, macAddresses: [ResourceID: MACAddress] = [:]) {
        self.policy = policy
        self.macAddresses = macAddresses
        index()
    }

    private mutating func index() {
        known = KnownSides()
        rules = [:]
        lists = policy.book.boundLists
        bindingsByAddress = [:]
        networks = [:]
        for binding in policy.estate.bindings {
            guard let interface = policy.estate.networkInterfaces[binding.networkInterface] else { continue }
            networks[interface.id] = policy.estate.virtualNetwork(of: interface)?.id
            for address in interface.addresses { bindingsByAddress[address, default: []].append(binding) }
        }
        indexGuests()
    }

    private mutating func indexGuests() {
        guestsWithoutAddress = [:]
        for binding in policy.estate.bindings
        where binding.attachment == .guest && macAddresses[binding.networkInterface] == nil {
            guestsWithoutAddress[binding.device] = binding.networkInterface
        }
    }

    // MARK: Judgements

    /// What a label says of one side. Nil where it holds a number that no rule has: two rules wrote into one slot of a
    /// connection that was there before the policy.
    mutating func judgement(of side: Side, label: UInt128) -> Judgement? {
        let numbers = LabelSlot.all.filter { $0.side == side.side }.compactMap { FlowLabel.number(in: $0, of: label) }
        guard numbers.allSatisfy({ policy.numbering.rules[$0] != nil }) else { return nil }
        let levels: [PolicyLevel] = [.admin] + (side.direction == .inbound ? [.subnet, .nic] : [.nic, .subnet])
        let stages = levels.compactMap { level in
            FlowLabel.number(in: LabelSlot(side: side.side, level: level), of: label).flatMap { stage(level, $0) }
        }
        return stages.first?.rule.kind == .platform ? .platform : Judgement(stages: stages)
    }

    /// Nil for a number that no rule has.
    mutating func stage(_ level: PolicyLevel, _ number: RuleNumber) -> StageRecord? {
        var record = rules[number] ?? record(of: number)
        rules[number] = record
        record?.level = level
        return record
    }

    private func record(of number: RuleNumber) -> StageRecord? {
        guard let rule = policy.numbering.rules[number] else { return nil }
        var record = StageRecord(
            level: rule.kind == .admin ? .admin : rule.kind == .platform ? .platform : .nic,
            rule: RuleReference(owner: rule.owner, name: rule.name, kind: rule.kind),
            groupGUID: policy.estate.guid(ofOwner: rule.owner),
            priority: Priority(rule.priority), access: rule.access)
        record.location = location(of: number, rule.direction)
        return record
    }

    /// Where the rule stands in the documents. O(rules).
    private func location(of number: RuleNumber, _ direction: Direction) -> SourceLocation? {
        for list in lists where list.key.direction == direction {
            guard let index = policy.numbering.numbers(of: list)?.firstIndex(of: number) else { continue }
            if let location = list.rules[index].rule.location { return location }
        }
        return nil
    }

    /// What the evaluator says of one side that a packet has passed.
    func derivedJudgement(of side: Side, _ flow: FlowTuple) -> Judgement {
        guard let decision = decision(of: side, flow) else { return Judgement() }
        if case .service = decision.platform { return .platform }
        return Judgement(stages: derived(decision))
    }

    private func decision(of side: Side, _ flow: FlowTuple) -> Decision? {
        // No closure: it would hold a copy of all that is here.
        guard let interface = side.interface.networkInterface else { return nil }
        return policy.evaluator.decision(for: flow, at: interface, side.direction)
    }

    private func derived(_ decision: Decision) -> [StageRecord] {
        decision.stages.map { stage in
            StageRecord(
                level: stage.level, rule: stage.rule, groupGUID: policy.estate.guid(ofOwner: stage.rule.owner),
                isDerived: true)
        }
    }

    /// What the side says that refused a packet: the kernel names the rule that did, the evaluator those around it.
    /// Where the two disagree, the policy changed in between: then only what the kernel named is known.
    mutating func judgement(of side: Side, _ flow: FlowTuple, deniedAt slot: LabelSlot, by number: RuleNumber)
        -> Judgement
    {
        guard let kernel = stage(slot.level, number) else { return Judgement() }
        if kernel.rule.kind == .platform { return .platform }
        var stages = decision(of: side, flow).map(derived) ?? []
        guard let index = stages.firstIndex(where: { $0.access == .deny }), stages[index].level == slot.level,
            stages[index].rule == kernel.rule
        else { return Judgement(stages: [kernel]) }
        stages[index] = kernel
        return Judgement(stages: stages)
    }
}
