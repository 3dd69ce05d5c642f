import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// Connections that were ended on purpose do not come back with the next packet of either side (KERNEL 7).
@Suite struct CutFlowTests {
    static let ends = [["10.0.0.4", "203.0.113.9"], ["fd00::4", "2001:db8::9"]]

    @Test(
        "TCP begins anew with a SYN alone, UDP from its own side alone; others are not touched",
        arguments: [IPProtocol.tcp, .udp, .sctp], ends)
    func nextPackets(number: IPProtocol, ends: [String]) throws {
        let flow = FlowTuple(
            protocol: number, source: try #require(IPAddress(ends[0])), destination: try #require(IPAddress(ends[1])),
            sourcePort: 5000, destinationPort: 53)
        let policy = CompiledPolicy(.openGuest)
        let cut = policy.interpreter(cutting: flow)
        var dropped = PacketOutcome(label: 0)
        dropped.verdict = .drop
        dropped.counters = [CutFlows.counter: 1]

        for (flow, isReply) in [(flow, false), (flow.turned, true)] {
            var packet = TestPacket(
                .forward, from: isReply ? "other0" : "guest0", to: isReply ? "guest0" : "other0", flow)
            for flags: UInt8 in [0, 2, 4, 16] {
                packet.tcpFlags = flags
                let isCut = number == .tcp ? flags & 2 == 0 : number == .udp && isReply
                let judged = policy.expected(for: packet)
                #expect(judged.verdict == .accept)
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
}

extension CompiledPolicy {
    fileprivate func interpreter(cutting flow: FlowTuple) -> RulesetInterpreter {
        var ruleset = ruleset
        if let (set, elements) = CutFlows.elements(original: flow, reply: flow.turned) {
            ruleset.sets[set.name]?.elements += elements
        }
        return RulesetInterpreter(ruleset)
    }
}

extension FlowTuple {
    fileprivate var turned: FlowTuple {
        FlowTuple(
            protocol: self.protocol, source: destination, destination: source, sourcePort: destinationPort,
            destinationPort: sourcePort)
    }

    /// With another port at either end.
    fileprivate var neighbours: [FlowTuple] {
        [(UInt16(1), UInt16(0)), (0, 1)].map { source, destination in
            var flow = self
            flow.sourcePort = sourcePort.map { $0 + source }
            flow.destinationPort = destinationPort.map { $0 + destination }
            return flow
        }
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
