import NSGCompiler
import NSGEvaluation
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// What is decided before any rule, evaluated and compiled alike (S9, S13, S14), and rules that match nothing.
@Suite struct PlatformDecisionTests {
    /// Whether a packet from a bound device passes, as both say; nil where they differ.
    private func passes(_ flow: FlowTuple, from device: String, in policy: CompiledPolicy) -> Bool? {
        guard let binding = policy.binding(of: device) else { return nil }
        // From a guest on to a device that is not bound; a host's interface is this machine's own.
        let packet =
            binding.attachment == .guest
            ? TestPacket(.forward, from: device, to: "other0", flow) : TestPacket(.output, to: device, flow)
        let compiled = policy.interpreter.outcome(of: packet).verdict == .accept
        let evaluated = policy.evaluator.decision(
            for: flow, at: binding.networkInterface, .outbound, isForwarded: packet.path == .forward)
        return compiled == evaluated.passes ? compiled : nil
    }

    private func flow(
        _ number: IPProtocol, _ source: String, _ sourcePort: UInt16, _ destination: String, _ port: UInt16
    ) throws -> FlowTuple {
        FlowTuple(
            protocol: number, source: try #require(IPAddress(source)),
            destination: try #require(IPAddress(destination)), sourcePort: sourcePort, destinationPort: port)
    }

    static let mail: [(destination: String, fromLab: Bool, fromOther: Bool)] = [
        ("203.0.113.9", false, false),
        // Public space of the network, of an open peer and of a closed one, and on premises.
        ("198.51.100.9", true, false), ("198.51.101.0", false, false), ("203.0.114.9", true, false),
        ("203.0.115.9", false, false), ("2001:db8:5::9", true, false), ("2001:db8:6::9", false, false),
        // No Internet at all.
        ("10.0.0.9", true, true), ("25.0.0.9", true, true),
    ]

    @Test(
        "mail inside the interface's own network and its peers is no mail to the Internet (S14, S10)", arguments: mail)
    func mailInside(destination: String, fromLab: Bool, fromOther: Bool) throws {
        var estate = Estate.denyingEverything
        estate.blocksOutboundSMTP = true
        for id in estate.networkInterfaces.keys { estate.networkInterfaces[id]?.networkSecurityGroup = nil }
        let lab = testID("virtualNetworks", "lab")
        let prefix = { (text: String) in try #require(IPPrefix(text)) }
        estate.virtualNetworks[lab]?.addressSpace.append(try prefix("198.51.100.0/24"))
        estate.virtualNetworks[lab]?.furtherPrefixes = [try prefix("2001:db8:5::/48")]
        estate.virtualNetworks[lab]?.peerings = try [("203.0.114.0/24", true), ("203.0.115.0/24", false)].map {
            Peering(name: $0.0, isOpen: $0.1, remoteNetwork: nil, remotePrefixes: [try prefix($0.0)])
        }
        // The host's interface is of another network, for which all that is Internet.
        let other = testID("virtualNetworks", "other")
        let subnet = Subnet(id: other.child("subnets", "s"), prefixes: [try prefix("10.0.0.0/24")])
        estate.virtualNetworks[other] = VirtualNetwork(
            id: other, guid: UUID(named: "other"), addressSpace: subnet.prefixes, subnets: [subnet])
        for id in estate.networkInterfaces.keys {
            // IPv6 too.
            let address = IPAddress(id.name == "host0" ? "fd00::5" : "fd00::4")
            estate.networkInterfaces[id]?.ipConfigurations.append(
                IPConfiguration(name: "six", address: address, subnet: subnet.id))
        }
        estate.networkInterfaces[testID("networkInterfaces", "host0")]?.ipConfigurations[0].subnet = subnet.id
        let policy = CompiledPolicy(estate)
        let isIPv6 = destination.contains(":")
        for (device, source, expected) in [
            ("guest0", isIPv6 ? "fd00::4" : "10.0.0.4", fromLab), ("host0", isIPv6 ? "fd00::5" : "10.0.0.5", fromOther),
        ] {
            #expect(
                passes(try flow(.tcp, source, 4000, destination, 25), from: device, in: policy) == expected, "\(device)"
            )
            #expect(passes(try flow(.tcp, source, 4000, destination, 26), from: device, in: policy) == true)
        }
    }

    @Test(
        "DHCP is asked from the client's port (S9)",
        arguments: [(68, true), (67, false), (4000, false)] as [(UInt16, Bool)])
    func dhcp(port: UInt16, isExempt: Bool) throws {
        let policy = CompiledPolicy(.denyingEverything)
        let dhcp = try flow(.udp, "10.0.0.4", port, "168.63.129.16", 67)
        #expect(passes(dhcp, from: "guest0", in: policy) == isExempt)
        // The name service at the same address is asked from any.
        #expect(passes(try flow(.udp, "10.0.0.4", port, "168.63.129.16", 53), from: "guest0", in: policy) == true)
    }

    @Test("the guard's list, compiled, is the one that the evaluator reads (S13)")
    func addressGuard() throws {
        var estate = Estate.denyingEverything
        for id in estate.networkInterfaces.keys { estate.networkInterfaces[id]?.networkSecurityGroup = nil }
        let policy = CompiledPolicy(estate)
        let guest = testID("networkInterfaces", "guest0")
        let counter = policy.names.foreignCounter(guest, .outbound)
        let (four, six) = (try #require(IPAddress("10.0.0.1")), try #require(IPAddress("ff02::1")))
        let sources = [
            "10.0.0.4", "10.0.0.5", "0.0.0.0", "0.0.0.1", "::", "::1", "fe7f:ffff::1", "fe80::", "fe80::4",
            "febf:ffff::1", "fec0::", "fd00::4",
        ]
        for source in try sources.map({ try #require(IPAddress($0)) }) {
            let destination = source.family == .ipv4 ? four : six
            var flows = [IPProtocol.igmp, .icmp, .gre].map {
                FlowTuple(protocol: $0, source: source, destination: destination)
            }
            for type in UInt8.min...UInt8.max where source.family == .ipv6 {
                flows.append(FlowTuple(protocol: .icmpv6, source: source, destination: destination, icmpType: type))
            }
            for number in [IPProtocol.udp, .tcp] {
                for source_ in [66...69, 545...548] as [ClosedRange<UInt16>] {
                    for ports in source_.flatMap({ one in source_.map { (one, $0) } }) {
                        flows.append(
                            FlowTuple(
                                protocol: number, source: source, destination: destination, sourcePort: ports.0,
                                destinationPort: ports.1))
                    }
                }
            }
            for flow in flows {
                let isForeign = source.description != "10.0.0.4" && !AddressGuard.exempts(flow)
                // Of every packet: the guard stands before conntrack, and before what keeps a link alive (S12).
                for state in [ConnectionState.new, .established, .untracked] {
                    let packet = TestPacket(
                        .input, from: "guest0", flow, state: state, label: state == .untracked ? nil : 0)
                    #expect((policy.interpreter.outcome(of: packet).counters[counter] == 1) == isForeign, "\(packet)")
                }
                let decision = policy.evaluator.decision(for: flow, at: guest, .outbound)
                #expect((decision.platform == .foreignAddress) == isForeign && decision.passes != isForeign, "\(flow)")
            }
        }
    }

    /// No document gives such rules; what does must not make a look-up in an empty set of them.
    @Test("a rule whose ports are none is no rule (S1, E2)", arguments: RuleProtocol.allCases)
    func withoutPorts(protocol: RuleProtocol) throws {
        let tag = AddressScope.serviceTag(.azurePlatformDNS)
        for (sourcePorts, ports, destination) in [
            ([.any], [PortRange(80)], tag), ([.any], [], .any), ([], [.any], .any), ([], [], .any),
        ] as [([PortRange], [PortRange], AddressScope)] {
            let estate = Estate.denyingEverything.changingRules { rules in
                guard let last = rules.last, last.direction == .outbound else { return }
                var none = last
                (none.name, none.access, none.priority) = ("none", .allow, Priority(99))
                (none.protocol, none.destination) = (`protocol`, destination)
                (none.sourcePorts, none.destinationPorts) = (sourcePorts, ports)
                rules.append(none)
            }
            let policy = CompiledPolicy(estate)
            let rules = policy.ruleset.chains.values.flatMap(\.rules)
            #expect(!rules.contains { $0.comment == "99 none" })
            #expect(policy.ruleset.sets.values.allSatisfy { !$0.elements.isEmpty || $0.keyType != .inetService })
            for flow in [
                try flow(.tcp, "10.0.0.4", 4000, "168.63.129.16", 81), try flow(.udp, "10.0.0.4", 53, "10.0.0.9", 0),
            ] {
                #expect(passes(flow, from: "guest0", in: policy) == false)
            }
        }
    }
}
