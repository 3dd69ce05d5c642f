import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// Guests that come and go among many (S13, E1, E3).
@Suite struct GuestChangeTests {
    @Test("one guest more or less sends as few messages beside 200 guests as beside 50")
    func oneGuest() throws {
        var messages: [Int] = []
        for counts in [(50, 51), (51, 50), (200, 201), (201, 200)] {
            let old = CompiledPolicy(.guests(counts.0))
            let new = CompiledPolicy(.guests(counts.1), numbering: old.numbering)
            var ruleset = Ruleset(table: old.ruleset.table)
            try ruleset.apply(Change(from: nil, to: old.ruleset))
            let change = Change(from: ruleset, to: new.ruleset)
            #expect(change.skeleton.isEmpty && change.swap.count <= 24, "\(counts): \(change.swap.count)")
            messages.append(change.build.count + change.swap.count + change.sweep.count)
            try ruleset.apply(change)
            #expect(Change(from: ruleset, to: new.ruleset).isEmpty, "\(counts)")
        }
        #expect(messages[2] <= messages[0] && messages[3] <= messages[1], "\(messages)")
    }

    @Test(
        "among 200 guests each gets what is for it and sends as itself; the rest is dropped and counted at its device")
    func addresses() throws {
        let policy = CompiledPolicy(.guests(200))
        for (device, number) in [(0, 0), (0, 1), (128, 128), (128, 199), (199, 199), (199, 200)] {
            for own in [IPAddress.guest(number, .ipv4), .guest(number, .ipv6)] {
                let other = try #require(IPAddress(own.family == .ipv4 ? "203.0.113.9" : "2001:db8:7::9"))
                let packets = [
                    TestPacket(.forward, from: "other0", to: "guest\(device)", .udp((other, own), 5000, 53)),
                    TestPacket(.forward, from: "guest\(device)", to: "other0", .udp((own, other), 5000, 53)),
                ]
                for packet in packets {
                    let outcome = policy.interpreter.outcome(of: packet)
                    #expect(outcome.effect == policy.expected(for: packet), "\(packet)")
                    #expect(outcome.verdict == (device == number ? .accept : .drop), "\(packet)")
                }
            }
        }
    }
}

extension Ruleset {
    /// All of a change, in its order.
    fileprivate mutating func apply(_ change: Change) throws {
        for part in [change.skeleton, change.build, change.swap, change.sweep] { try apply(part) }
    }
}

extension IPAddress {
    fileprivate static func guest(_ number: Int, _ family: IPFamily) -> IPAddress {
        family == .ipv4
            ? .v4(IPv4Address(0x0a00_0004 + UInt32(number))) : .v6(IPv6Address(0xfd << 120 | UInt128(number + 4)))
    }
}

extension Estate {
    /// Guests without rules, each with an address of either family.
    fileprivate static func guests(_ count: Int) -> Estate {
        let network = testID("virtualNetworks", "lab")
        let prefixes = ["10.0.0.0/16", "fd00::/64"].compactMap { IPPrefix($0) }
        let subnet = Subnet(id: network.child("subnets", "s"), prefixes: prefixes)
        let interfaces = (0..<count).map { number in
            NetworkInterface(
                id: testID("networkInterfaces", "guest\(number)"), networkSecurityGroup: nil,
                ipConfigurations: [IPFamily.ipv4, .ipv6].map { family in
                    IPConfiguration(name: "\(family)", address: .guest(number, family), subnet: subnet.id)
                })
        }
        return Estate(
            virtualNetworks: [
                network: VirtualNetwork(
                    id: network, guid: UUID(named: "lab"), addressSpace: prefixes, subnets: [subnet])
            ],
            networkInterfaces: Dictionary(uniqueKeysWithValues: interfaces.map { ($0.id, $0) }),
            bindings: interfaces.map { Binding(networkInterface: $0.id, device: $0.name, attachment: .guest) })
    }
}
