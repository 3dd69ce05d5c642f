import NSGCompiler
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

/// Admin rules that list several items on a side (S8).
@Suite struct RuleAlternativeTests {
    private static let tag = ServiceTag("Lab.Storage")

    /// A guest under one admin rule of inbound UDP.
    private static func estate(
        from source: AddressScope, to destination: AddressScope = .any, tagged numbers: some Sequence<Int> = 0..<2
    ) -> Estate {
        var estate = Estate.large(rules: 0, isRouter: false)
        // In each of the small tags, and in none: a destination that all packets have is not asked for.
        let addresses = (0..<6).map { "10.0.\($0).4" } + ["192.0.2.200"]
        for id in estate.networkInterfaces.keys {
            guard let place = estate.networkInterfaces[id]?.ipConfigurations.first else { continue }
            estate.networkInterfaces[id]?.ipConfigurations = addresses.map { address in
                var configuration = place
                (configuration.name, configuration.address) = (address, IPAddress(address))
                return configuration
            }
        }
        let manager = testID("networkManagers", "m")
        let group = manager.child("networkGroups", "g")
        let configuration = manager.child("securityAdminConfigurations", "c")
        let collection = configuration.child("ruleCollections", "r")
        let rule = SecurityRule(
            id: collection.child("rules", "several"), owner: collection, name: "several", protocol: .udp,
            source: source, sourcePorts: [.any], destination: destination, destinationPorts: [.any], access: .deny,
            priority: Priority(1), direction: .inbound, kind: .admin)
        estate.networkManagers[manager] = NetworkManager(
            id: manager, guid: UUID(named: "m"),
            networkGroups: [NetworkGroup(id: group, members: Set(estate.virtualNetworks.keys))],
            configurations: [
                SecurityAdminConfiguration(
                    id: configuration,
                    collections: [AdminRuleCollection(id: collection, appliesTo: [group], rules: [rule])])
            ])
        estate.serviceTags[tag.key] = numbers.compactMap {
            IPPrefix(.v4(IPv4Address(0xc633_0000 + UInt32($0) << 5)), length: 28)
        }
        estate.serviceTagNames[tag.key] = tag.description
        for number in 0..<6 {
            // More than fit a row of comparisons: a set of its own.
            let more = (0..<128).map { "198.19.\(number).\($0 * 2)/32" }
            estate.serviceTags[Self.small(number).key] = (["10.0.\(number).0/25", "198.18.\(number).0/28"] + more)
                .compactMap { IPPrefix($0) }
        }
        return estate
    }

    private static func small(_ number: Int) -> ServiceTag { ServiceTag("Lab.Small\(number)") }

    /// Tags, the last of them once more, and prefixes at two places; the prefixes are one alternative.
    private static func items(_ tags: Int, prefixes: Bool) -> AddressScope {
        let named = (0..<tags).map { AddressScope.serviceTag(small($0)) }
        let parts = ["192.0.2.0/25", "10.0.3.64/26"].compactMap { IPPrefix($0) }.map { AddressScope.prefixes([$0]) }
        return .either((prefixes ? [parts[0]] : []) + named + named.suffix(1) + (prefixes ? [parts[1]] : []))
    }

    /// Those that lead to what the rule does.
    private static func rules(of policy: CompiledPolicy) -> [Rule] {
        policy.ruleset.chains.values.flatMap(\.rules).filter { rule in
            rule.steps.contains { step in
                if case .verdict(.goto(let chain)) = step {
                    chain.description.contains("/rule/several.")
                } else {
                    false
                }
            }
        }
    }

    @Test(
        "one look-up an alternative, up to 16; beyond that the union; the same packets either way (S8, E2)",
        arguments: [(1, false, 1), (1, true, 3), (4, false, 16), (3, true, 20), (4, true, 1), (5, false, 1)])
    func alternatives(tags: Int, prefixes: Bool, count: Int) {
        let items = Self.items(tags, prefixes: prefixes)
        let destination: AddressScope = tags == 1 ? .any : Self.items(4, prefixes: false)
        let estate = Self.estate(from: items, to: destination)
        let policy = CompiledPolicy(estate)
        #expect(Self.rules(of: policy).count == count)
        let edges = FlowEdges(of: estate)
        var random = SplitMix64(seed: 21)
        for _ in 0..<400 {
            let packet = policy.packet(near: edges, using: &random)
            #expect(policy.interpreter.outcome(of: packet).effect == policy.expected(for: packet), "\(packet)")
        }
    }

    @Test("an update of a tag among other items sends its differences (S10, E3)")
    func tagUpdate() throws {
        let items =
            [.serviceTag(Self.tag)]
            + ["192.0.2.0/25", "203.0.113.0/26"].compactMap { IPPrefix($0) }.map {
                AddressScope.prefixes([$0])
            }
        let old = CompiledPolicy(Self.estate(from: .either(items), tagged: 0..<400))
        let new = CompiledPolicy(
            Self.estate(from: .either(items), tagged: (0..<400).filter { $0 != 7 } + [500]), numbering: old.numbering)
        var ruleset = Ruleset(table: old.ruleset.table)
        let first = Change(from: nil, to: old.ruleset)
        try ruleset.apply(first.skeleton + first.build + first.swap + first.sweep)
        let change = Change(from: ruleset, to: new.ruleset)
        #expect(
            change.build.map(\.description) == [
                "delete element tag/Lab.Storage.v4.b { 198.51.0.224/28 }",
                "add element tag/Lab.Storage.v4.b { 198.51.62.128/28 }",
            ])
        #expect(change.skeleton.isEmpty && change.swap.count == 1 && change.sweep.count == 2)
        try ruleset.apply(change.build + change.swap + change.sweep)
        #expect(Change(from: ruleset, to: new.ruleset).isEmpty)
    }
}
