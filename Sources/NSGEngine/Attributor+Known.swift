import FlowLog
import NSGCompiler
import NSGModel
import NetworkTypes

/// What an attributor has worked out under the present policy. Each part is forgotten where it grows beyond reason.
struct KnownSides: Sendable {
    struct Devices: Hashable {
        var entry: String?
        var exit: String?
    }

    struct Way: Hashable {
        var devices: Devices
        var label: UInt128
        var attribution: Attribution
    }

    /// All that tells where a connection passes whose packet nobody saw.
    struct Before: Hashable {
        var label: UInt128
        /// Nil where it is no bound interface's.
        var source: IPAddress?
        var destination: IPAddress?
    }

    struct Denial: Hashable {
        var devices: Devices
        var slot: LabelSlot
        var number: RuleNumber
        /// Nil where the denying list is the only one.
        var flow: FlowTuple?
    }

    var sides: [Devices: [Attributor.Side]] = [:]
    var ways: [Way: FlowWay] = [:]
    var waysBefore: [Before: FlowWay] = [:]
    var denials: [Denial: LoggedSide] = [:]
    var shared: [SideFacts: LoggedSide] = [:]
    static let most = 65_536
}

extension Attributor {
    /// The bound interfaces a packet passes, in the order in which they judge it.
    mutating func sides(entry: String?, exit: String?) -> [Side] {
        let devices = KnownSides.Devices(entry: entry, exit: exit)
        if let sides = known.sides[devices] { return sides }
        let sides = boundSides(entry: entry, exit: exit)
        if known.sides.count >= 4096 { known.sides = [:] }
        known.sides[devices] = sides
        return sides
    }

    /// What records say of connections with a label whose packets pass these devices. Where the label does not tell,
    /// the evaluator says which rules allowed this flow.
    mutating func way(entry: String?, exit: String?, label: UInt128?, flow: FlowTuple) -> FlowWay {
        let key = label.map {
            KnownSides.Way(devices: .init(entry: entry, exit: exit), label: $0, attribution: .packet)
        }
        if let key, let way = known.ways[key] { return way }
        var isTold = true
        let passed = sides(entry: entry, exit: exit)
        let sides = passed.enumerated().map { index, side in
            let isPassedOn = index + 1 < passed.count
            if let judgement = label.flatMap({ judgement(of: side, label: $0) }) {
                return logged(side, judgement, isPassedOn: isPassedOn)
            }
            isTold = false
            return logged(side, derivedJudgement(of: side, flow), isPassedOn: isPassedOn)
        }
        let way = FlowWay(sides: sides, label: label)
        if let key, isTold { know(way, as: key) }
        return way
    }

    /// What records say of a connection that an earlier run of the daemon recorded the beginning of.
    mutating func way(ofKnownBefore flow: FlowTuple, label: UInt128) -> FlowWay {
        let key = KnownSides.Before(
            label: label, source: bindingsByAddress[flow.source] == nil ? nil : flow.source,
            destination: bindingsByAddress[flow.destination] == nil ? nil : flow.destination)
        if let way = known.waysBefore[key] { return way }
        let way = findWay(ofKnownBefore: flow, label: label)
        if known.waysBefore.count >= KnownSides.most { known.waysBefore = [:] }
        known.waysBefore[key] = way
        return way
    }

    private mutating func findWay(ofKnownBefore flow: FlowTuple, label: UInt128) -> FlowWay {
        let sides = sides(of: flow, label: label)
        let device = { (side: DeviceSide) in sides.first { $0.side == side }?.interface.device }
        let key = KnownSides.Way(
            devices: .init(entry: device(.entry), exit: device(.exit)), label: label, attribution: .label)
        if let way = known.ways[key] { return way }
        let way = FlowWay(
            sides: sides.enumerated().map { index, side in
                logged(
                    side, judgement(of: side, label: label) ?? Judgement(), attribution: .label,
                    isPassedOn: index + 1 < sides.count)
            }, label: label)
        know(way, as: key)
        return way
    }

    /// Of a connection of which nothing is recorded.
    mutating func silentWay(label: UInt128) -> FlowWay {
        let key = KnownSides.Way(devices: .init(), label: label, attribution: .packet)
        if let way = known.ways[key] { return way }
        let way = FlowWay(sides: [], label: label)
        know(way, as: key)
        return way
    }

    private mutating func know(_ way: FlowWay, as key: KnownSides.Way) {
        if known.ways.count >= KnownSides.most { known.ways = [:] }
        known.ways[key] = way
    }

    /// What the side says that refused a packet.
    mutating func denial(
        of packet: JudgedPacket, at side: Side, slot: LabelSlot, number: RuleNumber
    ) -> LoggedSide {
        var key = KnownSides.Denial(
            devices: .init(entry: packet.entryDevice, exit: packet.exitDevice), slot: slot, number: number, flow: nil)
        if let interface = side.interface.networkInterface, policy.book.hasSeveralLists(of: interface, side.direction) {
            key.flow = packet.flow
        }
        if let denial = known.denials[key] { return denial }
        let denial = logged(side, judgement(of: side, packet.flow, deniedAt: slot, by: number))
        if known.denials.count >= KnownSides.most { known.denials = [:] }
        known.denials[key] = denial
        return denial
    }

    /// One object for what is the same.
    mutating func logged(
        _ side: Side, _ judgement: Judgement, attribution: Attribution = .packet, isPassedOn: Bool = false
    ) -> LoggedSide {
        let facts = SideFacts(
            interface: side.interface, direction: side.direction, stages: judgement.stages, attribution: attribution,
            isPlatform: judgement.isPlatform, isPassedOn: isPassedOn)
        if let shared = known.shared[facts] { return shared }
        let shared = LoggedSide(facts)
        if known.shared.count >= KnownSides.most { known.shared = [:] }
        known.shared[facts] = shared
        return shared
    }
}
