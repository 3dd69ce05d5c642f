import FlowLog
import JSONText
import NSGCompiler
import NSGEvaluation
import NSGModel
package import NetworkTypes

/// One bound interface on a live connection's way, and who let the connection in there.
struct FlowPlace: Sendable {
    let facts: SideFacts
    /// What many connections' documents say alike: the interface, and the stages that let them in.
    let place: [(String, JSONValue)]
    let judgement: [(String, JSONValue)]

    /// - Parameter former: levels whose stage is a version of its rule that is no longer in force.
    init(facts: SideFacts, former: Set<PolicyLevel> = []) {
        self.facts = facts
        place = facts.placeMembers
        judgement = facts.judgementMembers(former: former)
    }
}

/// Why the present policy would not let a live connection begin.
package struct FlowRefusal: Hashable, Sendable {
    var passage: Passage
    /// The list and the rule; nil where the platform refuses.
    var stage: StageDecision?
    var platform: PlatformVerdict?
}

/// A live connection that passes bound interfaces.
package struct ListedConnection: Sendable {
    package var live: LiveConnection
    /// Those that were asked for, in the order in which they judge.
    var places: [FlowPlace]
    /// All of them that are in the policy.
    package var passages: [Passage]
    package var refusal: FlowRefusal?

    /// A connection is listed once for each of its interfaces.
    package var rows: Int { places.count }
}

/// Tells of the kernel's connections where they pass and which rules let them in, as records do: by their labels, and
/// where these say nothing by the evaluator. Holds one version of the policy.
package struct FlowListing: Sendable {
    private var attributor: Attributor
    private var finder: PassageFinder
    private let filter: FlowFilter
    private let bindings: [ResourceID: Binding]
    private let inForce: Set<RuleNumber>
    /// What labels tell: connections share them.
    private var known: [Told: FlowPlace] = [:]
    private static let mostKnown = 65_536

    private struct Told: Hashable {
        var label: UInt128
        var interface: ResourceID
        var direction: Direction
    }

    /// O(rules of bound interfaces).
    /// - Parameter localAddresses: this machine's own.
    package init(_ policy: Policy, localAddresses: Set<IPAddress>, filter: FlowFilter) {
        attributor = Attributor(policy: policy)
        finder = PassageFinder(attributor, localAddresses: localAddresses)
        self.filter = filter
        bindings = Dictionary(policy.estate.bindings.map { ($0.networkInterface, $0) }) { first, _ in first }
        inForce = Set(policy.book.boundLists.flatMap { policy.numbering.numbers(of: $0) ?? [] })
    }

    /// Nil for a connection that passes no bound interface, or that nobody asked for.
    /// - Parameter isJudged: whether to find out what the present policy makes of it, which takes O(rules on its way).
    package mutating func listed(_ live: LiveConnection, isJudged: Bool) -> ListedConnection? {
        let connection = live.connection
        guard filter.admits(connection) else { return nil }
        let passages = passages(of: connection)
        var places = passages.compactMap { place(of: connection, at: $0) }
        if places.isEmpty { places = orphaned(connection) }
        places.removeAll { !filter.admits(live, at: $0) }
        guard !places.isEmpty else { return nil }
        var listed = ListedConnection(live: live, places: places, passages: passages)
        if isJudged || filter.wouldNowDeny { listed.refusal = refusal(of: connection, at: passages) }
        return filter.wouldNowDeny && listed.refusal == nil ? nil : listed
    }

    // MARK: Where

    private mutating func passages(of connection: Connection) -> [Passage] {
        let passages = finder.passages(of: connection)
        if !passages.isEmpty { return passages }
        // No label tells the `host` interfaces of connections that no list has judged. Their addresses are this
        // machine's, which speaks with itself over `lo`.
        let flow = connection.flow
        let local = finder.localAddresses
        guard !(local.contains(flow.source) && local.contains(flow.destination)) else { return [] }
        return [Direction.inbound, .outbound].compactMap { direction in
            attributor.owners(of: flow, direction).first { $0.attachment == .host }.map {
                Passage($0.networkInterface, direction, isForwarded: false)
            }
        }
    }

    // MARK: Who

    private mutating func place(of connection: Connection, at passage: Passage) -> FlowPlace? {
        guard let binding = bindings[passage.interface] else { return nil }
        let side = attributor.side(DeviceSide(passage.direction, binding.attachment), of: binding)
        guard let label = connection.label, FlowLabel.isDecided(label) else {
            return FlowPlace(
                facts: facts(side, attributor.derivedJudgement(of: side, connection.flow), attribution: .adopted))
        }
        let key = Told(label: label, interface: passage.interface, direction: passage.direction)
        if let place = known[key] { return place }
        guard let judgement = attributor.judgement(of: side, label: label) else {
            return FlowPlace(facts: facts(side, attributor.derivedJudgement(of: side, connection.flow)))
        }
        let place = FlowPlace(facts: facts(side, judgement), former: former(side.side, in: label))
        if known.count >= Self.mostKnown { known = [:] }
        known[key] = place
        return place
    }

    private func facts(
        _ side: Attributor.Side, _ judgement: Judgement, attribution: Attribution = .label
    ) -> SideFacts {
        SideFacts(
            interface: side.interface, direction: side.direction, stages: judgement.stages, attribution: attribution,
            isPlatform: judgement.isPlatform)
    }

    private func former(_ side: DeviceSide, in label: UInt128) -> Set<PolicyLevel> {
        Set(
            LabelSlot.all.filter { slot in
                slot.side == side && FlowLabel.number(in: slot, of: label).map { !inForce.contains($0) } ?? false
            }.map(\.level))
    }

    /// A connection whose label names rules of interfaces that are bound no longer.
    private mutating func orphaned(_ connection: Connection) -> [FlowPlace] {
        guard let label = connection.label, FlowLabel.isDecided(label) else { return [] }
        return DeviceSide.allCases.compactMap { side in
            let numbers = Attributor.LabelSide(side, of: label).numbers
            guard let rule = numbers.compactMap({ attributor.policy.numbering.rules[$0] }).first else { return nil }
            let nowhere = Attributor.Side(
                interface: LoggedInterface(networkInterface: nil, device: nil), direction: rule.direction, side: side)
            guard let judgement = attributor.judgement(of: nowhere, label: label) else { return nil }
            return FlowPlace(facts: facts(nowhere, judgement), former: former(side, in: label))
        }
    }

    // MARK: Whether it would begin today

    /// The first interface that would refuse the connection's first packet. One that is closed begins nothing any more.
    private func refusal(of connection: Connection, at passages: [Passage]) -> FlowRefusal? {
        if connection.isClosed { return nil }
        for passage in passages {
            let decision = attributor.policy.evaluator.decision(
                for: connection.flow, at: passage.interface, passage.direction, isForwarded: passage.isForwarded)
            guard !decision.passes else { continue }
            let stage = decision.platform == nil ? decision.stages.first { $0.access == .deny } : nil
            return FlowRefusal(passage: passage, stage: stage, platform: decision.platform)
        }
        return nil
    }
}
