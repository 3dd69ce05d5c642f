package import NSGModel
import NetworkTypes

/// The reference answer (S1–S4, S8–S14): rules are walked one by one, in order. Compiled rules must agree with it.
package struct Evaluator: Sendable {
    package let book: PolicyBook
    private let bindings: [ResourceID: Binding]

    package init(_ book: PolicyBook) {
        self.book = book
        bindings = Dictionary(
            book.estate.bindings.map { ($0.networkInterface, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The decision about a first packet at an interface. O(rules).
    ///
    /// - Parameter isForwarded: this machine routes the packet on: then it is no matter between neighbours (S12).
    package func decision(
        for flow: FlowTuple, at interface: ResourceID, _ direction: Direction, isForwarded: Bool = false
    ) -> Decision {
        var stages: [StageDecision] = []
        for list in book.lists(of: interface, direction) {
            guard let match = list.rules.first(where: { $0.matches(flow) }) else { continue }
            stages.append(
                StageDecision(
                    level: list.key.level, owner: match.rule.networkManager ?? list.key.owner, rule: match.rule))
            if match.rule.access == .alwaysAllow { break }
        }
        return Decision(
            stages: stages, platform: platformVerdict(on: flow, at: interface, direction, isForwarded: isForwarded))
    }

    private func platformVerdict(
        on flow: FlowTuple, at interface: ResourceID, _ direction: Direction, isForwarded: Bool
    ) -> PlatformVerdict? {
        let estate = book.estate
        let isForeign = bindings[interface].map { estate.dropsAsForeign(flow, at: $0, direction) } ?? false
        // What a guest sends is checked before anything else. What is for it is checked after what keeps its link
        // alive, much of which goes to groups and to all.
        if isForeign, direction == .outbound { return .foreignAddress }
        if !isForwarded, Exemption.covers(flow, direction) { return .link }
        if isForeign { return .foreignAddress }
        guard direction == .outbound else { return nil }
        if let service = book.exemptServices(at: interface).first(where: { $0.isAsked(by: flow, estate.platform) }) {
            return .service(service)
        }
        let isSMTP = flow.protocol == .tcp && flow.destinationPort == 25
        guard estate.blocksOutboundSMTP, isSMTP, InternetPrefixes.addresses.contains(flow.destination) else {
            return nil
        }
        return estate.ownPrefixes(at: interface).contains { $0.contains(flow.destination) } ? nil : .blocksSMTP
    }

    /// The same with every rule that was tried, up to and with the match, per list (`verify --explain`).
    package func trials(of flow: FlowTuple, at interface: ResourceID, _ direction: Direction) -> [[Trial]] {
        book.lists(of: interface, direction).map { list in
            let end = list.rules.firstIndex { $0.matches(flow) } ?? list.rules.endIndex
            return list.rules.prefix(end + 1).map { Trial(of: $0, against: flow) }
        }
    }
}

extension PlatformService {
    fileprivate func isAsked(by flow: FlowTuple, _ platform: PlatformAddresses) -> Bool {
        endpoints.contains {
            flow.protocol == $0.protocol && flow.destinationPort == $0.port
                && ($0.sourcePort == nil || flow.sourcePort == $0.sourcePort)
        }
            && addresses(platform).contains { $0.contains(flow.destination) }
    }
}

/// Which conditions of one rule hold for a flow.
package struct Trial: Hashable, Sendable {
    package var rule: SecurityRule
    package var protocolMatched: Bool
    package var sourceMatched: Bool
    package var sourcePortMatched: Bool
    package var destinationMatched: Bool
    package var destinationPortMatched: Bool

    package var matched: Bool {
        protocolMatched && sourceMatched && sourcePortMatched && destinationMatched && destinationPortMatched
    }

    init(of resolved: ResolvedRule, against flow: FlowTuple) {
        rule = resolved.rule
        protocolMatched = resolved.rule.protocol.covers(flow)
        sourceMatched = resolved.source.contains(flow.source)
        sourcePortMatched = rule.protocol.admits(flow, port: flow.sourcePort, in: resolved.sourcePorts)
        destinationMatched = resolved.destination.contains(flow.destination)
        destinationPortMatched = rule.protocol.admits(flow, port: flow.destinationPort, in: resolved.destinationPorts)
    }
}

extension ResolvedRule {
    /// All five conditions at once, cheapest first.
    package func matches(_ flow: FlowTuple) -> Bool {
        rule.protocol.covers(flow)
            && rule.protocol.admits(flow, port: flow.destinationPort, in: destinationPorts)
            && rule.protocol.admits(flow, port: flow.sourcePort, in: sourcePorts)
            && source.contains(flow.source) && destination.contains(flow.destination)
    }
}

extension RuleProtocol {
    func covers(_ flow: FlowTuple) -> Bool {
        switch self {
        case .any: true
        // ICMP of IPv4; an IPv6 packet with protocol number 1 is nothing that exists.
        case .icmp: flow.protocol == .icmp && flow.source.family == .ipv4
        default: number == flow.protocol
        }
    }

    /// S1: ports that are not "any" match only protocols that have ports; with `Icmp` the number is compared with the
    /// type.
    func admits(_ flow: FlowTuple, port: UInt16?, in ports: IntervalSet<UInt16>) -> Bool {
        if ports.isAll { return true }
        if self == .icmp { return flow.icmpType.map { ports.contains(UInt16($0)) } ?? false }
        return flow.protocol.hasPorts && (port.map(ports.contains) ?? false)
    }
}
