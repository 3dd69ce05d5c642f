import NSGCompiler
import NSGConfig
import NSGEngine
import NetworkTypes
import Nftables
import NftablesKernel
import TestSupport
import Testing

/// Compiled policies, not sample rules, through the kernel and back.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own"))
struct CompiledRulesetTests {
    /// A policy of two interfaces, ranges of both families, groups and lists; `port` is what changes from one reload to
    /// the next.
    private static func ruleset(port: Int, salt: String = "") throws -> Ruleset {
        let policy = """
            [{name: "web", type: "Microsoft.Network/networkSecurityGroups", securityRules: [
                {name: "https", protocol: "Tcp", access: "Allow", direction: "Inbound", priority: 100, sourcePortRange: "*",
                 destinationPortRanges: ["\(port)", "8000-8010"], sourceAddressPrefix: "Internet",
                 destinationApplicationSecurityGroups: ["web"]},
                {name: "v6", protocol: "*", access: "Deny", direction: "Inbound", priority: 110, sourcePortRange: "*",
                 destinationPortRange: "*", sourceAddressPrefixes: ["2001:db8::/32", "2001:db9::1"], destinationAddressPrefix: "*"},
                {name: "ping", protocol: "Icmp", access: "Allow", direction: "Inbound", priority: 120, sourcePortRange: "*",
                 destinationPortRange: "*", sourceAddressPrefixes: ["198.51.100.0/24", "203.0.113.7"], destinationAddressPrefix: "*"},
                {name: "peers", protocol: "Udp", access: "Deny", direction: "Outbound", priority: 100,
                 sourcePortRange: "1024-65535", destinationPortRange: "*", sourceAddressPrefix: "VirtualNetwork",
                 destinationAddressPrefixes: ["203.0.113.0/24", "198.51.100.7/32", "255.255.255.0/24"]}]},
             {name: "lab", type: "Microsoft.Network/virtualNetworks",
              addressSpace: {addressPrefixes: ["10.1.0.0/16", "fd00:1::/48"]},
              subnets: [{name: "front", addressPrefixes: ["10.1.0.0/24", "fd00:1::/64"], networkSecurityGroup: "web"}]},
             {name: "web", type: "Microsoft.Network/applicationSecurityGroups"},
             {name: "web1", type: "Microsoft.Network/networkInterfaces", enableIpForwarding: true, networkSecurityGroup: "web",
              ipConfigurations: [{name: "first", primary: true, privateIpAddress: "10.1.0.4", subnet: {id: "lab/front"},
                applicationSecurityGroups: ["web"]}]},
             {name: "db1", type: "Microsoft.Network/networkInterfaces",
              ipConfigurations: [{name: "first", primary: true, privateIpAddress: "10.1.0.5", subnet: {id: "lab/front"}}]}]
            """
        let bindings = """
            {"networkInterfaces": {"web1": {"interface": "veth-web1", "attachment": "guest"},
                                   "db1": {"interface": "veth-db1", "attachment": "guest"}}}
            """
        let sources = ConfigurationSources(
            policies: [SourceText(name: "policy.d/lab.json", text: policy)],
            bindings: SourceText(name: "bindings.json", text: bindings))
        let configuration = try configuration(from: sources)
        return try #require(Policy(configuration, numbering: RuleNumbering(), salt: salt)).ruleset
    }

    @Test("what the compiler makes is what is read back, through first load, reload and return (E1, E3)")
    func appliesPolicies() throws {
        let store = try KernelRulesetStore()
        var enforcement = Enforcement(store: store)
        for port in [443, 443, 444, 443] {
            let wanted = try Self.ruleset(port: port)
            let before = try store.dump(table: wanted.table).ruleset
            let summary = try enforcement.apply(wanted)
            let isThere = Change(from: before, to: wanted).isEmpty
            #expect(summary.isUnchanged == isThere)
            _ = try enforcement.sweep(keeping: wanted)
            let dumped = try store.dump(table: wanted.table).ruleset
            // A chain that was edited keeps the name of the content it was built with.
            let isInForce = Change(from: dumped, to: wanted).isEmpty
            #expect(isInForce, "\(NftablesKernelTests.difference(dumped, wanted))")
        }
        try enforcement.removeTable(Self.ruleset(port: 443).table)
    }

    @Test("nft lists a compiled policy as it prints itself, and loads the print")
    func nftAgreesWithPrint() throws {
        let store = try KernelRulesetStore()
        var wanted = try Self.ruleset(port: 443)
        wanted.table = "compiled"
        var enforcement = Enforcement(store: store)
        _ = try enforcement.apply(wanted)
        let listed = try NftablesKernelTests.blocks(of: run(["nft", "list", "table", "inet", "compiled"]))
        let printed = NftablesKernelTests.blocks(of: wanted.description)
        #expect(Set(listed.keys) == Set(printed.keys))
        for (header, text) in printed {
            let theirs = NftablesKernelTests.ordered(listed[header] ?? "")
            #expect(theirs == NftablesKernelTests.ordered(text), "\(header)")
        }

        wanted.table = "printed"
        try run(["nft", "-f", "-"], input: wanted.description)
        // nft moves the matches that others imply and loads adjacent ports at once, so that expressions differ; its
        // list does not.
        let dumped = try #require(try store.dump(table: "printed").ruleset)
        let isSame = dumped.sets == wanted.sets && dumped.counters == wanted.counters
        #expect(isSame, "\(NftablesKernelTests.difference(dumped, wanted))")
        let reloaded = try NftablesKernelTests.blocks(of: run(["nft", "list", "table", "inet", "printed"]))
        for (header, text) in listed {
            #expect(
                NftablesKernelTests.ordered(reloaded[header] ?? "") == NftablesKernelTests.ordered(text), "\(header)")
        }
        for table in ["compiled", "printed"] { _ = try store.commit([.deleteTable], table: table, expecting: nil) }
    }
}
