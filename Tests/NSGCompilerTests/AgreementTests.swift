import NSGCompiler
import NSGEvaluation
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// The compiled rules against the evaluator, on the edges of random policies.
@Suite struct AgreementTests {
    @Test(
        "a first packet: verdict, label, log, counters, time-out (S1-S4, S6, S8-S14, E4, KERNEL 13)",
        arguments: UInt64(0)..<160 * UInt64(LongRun.factor))
    func firstPackets(seed: UInt64) {
        let estate = Estate.random(seed: seed)
        let policy = CompiledPolicy(estate, division: .way(seed))
        let edges = FlowEdges(of: estate)
        var random = SplitMix64(seed: seed ^ 0xf1f1)
        for _ in 0..<200 {
            let packet = policy.packet(near: edges, using: &random)
            let outcome = policy.interpreter.outcome(of: packet)
            let expected = policy.expected(for: packet)
            guard outcome.effect == expected else {
                Issue.record("seed \(seed): \(packet)\n is    \(outcome.effect)\n should \(expected)")
                return
            }
            if outcome.verdict == .accept {
                var second = packet
                second.label = outcome.label
                checkSecondPacket(second, policy, "seed \(seed)")
                // Past a machine that routes, and on by another way.
                second = TestPacket(
                    .forward, from: random.pick(policy.devices), to: random.pick(policy.devices), packet.flow,
                    label: outcome.label)
                checkSecondPacket(second, policy, "seed \(seed)")
            }
        }
    }

    /// S4: what is allowed is not judged, logged or numbered again; at a router it is (KERNEL 4).
    private func checkSecondPacket(_ second: TestPacket, _ policy: CompiledPolicy, _ note: String) {
        let outcome = policy.interpreter.outcome(of: second).effect
        let isDecided = second.label.map(FlowLabel.isDecided) ?? false
        let passesRouter =
            (second.path != .output && policy.isRouter(second.inputDevice))
            || (second.path == .forward && policy.isRouter(second.outputDevice))
        var expected = policy.forgery(second) ?? PacketOutcome(label: second.label)
        let isSettled = second.label.map(FlowLabel.isSettled) ?? false
        if isDecided, !isSettled, passesRouter { expected = policy.expected(for: second, isAgain: true) }
        // What kept a link alive, or met no bound device, was not decided.
        if !isDecided, second.path == .forward { expected = policy.expected(for: second) }
        #expect(outcome == expected, "\(note): second packet \(second)")
    }

    @Test(
        "packets of an answered connection, however far it was allowed (S4, S5, KERNEL 4)",
        arguments: UInt64(0)..<64 * UInt64(LongRun.factor))
    func answered(seed: UInt64) {
        let policy = CompiledPolicy(Estate.random(seed: seed), division: .way(seed))
        let edges = FlowEdges(of: policy.book.estate)
        var random = SplitMix64(seed: seed ^ 0x5e771e)
        let (decided, refused, settled) = (FlowLabel.decided, FlowLabel.refused, FlowLabel.settled)
        for _ in 0..<64 {
            var packet = policy.packet(near: edges, using: &random)
            packet.state = .established
            for label in [0, decided, decided | settled, decided | refused, decided | refused | settled] {
                for isReply in [false, true] {
                    packet.label = label
                    packet.isReply = isReply
                    let outcome = policy.interpreter.outcome(of: packet).effect
                    let expected = policy.expectedOnceAnswered(packet)
                    #expect(outcome == expected, "seed \(seed), reply \(isReply): \(packet)")
                }
            }
        }
    }

    @Test("replies, related errors and what has no connection (S4, KERNEL 9)", arguments: UInt64(0)..<32)
    func laterPackets(seed: UInt64) {
        let estate = Estate.random(seed: seed)
        let policy = CompiledPolicy(estate)
        let edges = FlowEdges(of: estate)
        var random = SplitMix64(seed: seed ^ 0x1a7e)
        for _ in 0..<32 {
            var packet = policy.packet(near: edges, using: &random)
            // Held to its own addresses a guest is at every packet (S13).
            let passes = { (packet: TestPacket) in
                policy.forgery(packet) ?? PacketOutcome(label: packet.label)
            }
            packet.state = .established
            #expect(policy.interpreter.outcome(of: packet).effect == passes(packet), "seed \(seed): \(packet)")

            packet.state = .related
            let related = policy.interpreter.outcome(of: packet)
            if packet.flow.protocol == .icmp || packet.flow.protocol == .icmpv6 {
                #expect(related.effect == passes(packet), "seed \(seed): \(packet)")
            } else {
                #expect(related.effect == policy.expected(for: packet), "what a helper expects is judged: \(packet)")
            }

            packet.state = .untracked
            packet.label = nil
            #expect(
                policy.interpreter.outcome(of: packet).effect == policy.expected(for: packet),
                "seed \(seed): without state, both ways: \(packet)")

            packet.state = .invalid
            checkInvalid(packet, policy)
        }
    }

    /// Dropped and counted at the interface, with no record; only what keeps a link alive passes.
    private func checkInvalid(_ packet: TestPacket, _ policy: CompiledPolicy) {
        let outcome = policy.interpreter.outcome(of: packet)
        if let forgery = policy.forgery(packet) {
            #expect(outcome.effect == forgery, "\(packet)")
            return
        }
        let isBound = policy.expected(for: packet).effect != PacketOutcome(label: nil)
        #expect(outcome.logs.isEmpty)
        #expect(outcome.verdict == (isBound ? .drop : .accept), "\(packet)")
        if isBound, !packet.flow.isMulticast || packet.path != .forward {
            let counters = outcome.counters.keys.filter { $0 != FixedNames.routersCounter }.map(\.description)
            #expect(counters.allSatisfy { $0.hasSuffix("/invalid") }, "\(packet)")
        }
    }

    @Test("what keeps a link alive passes unlogged on the link, both ways (S12)")
    func exemptions() throws {
        // Without addresses nobody is held to them (S13).
        var estate = Estate.denyingEverything
        for id in estate.networkInterfaces.keys { estate.networkInterfaces[id]?.ipConfigurations[0].address = nil }
        let policy = CompiledPolicy(estate)
        let four = (try #require(IPAddress("10.0.0.4")), try #require(IPAddress("10.0.0.1")))
        let six = (try #require(IPAddress("fe80::4")), try #require(IPAddress("ff02::1")))
        var flows = [FlowTuple(protocol: .igmp, source: four.0, destination: four.1)]
        for type in UInt8.min...UInt8.max {
            flows.append(FlowTuple(protocol: .icmpv6, source: six.0, destination: six.1, icmpType: type))
        }
        for source in UInt16(66)...69 {
            for destination in UInt16(66)...69 {
                flows.append(.udp(four, source, destination))
                flows.append(.udp(six, source + 479, destination + 479))
            }
        }
        for flow in flows {
            for device in ["guest0", "host0"] {
                for packet in [TestPacket(.input, from: device, flow), TestPacket(.output, to: device, flow)] {
                    let outcome = policy.interpreter.outcome(of: packet)
                    #expect(outcome.effect == policy.expected(for: packet), "\(packet)")
                    let direction: Direction = (packet.path == .input) == (device == "host0") ? .inbound : .outbound
                    #expect((outcome.verdict == .accept) == Exemption.covers(flow, direction), "\(packet)")
                    // A guest that announces itself as a router is dropped whatever its rules say (KERNEL 9).
                    let isRouter = outcome.counters[FixedNames.routersCounter] != nil
                    #expect(isRouter == (packet.path == .input && device == "guest0" && flow.icmpType == 134))
                    #expect(outcome.logs.isEmpty == (outcome.verdict == .accept || isRouter))
                }
            }
            for (entry, exit) in [("guest0", "other0"), ("other0", "guest0"), ("host0", "other0"), ("other0", "host0")]
            {
                let forwarded = policy.interpreter.outcome(of: TestPacket(.forward, from: entry, to: exit, flow))
                #expect(forwarded.verdict == .drop, "no link reaches past a router: \(entry) > \(exit) \(flow)")
            }
            // To an address, as no router would carry it further otherwise.
            var unicast = flow
            if flow.destination == six.1 { unicast.destination = six.0 }
            for (entry, exit) in [("other0", "guest0"), ("host0", "other0")] {
                let packet = TestPacket(.forward, from: entry, to: exit, unicast)
                #expect(policy.interpreter.outcome(of: packet).effect == policy.expected(for: packet), "\(packet)")
            }
        }
    }

    /// Found by the kernel: no connection's label says in `postrouting` that `forward` has judged the packet. That it
    /// came in by a device does not say so either: `forward` never saw what this machine wraps for a tunnel.
    @Test("what is not tracked is judged at every hook it passes, as nothing tells that it was before (KERNEL 9)")
    func untracked() throws {
        var estate = Estate.denyingEverything
        for id in estate.networkInterfaces.keys { estate.networkInterfaces[id]?.networkSecurityGroup = nil }
        let policy = CompiledPolicy(estate)
        let flow = FlowTuple.udp(
            (try #require(IPAddress("203.0.113.9")), try #require(IPAddress("10.0.0.4"))), 5000, 53)
        let packet = TestPacket(.forward, from: "other0", to: "guest0", flow, state: .untracked, label: nil)
        #expect(policy.interpreter.outcome(of: packet).effect == policy.expected(for: packet))
    }

    @Test("a router's second pass is judged by its own rules, and leaves the numbers in the label alone (KERNEL 4)")
    func routers() throws {
        var estate = Estate.denyingEverything
        for id in estate.networkInterfaces.keys { estate.networkInterfaces[id]?.enableIPForwarding = true }
        let policy = CompiledPolicy(estate)
        let addresses = (try #require(IPAddress("10.0.0.4")), try #require(IPAddress("10.0.0.5")))
        let label = FlowLabel.decided | FlowLabel.bits(RuleNumber(77), in: LabelSlot(side: .entry, level: .nic))
        let packet = TestPacket(.forward, from: "guest0", to: "other0", .udp(addresses, 5000, 53), label: label)
        let outcome = policy.interpreter.outcome(of: packet)
        #expect(outcome.verdict == .drop)
        #expect(outcome.label == label | FlowLabel.refused)
        #expect(outcome.effect == policy.expected(for: packet, isAgain: true))

        // From then on an answer, forged or not, opens nothing: not even where it needs no router.
        for way in [("guest0", "other0"), ("other0", "guest0")] {
            let answer = TestPacket(
                .forward, from: way.0, to: way.1, .udp((addresses.1, addresses.0), 53, 5000), state: .established,
                label: label | FlowLabel.refused)
            #expect(policy.interpreter.outcome(of: answer).verdict == .drop, "\(way)")
        }
        let unrefused = TestPacket(
            .forward, from: "other0", to: "guest0", .udp((addresses.1, addresses.0), 53, 5000), state: .established,
            label: label)
        #expect(policy.interpreter.outcome(of: unrefused).verdict == .accept)
        // Allowed later as far as its destination it is a live connection, which a change does not cut (S5).
        for state in [ConnectionState.new, .established] {
            let live = TestPacket(
                .forward, from: "guest0", to: "other0", .udp(addresses, 5000, 53), state: state,
                label: label | FlowLabel.refused | FlowLabel.settled)
            #expect(policy.interpreter.outcome(of: live).verdict == .accept)
        }
    }

    @Test("what a router sends on is judged until it was allowed as far as its destination, answered or not (KERNEL 4)")
    func settling() throws {
        var estate = Estate.denyingEverything
        for group in estate.networkSecurityGroups.keys { estate.networkSecurityGroups[group]?.securityRules = [] }
        estate.networkInterfaces[testID("networkInterfaces", "guest0")]?.enableIPForwarding = true
        let policy = CompiledPolicy(estate)
        let (a, r) = (try #require(IPAddress("10.0.0.9")), try #require(IPAddress("10.0.0.4")))
        let b = try #require(IPAddress("10.0.0.10"))
        let pass = { (entry: String, exit: String, destination: IPAddress, state: ConnectionState, label: UInt128) in
            policy.interpreter.outcome(
                of: TestPacket(
                    .forward, from: entry, to: exit, .udp((a, destination), 5000, 53), state: state, label: label))
        }
        let isSettled = { (label: UInt128?) in label.map { $0 & FlowLabel.settled != 0 } }
        // To r itself; through r, first to r and then to b, before and after the answer.
        #expect(isSettled(pass("other0", "guest0", r, .new, 0).label) == true)
        let first = pass("other0", "guest0", b, .new, 0)
        let label = try #require(first.label)
        #expect(FlowLabel.isDecided(label) && isSettled(label) == false)
        #expect(pass("other0", "guest0", b, .established, label).logs == [])
        for state in [ConnectionState.new, .established] {
            let second = pass("guest0", "other0", b, state, label)
            #expect(second.logs == ["nsgd allow again"] && second.label == label | FlowLabel.settled)
        }
        #expect(pass("guest0", "other0", b, .established, label | FlowLabel.settled).logs == [])
        // What r makes up as the answer, after the pass to b was refused, settles nothing.
        var forged = TestPacket(
            .forward, from: "guest0", to: "other0", .udp((b, a), 53, 5000), state: .established,
            label: label | FlowLabel.refused)
        forged.isReply = true
        #expect(isSettled(policy.interpreter.outcome(of: forged).label) == false)
        // A connection that is older than any policy lives on (S5).
        #expect(pass("guest0", "other0", b, .established, 0).logs == [])

        // Without routers the first pass settles, and what it settled stays so when there is one.
        estate.networkInterfaces[testID("networkInterfaces", "guest0")]?.enableIPForwarding = false
        let before = CompiledPolicy(estate).interpreter.outcome(
            of: TestPacket(.forward, from: "guest0", to: "other0", .udp((r, b), 5000, 53)))
        #expect(isSettled(before.label) == true)
    }
}

extension FlowTuple {
    static func udp(_ ends: (IPAddress, IPAddress), _ source: UInt16, _ destination: UInt16) -> FlowTuple {
        FlowTuple(
            protocol: .udp, source: ends.0, destination: ends.1, sourcePort: source, destinationPort: destination)
    }
}

extension Estate {
    /// A guest and a host interface under one group that denies all both ways.
    static var denyingEverything: Estate {
        let group = testID("networkSecurityGroups", "closed")
        let network = testID("virtualNetworks", "lab")
        let subnet = Subnet(id: network.child("subnets", "s"), prefixes: [IPPrefix("10.0.0.0/24")].compactMap(\.self))
        let rules = Direction.allCases.map { direction in
            SecurityRule(
                id: group.child("securityRules", "none\(direction)"), name: "none\(direction)", protocol: .any,
                source: .any,
                sourcePorts: [.any], destination: .any, destinationPorts: [.any], access: .deny,
                priority: Priority(100),
                direction: direction)
        }
        let devices: [(String, NSGModel.Attachment)] = [("guest0", .guest), ("host0", .host)]
        let interfaces = devices.enumerated().map { index, device in
            NetworkInterface(
                id: testID("networkInterfaces", device.0), networkSecurityGroup: group,
                ipConfigurations: [
                    IPConfiguration(name: "ip", address: IPAddress("10.0.0.\(index + 4)"), subnet: subnet.id)
                ])
        }
        return Estate(
            networkSecurityGroups: [
                group: NetworkSecurityGroup(id: group, guid: UUID(named: "closed"), securityRules: rules)
            ],
            virtualNetworks: [
                network: VirtualNetwork(
                    id: network, guid: UUID(named: "lab"), addressSpace: subnet.prefixes, subnets: [subnet])
            ],
            networkInterfaces: Dictionary(uniqueKeysWithValues: interfaces.map { ($0.id, $0) }),
            bindings: devices.map {
                Binding(networkInterface: testID("networkInterfaces", $0.0), device: $0.0, attachment: $0.1)
            })
    }
}
