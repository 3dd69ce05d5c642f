import NSGEvaluation
import NSGModel
import NetworkTypes
import TestSupport
import Testing

/// The evaluator against a second reading of the contract that shares no code with it.
@Suite struct PlainOracleTests {
    @Test(
        "every list, the platform and the link: the evaluator answers as the plain reading does (S1, S2, S8-S14)",
        arguments: UInt64(0)..<320 * UInt64(LongRun.factor))
    func agreement(seed: UInt64) {
        let estate = Estate.random(seed: seed)
        let both = BothReadings(estate)
        let edges = FlowEdges(of: estate)
        let interfaces = estate.networkInterfaces.keys.sorted()
        var random = SplitMix64(seed: seed ^ 0x0a_11ce)
        for _ in 0..<100 {
            var flow = edges.flow(using: &random)
            let interface = random.pick(interfaces)
            let direction = random.pick(Direction.allCases)
            if random.chance(50) { flow.set(random.pick(both.own(interface)), direction) }
            guard let difference = both.difference(flow, at: interface, direction) else { continue }
            Issue.record("seed \(seed): \(interface.name) \(direction) \(flow)\n\(difference)")
            return
        }
    }

    @Test("who is held to which addresses (S13)", arguments: UInt64(0)..<100 * UInt64(LongRun.factor))
    func guardedAddresses(seed: UInt64) {
        let estate = Estate.random(seed: seed)
        let oracle = PlainOracle(estate)
        let edges = FlowEdges(of: estate)
        var random = SplitMix64(seed: seed ^ 0x513)
        for binding in estate.bindings {
            for _ in 0..<60 {
                let flow = edges.flow(using: &random)
                for direction in Direction.allCases {
                    #expect(
                        estate.dropsAsForeign(flow, at: binding, direction)
                            == oracle.isForeign(flow, at: binding, direction),
                        "seed \(seed): \(binding.device) \(direction) \(flow)")
                }
            }
        }
    }

    @Test("Internet is Azure's 76 prefixes, and no address more (FACTS d1)")
    func internet() {
        #expect(PlainOracle.internet.count == 77)
        #expect(AddressSet(PlainOracle.internet) == InternetPrefixes.addresses)
    }
}

/// The evaluator and the plain reading of one estate.
private struct BothReadings {
    let evaluator: Evaluator
    let oracle: PlainOracle

    init(_ estate: Estate) {
        evaluator = Evaluator(PolicyBook(estate))
        oracle = PlainOracle(estate)
    }

    /// The addresses of an interface, or one that none has.
    func own(_ interface: ResourceID) -> [IPAddress] {
        let own = oracle.estate.networkInterfaces[interface]?.addresses ?? []
        return own.isEmpty ? [.v4(IPv4Address(1))] : own
    }

    /// What they say, where they differ.
    func difference(_ flow: FlowTuple, at interface: ResourceID, _ direction: Direction) -> String? {
        let decision = evaluator.decision(for: flow, at: interface, direction)
        let forwarded = evaluator.decision(for: flow, at: interface, direction, isForwarded: true)
        let stages = decision.stages.map {
            PlainOracle.Stage(
                level: $0.level, list: $0.owner, owner: $0.rule.owner, rule: $0.rule.name, access: $0.access)
        }
        let plain = oracle.stages(flow, at: interface, direction)
        if stages != plain { return " is    \(stages)\n should \(plain)" }
        let isForeign = oracle.estate.bindings.contains {
            $0.networkInterface == interface && oracle.isForeign(flow, at: $0, direction)
        }
        if isForeign != (forwarded.platform == .foreignAddress) { return " another's address: should be \(isForeign)" }
        let isLink = oracle.keepsLinkAlive(flow, direction) && !(isForeign && direction == .outbound)
        if (decision.platform == .link) != isLink { return " keeps the link alive: should be \(isLink)" }
        if isForeign { return decision.passes == isLink ? nil : " passes: should be \(isLink)" }
        let platform = oracle.platform(flow, at: interface, direction)
        if PlainOracle.Platform(forwarded.platform) != platform {
            return " is    \(String(describing: forwarded.platform))\n should \(String(describing: platform))"
        }
        let passes = isLink || (platform.map { $0 != .blocksSMTP } ?? plain.allSatisfy { $0.access != .deny })
        if decision.passes != passes { return " passes: should be \(passes)" }
        return nil
    }
}

extension PlainOracle.Platform {
    fileprivate init?(_ verdict: PlatformVerdict?) {
        switch verdict {
        case .service(.dhcp): self = .dhcp
        case .service(.dns): self = .dns
        case .service(.wireServer): self = .wireServer
        case .service(.imds): self = .imds
        case .service(.kms): self = .kms
        case .blocksSMTP: self = .blocksSMTP
        case .link, .foreignAddress, nil: return nil
        }
    }
}

extension FlowTuple {
    /// With an interface's address at its own end, where the families fit.
    fileprivate mutating func set(_ own: IPAddress, _ direction: Direction) {
        guard own.family == source.family else { return }
        if direction == .inbound { destination = own } else { source = own }
    }
}
