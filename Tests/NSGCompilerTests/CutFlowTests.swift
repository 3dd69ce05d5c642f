import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// Connections that were ended on purpose do not come back with the next packet of either side (KERNEL 7).
@Suite struct CutFlowTests {
    static let ends = [["10.0.0.4", "203.0.113.9"], ["fd00::4", "2001:db8::9"]]

    private static let protocols: [IPProtocol] = [
        .tcp, .udp, .dccp, .sctp, .udplite, .esp, .ah, .gre, .icmp, .icmpv6, IPProtocol(rawValue: 253),
    ]

    @Test(
        "TCP begins anew with a SYN alone, other protocols from their own side alone; ICMP is not touched",
        arguments: protocols, ends)
    func nextPackets(number: IPProtocol, ends: [String]) throws {
        let isICMP = number == .icmp || number == .icmpv6
        let flow = FlowTuple(
            protocol: number, source: try #require(IPAddress(ends[0])), destination: try #require(IPAddress(ends[1])),
            sourcePort: number.hasPorts ? 5000 : nil, destinationPort: number.hasPorts ? 53 : nil,
            icmpType: isICMP ? 8 : nil)
        let policy = CompiledPolicy(.openGuest)
        let elements = CutFlows.elements(original: flow, reply: flow.turned)
        #expect((elements == nil) == isICMP)
        let cut = policy.interpreter(with: elements)

        for (flow, isReply) in [(flow, false), (flow.turned, true)] {
            var packet = TestPacket(
                .forward, from: isReply ? "other0" : "guest0", to: isReply ? "guest0" : "other0", flow)
            for flags: UInt8 in number == .tcp ? [0, 2, 4, 16] : [2] {
                packet.tcpFlags = flags
                let isCut = number == .tcp ? flags & 2 == 0 : !isICMP && isReply
                let judged = policy.expected(for: packet)
                #expect(judged.verdict == .accept)
                var dropped = PacketOutcome(label: 0)
                dropped.verdict = .drop
                dropped.counters = [CutFlows.counter: 1]
                #expect(cut.outcome(of: packet).effect == (isCut ? dropped : judged), "flags \(flags): \(packet)")

                // The connections beside it, and one that was decided.
                for beside in packet.flow.neighbours {
                    var packet = packet
                    packet.flow = beside
                    #expect(cut.outcome(of: packet).effect == policy.expected(for: packet), "\(packet)")
                }
                var decided = packet
                decided.label = FlowLabel.decided
                #expect(cut.outcome(of: decided).effect == PacketOutcome(label: FlowLabel.decided))
            }
        }
    }

    @Test("what is not cut pays little: UDP two rules and a look-up, TCP three rules, nothing more than six and three")
    func cost() throws {
        let policy = CompiledPolicy(.openGuest)
        var without = policy.ruleset
        for name in without.chains.keys {
            without.chains[name]?.rules.removeAll {
                $0.steps.contains {
                    if case .verdict(let verdict) = $0 {
                        verdict.target?.description.hasPrefix("cut/") == true
                    } else {
                        $0.sets.contains { $0.description.hasPrefix("cut/") }
                    }
                }
            }
        }
        let bare = RulesetInterpreter(without)
        for number in Self.protocols {
            for ends in Self.ends {
                let flow = FlowTuple(
                    protocol: number, source: try #require(IPAddress(ends[0])),
                    destination: try #require(IPAddress(ends[1])), sourcePort: 5000, destinationPort: 53)
                let packet = TestPacket(.forward, from: "guest0", to: "other0", flow)
                let (all, rest) = (policy.interpreter.outcome(of: packet), bare.outcome(of: packet))
                let (rules, lookups) = (all.rules - rest.rules, all.lookups - rest.lookups)
                switch number {
                case .udp: #expect(rules == 2 && lookups == 1)
                case .tcp: #expect(rules == 3 && lookups == 0)
                default: #expect((2...6).contains(rules) && (1...3).contains(lookups), "\(number)")
                }
            }
        }
    }
}

extension CompiledPolicy {
    fileprivate func interpreter(with cut: (set: NamedSet, elements: [SetElement])?) -> RulesetInterpreter {
        var ruleset = ruleset
        if let cut { ruleset.sets[cut.set.name]?.elements += cut.elements }
        return RulesetInterpreter(ruleset)
    }
}

extension FlowTuple {
    fileprivate var turned: FlowTuple {
        FlowTuple(
            protocol: self.protocol, source: destination, destination: source, sourcePort: destinationPort,
            destinationPort: sourcePort, icmpType: icmpType)
    }

    /// With another port at either end, or of another protocol.
    fileprivate var neighbours: [FlowTuple] {
        [(UInt16(1), UInt16(0)), (0, 1)].map { source, destination in
            var flow = self
            if !self.protocol.hasPorts { flow.protocol = IPProtocol(rawValue: 254 - UInt8(source)) }
            if !self.protocol.hasPorts { flow.icmpType = nil }
            flow.sourcePort = sourcePort.map { $0 + source }
            flow.destinationPort = destinationPort.map { $0 + destination }
            return flow
        }.filter { $0.protocol != self.protocol || self.protocol.hasPorts }
    }
}

extension Estate {
    /// A guest without rules.
    fileprivate static var openGuest: Estate {
        let network = testID("virtualNetworks", "lab")
        let space = ["10.0.0.0/24", "fd00::/64"].compactMap { IPPrefix($0) }
        let subnet = Subnet(id: network.child("subnets", "s"), prefixes: space)
        let guest = NetworkInterface(
            id: testID("networkInterfaces", "guest0"), networkSecurityGroup: nil,
            ipConfigurations: ["10.0.0.4", "fd00::4"].map {
                IPConfiguration(name: $0, address: IPAddress($0), subnet: subnet.id)
            })
        return Estate(
            virtualNetworks: [
                network: VirtualNetwork(
                    id: network, guid: UUID(named: "lab"), addressSpace: space, subnets: [subnet])
            ],
            networkInterfaces: [guest.id: guest],
            bindings: [Binding(networkInterface: guest.id, device: "guest0", attachment: .guest)])
    }
}
