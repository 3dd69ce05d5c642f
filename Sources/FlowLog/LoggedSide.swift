package import NSGModel
import NetworkTypes

/// What all records of a flow at one interface have in common.
package struct SideFacts: Hashable, Sendable {
    package var interface: LoggedInterface
    package var direction: Direction
    /// One for every group that is present, in the order in which they are evaluated, also after a deny.
    package var stages: [StageRecord]
    package var attribution: Attribution
    /// Passed without evaluation of any group (S9).
    package var isPlatform: Bool
    /// The packet went on to another bound interface of this host, whose record says what became of it.
    package var isPassedOn: Bool

    package init(
        interface: LoggedInterface, direction: Direction, stages: [StageRecord], attribution: Attribution = .packet,
        isPlatform: Bool = false, isPassedOn: Bool = false
    ) {
        self.interface = interface
        self.direction = direction
        self.stages = stages
        self.attribution = attribution
        self.isPlatform = isPlatform
        self.isPassedOn = isPassedOn
    }
}

/// The same, once for all flows that the same rules decided about at the same interface, with the texts that their
/// records repeat. A record refers to it: it is made for each packet, and copied often.
package final class LoggedSide: Hashable, Sendable {
    package let facts: SideFacts
    /// Which group's log has what was allowed: the group evaluated last. A list of admin rules none of which matched
    /// has decided nothing.
    let lastStage: StageRecord?
    let denyingStage: StageRecord?
    /// Members of a line of `flows.jsonl`, each with a comma before it: the interface and the direction; the stages;
    /// what stands at the end.
    let placeText: [UInt8]
    let stagesText: [UInt8]
    let endText: [UInt8]

    package init(_ facts: SideFacts) {
        self.facts = facts
        lastStage = facts.stages.last { !$0.rule.name.isEmpty }
        denyingStage = facts.stages.first { $0.access == .deny }
        placeText = Self.placeText(of: facts)
        stagesText = Self.stagesText(of: facts.stages)
        endText = Array(
            ((facts.attribution == .adopted ? #","adopted":true"# : "")
                + (facts.isPlatform ? #","platform":true"# : "")
                + (facts.isPassedOn ? #","passedOn":true"# : ""))
                .utf8)
    }

    package static func == (left: LoggedSide, right: LoggedSide) -> Bool {
        left === right || left.facts == right.facts
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(facts) }

    private static func placeText(of facts: SideFacts) -> [UInt8] {
        var line = JSONLine(continuing: [])
        if let nic = facts.interface.networkInterface { line.append("nic", nic.description) }
        if let device = facts.interface.device { line.append("interface", device) }
        let macAddress = facts.interface.macAddress
        if macAddress != .unknown { line.append("macAddress", macAddress.description) }
        line.append("direction", facts.direction.rawValue)
        return line.bytes
    }

    private static func stagesText(of stages: [StageRecord]) -> [UInt8] {
        var line = JSONLine(continuing: [])
        line.append("stages", objects: stages) { stage, line in stage.append(to: &line) }
        return line.bytes
    }
}

extension StageRecord {
    /// As in `stages` of IP flow verify (K5), with `derived` where that is true.
    fileprivate func append(to line: inout JSONLine) {
        line.append("level", level.rawValue)
        line.append("networkSecurityGroup", rule.group.description)
        if rule.owner != rule.group { line.append("ruleCollection", rule.owner.description) }
        line.append("ruleName", rule.qualifiedName)
        if !rule.kind.isNoAdminRule(rule.name) { line.append("priority", number: UInt64(priority.value)) }
        line.append("access", access.rawValue)
        if let location { line.append("file", location.description) }
        line.append("derived", ifTrue: isDerived)
    }
}
