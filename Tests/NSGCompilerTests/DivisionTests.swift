import NSGCompiler
import NSGModel
import NetworkTypes
import TestSupport
import Testing

/// A list divided each way that there is, against the evaluator, on packets that tell the ways apart (E2).
@Suite struct DivisionTests {
    /// A rule that packets may meet or miss.
    private struct Given {
        var `protocol`: RuleProtocol = .tcp
        var source: [String] = []
        var sourcePorts: [PortRange] = [.any]
        var destination: [String] = []
        var ports: [PortRange] = [.any]
        var access: Access = .allow
    }

    /// Stands for a service tag.
    private static let largeTag = "Lab.Large"

    private static func ports(_ ranges: ClosedRange<UInt16>...) -> [PortRange] { ranges.map { PortRange($0) } }

    private static let lists: [(name: String, rules: [Given])] = [
        (
            // Found by seed 97: a port of an earlier rule met what stands for packets without ports.
            "ports of any source before all of a protocol",
            [
                Given(ports: ports(1688...1688, 0...7), access: .deny), Given(destination: ["10.0.0.0/24"]),
                Given(protocol: .icmp, destination: ["10.0.0.4/32"]),
            ]
        ),
        (
            "a range of any source between a port and a range of one source",
            [
                Given(source: ["198.51.100.0/24"], ports: ports(80...80)),
                Given(ports: ports(50...100), access: .deny),
                Given(source: ["198.51.100.0/24", "203.0.113.7/32"], ports: ports(70...200)),
                Given(source: ["203.0.113.0/24"], access: .allow),
            ]
        ),
        (
            "what a cell cannot settle: the other side, the source port, the type of an ICMP message",
            [
                Given(source: ["198.51.100.0/24"], destination: ["10.0.0.5/32"], ports: ports(80...80), access: .deny),
                Given(source: ["198.51.100.0/24"], sourcePorts: ports(1024...65535), ports: ports(80...90)),
                Given(protocol: .icmp, source: ["198.51.100.0/24"], ports: ports(8...8)),
                Given(protocol: .any, source: ["198.51.100.0/25"], access: .deny),
                Given(protocol: .icmp),
            ]
        ),
        (
            "protocols that rules cannot tell apart",
            [
                Given(protocol: .any, source: ["198.51.100.0/24"], ports: ports(53...53, 80...90)),
                Given(protocol: .any, ports: ports(85...86), access: .deny),
                Given(protocol: .udp, source: ["198.51.100.0/24"], access: .deny),
                Given(protocol: .any, source: ["198.51.100.7/32"]),
                Given(protocol: .esp, source: ["198.51.100.0/24"]),
            ]
        ),
        (
            "a tag of many prefixes, which stays one set, before rules that are divided",
            [
                Given(source: [largeTag], ports: ports(80...443), access: .deny),
                Given(source: ["198.51.100.0/24"], ports: ports(100...200, 443...443)),
                Given(source: ["198.51.100.64/26"], destination: [largeTag]),
                Given(source: ["198.51.100.0/25", "203.0.113.0/24"], ports: ports(0...1024), access: .deny),
                Given(protocol: .any, source: ["203.0.113.0/25", largeTag]),
            ]
        ),
        (
            "addresses within addresses, and both ends of all",
            [
                Given(source: ["0.0.0.0/1"], ports: ports(0...0, 65535...65535), access: .deny),
                Given(source: ["10.0.0.0/8", "255.255.255.255/32"], ports: ports(0...100)),
                Given(source: ["10.0.1.0/24", "0.0.0.0/32"], ports: ports(65000...65535)),
                Given(protocol: .any, source: ["128.0.0.0/1", "::1/128", "2001:db8::/32"]),
            ]
        ),
    ]

    @Test("each way decides alike", arguments: lists.indices, Division.ways.indices)
    func decides(list: Int, way: Int) {
        // A router is asked for destinations, a guest that is none for its own alone.
        for isRouter in [true, false] { decides(list, way, isRouter: isRouter) }
    }

    private func decides(_ list: Int, _ way: Int, isRouter: Bool) {
        let estate = Self.estate(Self.lists[list].rules, isRouter: isRouter)
        let policy = CompiledPolicy(estate, division: Division.ways[way])
        let edges = FlowEdges(of: estate)
        var random = SplitMix64(seed: UInt64(list))
        for _ in 0..<1_500 {
            var packet = policy.packet(near: edges, using: &random)
            packet = TestPacket(.forward, from: "other0", to: "guest0", packet.flow)
            let (outcome, expected) = (policy.interpreter.outcome(of: packet).effect, policy.expected(for: packet))
            guard outcome == expected else {
                Issue.record("\(Self.lists[list].name): \(packet)\n is    \(outcome)\n should \(expected)")
                return
            }
        }
    }

    @Test("cells with too many rows behind them are none (E2)")
    func boundedRows() {
        let rules = (0..<12).map { index in
            Given(
                source: ["198.51.100.\(index)/32", "203.0.113.0/24"], destination: ["10.0.0.\(index)/32"],
                ports: Self.ports(80...90), access: index.isMultiple(of: 2) ? .allow : .deny)
        }
        for (most, hasCells) in [(50_000, true), (0, false)] {
            var options = CompilerOptions(packetLogGroup: nil)
            (options.division.shortRow, options.division.fewestCells) = (4, 0)
            options.division.mostRulesBehindCells = most
            let book = PolicyBook(Self.estate(rules, isRouter: true))
            var numbering = RuleNumbering()
            _ = numbering.assign(to: book)
            let output = PolicyCompiler(book, numbering: numbering, options: options).compiled()
            #expect((output.statistics.cells > 0) == hasCells)
        }
    }

    /// A guest, to which packets come under these rules.
    private static func estate(_ given: [Given], isRouter: Bool) -> Estate {
        func scope(_ texts: [String]) -> AddressScope {
            if texts.isEmpty { return .any }
            return texts.contains(largeTag)
                ? .serviceTag(ServiceTag(largeTag)) : .prefixes(texts.compactMap { IPPrefix($0) })
        }
        var estate = Estate.large(rules: 0, nameLength: 1, isRouter: isRouter)
        let tag = ServiceTag(largeTag)
        // Every other address, so that no two are one prefix.
        estate.serviceTags[tag.key] = (0..<160).compactMap {
            IPPrefix(.v4(IPv4Address(0xc633_6400 + UInt32($0) << 1)), length: 32)
        }
        estate.serviceTagNames[tag.key] = tag.description
        for id in estate.networkSecurityGroups.keys {
            estate.networkSecurityGroups[id]?.securityRules = given.enumerated().map { index, given in
                SecurityRule(
                    id: id.child("securityRules", "rule\(index)"), owner: id, name: "rule\(index)",
                    protocol: given.protocol, source: scope(given.source), sourcePorts: given.sourcePorts,
                    destination: scope(given.destination), destinationPorts: given.ports, access: given.access,
                    priority: Priority(100 + index), direction: .inbound)
            }
        }
        return estate
    }
}
