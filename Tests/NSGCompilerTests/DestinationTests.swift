import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// An inbound list does not ask for destinations that no packet has that comes to it: a guest that does not route gets
/// what is for its own addresses alone (S13, E2).
@Suite struct DestinationTests {
    private static let destinations = [
        [], ["10.0.0.0/24"], ["10.0.0.4/32"], ["10.0.0.5/32"], ["10.0.0.4/31"], ["10.0.0.6/32", "10.0.0.4/32"],
        ["192.0.2.0/24"], ["fd00::/64"], ["fd00::4/128"],
    ]

    /// Guests under one group, whose rules name one destination after the other.
    private static func estate(guests: [[String]], routers: Set<Int> = []) -> Estate {
        var estate = Estate.large(rules: 0, nameLength: 1, isRouter: false).changingRules { rules in
            rules = destinations.enumerated().map { index, texts in
                let owner = testID("networkSecurityGroups", "n_group")
                let name = "to\(index)"
                return SecurityRule(
                    id: owner.child("securityRules", name), owner: owner, name: name, protocol: .tcp, source: .any,
                    sourcePorts: [.any],
                    destination: texts.isEmpty ? .any : .prefixes(texts.compactMap { IPPrefix($0) }),
                    destinationPorts: [PortRange(UInt16(1000 + index))],
                    access: index.isMultiple(of: 2) ? .allow : .deny,
                    priority: Priority(100 + index), direction: .inbound)
            }
        }
        guard let first = estate.networkInterfaces.values.first, let place = first.ipConfigurations.first else {
            return estate
        }
        estate.networkInterfaces = [:]
        estate.bindings = []
        for (number, addresses) in guests.enumerated() {
            let id = testID("networkInterfaces", "guest\(number)")
            estate.networkInterfaces[id] = NetworkInterface(
                id: id, networkSecurityGroup: first.networkSecurityGroup,
                ipConfigurations: addresses.enumerated().map { index, address in
                    IPConfiguration(
                        name: "ip\(index)", address: IPAddress(address), subnet: place.subnet,
                        applicationSecurityGroups: [])
                }, enableIPForwarding: routers.contains(number))
            estate.bindings.append(Binding(networkInterface: id, device: "guest\(number)", attachment: .guest))
        }
        return estate
    }

    /// Rules whose destination the list's chains ask for, or that stand in none of them.
    private static func asked(_ estate: Estate) -> (asked: Set<String>, absent: Set<String>) {
        let ruleset = CompiledPolicy(estate).ruleset
        let names = destinations.indices.map { "to\($0)" }
        let lists = ruleset.chains.values.filter { $0.name.description.hasPrefix("nsg/") }
        let text = lists.map { "\($0)" }.joined()
        let lines = text.split(separator: "\n").map(String.init)
        let asked = names.filter { name in
            lines.contains { $0.contains("/rule/\(name).") && $0.contains("goto") && $0.contains("daddr") }
        }
        return (Set(asked), Set(names.filter { !text.contains("/rule/\($0).") }))
    }

    @Test("one guest: a destination is its own, or no packet has it")
    func oneGuest() {
        let (asked, absent) = Self.asked(Self.estate(guests: [["10.0.0.4"]]))
        #expect(asked.isEmpty)
        #expect(absent == ["to3", "to6", "to7", "to8"])
    }

    @Test("two guests: what is for one of them is asked for")
    func twoGuests() {
        let (asked, absent) = Self.asked(Self.estate(guests: [["10.0.0.4"], ["10.0.0.5", "fd00::4"]]))
        #expect(asked == ["to2", "to3", "to5"])
        #expect(absent == ["to6"])
    }

    @Test("a guest that routes gets what is for anybody")
    func router() {
        let (asked, absent) = Self.asked(Self.estate(guests: [["10.0.0.4"], ["10.0.0.5"]], routers: [1]))
        #expect(asked == Set(Self.destinations.indices.dropFirst().map { "to\($0)" }))
        #expect(absent.isEmpty)
    }

    @Test(
        "packets of all destinations are decided as the evaluator does",
        arguments: [[["10.0.0.4"]], [["10.0.0.4"], ["10.0.0.5", "fd00::4"]], [["fd00::4"], ["10.0.0.6"]]],
        Division.ways.indices)
    func decides(guests: [[String]], way: Int) {
        let estate = Self.estate(guests: guests)
        let policy = CompiledPolicy(estate, division: Division.ways[way])
        let edges = FlowEdges(of: estate)
        var random = SplitMix64(seed: UInt64(way))
        for _ in 0..<1_000 {
            var packet = policy.packet(near: edges, using: &random)
            packet = TestPacket(.forward, from: "other0", to: random.pick(policy.devices), packet.flow)
            let (outcome, expected) = (policy.interpreter.outcome(of: packet).effect, policy.expected(for: packet))
            guard outcome == expected else {
                Issue.record("\(packet)\n is    \(outcome)\n should \(expected)")
                return
            }
        }
    }

    @Test("a list is compiled anew where its guests' addresses change, and others come or begin to route (E3)")
    func changes() throws {
        let versions = [
            Self.estate(guests: [["10.0.0.4"]]), Self.estate(guests: [["10.0.0.5"]]),
            Self.estate(guests: [["10.0.0.5"], ["10.0.0.4"]]), Self.estate(guests: [["10.0.0.5"]]),
            Self.estate(guests: [["10.0.0.5"], ["10.0.0.4"]], routers: [0]),
            Self.estate(guests: [["10.0.0.4", "fd00::4"]]),
        ]
        var options = CompilerOptions(packetLogGroup: 5)
        options.division.fewestCells = 0
        var numbering = RuleNumbering()
        var (book, lists): (PolicyBook?, CompiledLists?)
        for (index, estate) in versions.enumerated() {
            let present = PolicyBook(estate, after: book)
            _ = numbering.assign(to: present)
            let compiler = PolicyCompiler(present, numbering: numbering, options: options)
            let output = compiler.compiled(after: lists)
            let isSame = output.wanted.ruleset == compiler.compiled().wanted.ruleset
            #expect(isSame, "version \(index)")
            (book, lists) = (present, output.lists)
        }
    }
}
