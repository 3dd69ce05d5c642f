import JSONText
import NSGConfig
import NSGModel
import NetworkTypes
import Testing

@Suite("S8, FACTS f: network managers")
struct NetworkManagerTests {
    private static let group = Documents.group
    static let networks = """
        {virtualNetworks: [{name: 'lab', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 'front', addressPrefix: '10.1.0.0/24'}]},
         {name: 'hub', addressSpace: {addressPrefixes: ['10.2.0.0/16']}}]}
        """
    private static let guid = "22222222-2222-3333-4444-555555555555"

    /// REST-shaped, everything inside the manager.
    static let nested = """
        {"networkManagers": [{"name": "nm", "id": "\(group)/networkManagers/nm", "etag": "W/1",
          "type": "Microsoft.Network/networkManagers", "properties": {"resourceGuid": "\(guid)", "provisioningState": "Succeeded",
          "networkManagerScopes": {"managementGroups": [], "subscriptions": ["/subscriptions/s"]},
          "networkManagerScopeAccesses": ["SecurityAdmin"],
          "networkGroups": [
           {"name": "apps", "properties": {"memberType": "VirtualNetwork", "staticMembers": [
             {"name": "x1", "properties": {"resourceId": "\(group)/virtualNetworks/LAB", "region": "local"}}]}},
           {"name": "all", "properties": {"staticMembers": [
             {"properties": {"resourceId": "\(group)/virtualNetworks/lab"}}, {"properties": {"resourceId": "\(group)/virtualNetworks/hub"}}]}}],
          "securityAdminConfigurations": [{"name": "c", "properties": {"description": "base",
           "applyOnNetworkIntentPolicyBasedServices": ["AllowRulesOnly"], "networkGroupAddressSpaceAggregationOption": "Manual",
           "ruleCollections": [
            {"name": "exceptions", "properties": {"appliesToGroups": [{"networkGroupId": "\(group)/networkManagers/nm/networkGroups/apps"}],
             "rules": [{"name": "ssh", "kind": "Custom", "properties": {"priority": 10, "protocol": "Tcp", "direction": "Inbound",
               "access": "AlwaysAllow", "sources": [{"addressPrefix": "198.51.100.0/24", "addressPrefixType": "IPPrefix"},
                {"addressPrefix": "Internet", "addressPrefixType": "ServiceTag"},
                {"addressPrefix": "203.0.113.0/24", "addressPrefixType": "IPPrefix"},
                {"addressPrefix": "\(group)/networkManagers/nm/networkGroups/all", "addressPrefixType": "NetworkGroup"}],
               "destinations": [{"addressPrefix": "*", "addressPrefixType": "IPPrefix"}],
               "sourcePortRanges": ["0-65535"], "destinationPortRanges": ["22", "2200-2222"], "resourceGuid": "\(guid)"}}]}},
            {"name": "base", "properties": {"appliesToGroups": [{"networkGroupId": "\(group)/networkManagers/nm/networkGroups/all"}],
             "rules": [{"name": "no-ssh", "kind": "Custom", "properties": {"priority": 4096, "protocol": "Any", "direction": "Inbound",
               "access": "Deny", "sources": [], "sourcePortRanges": [], "destinationPortRanges": ["*"],
               "destinations": [{"addressPrefix": "10.1.0.0/16", "addressPrefixType": "IPPrefix"}]}}]}}]}}]}}]}
        """

    /// As `az` prints it, with bare names.
    private static let flattened = """
        {networkManagers: [{name: 'nm', resourceGuid: '\(guid)', resourceGroup: 'lab',
          networkManagerScopes: {subscriptions: ['/subscriptions/s']},
          networkGroups: [{name: 'apps', staticMembers: ['lab']}, {name: 'all', staticMembers: [{resourceId: 'lab'}, 'hub']}],
          securityAdminConfigurations: [{name: 'c', applyOnNetworkIntentPolicyBasedServices: 'allowrulesonly', ruleCollections: [
            {name: 'exceptions', appliesToGroups: ['apps'], rules: [{name: 'ssh', kind: 'Custom', priority: 10, protocol: 'TCP',
              direction: 'inbound', access: 'alwaysallow', sources: [{addressPrefix: '198.51.100.0/24'}, {addressPrefix: 'internet'},
              {addressPrefix: '203.0.113.0/24', addressPrefixType: 'ipprefix'}, {addressPrefix: 'all', addressPrefixType: 'NetworkGroup'}],
              sourcePortRanges: ['*'], destinationPortRanges: [22, '2200-2222']}]},
            {name: 'base', appliesToGroups: [{networkGroupId: 'nm/all'}], rules: [{name: 'no-ssh', priority: '4096', protocol: 'any',
              direction: 'Inbound', access: 'Deny', destinations: [{addressPrefix: '10.1.0.0/16', addressPrefixType: 'IPPrefix'}]}]}]}]}]}
        """

    /// Each part a resource of its own: with its name, with its id, or inside another's `resources`; children before
    /// their parents.
    private static let resources = """
        {resources: [
         {type: 'Microsoft.Network/networkManagers/securityAdminConfigurations/ruleCollections/rules', name: 'nm/c/exceptions/ssh',
          kind: 'Custom', properties: {priority: 10, protocol: 'Tcp', direction: 'Inbound', access: 'AlwaysAllow',
           sources: [{addressPrefix: '198.51.100.0/24', addressPrefixType: 'IPPrefix'}, {addressPrefix: 'Internet', addressPrefixType: 'ServiceTag'},
            {addressPrefix: '203.0.113.0/24', addressPrefixType: 'IPPrefix'}, {addressPrefix: 'all', addressPrefixType: 'NetworkGroup'}],
           destinationPortRanges: ['22', '2200-2222']}},
         {type: 'Microsoft.Network/networkManagers', name: 'nm', properties: {resourceGuid: '\(guid)', networkManagerScopes: {}},
          resources: [{type: 'networkGroups', name: 'apps', properties: {}, resources: [
            {type: 'staticMembers', name: 'm', properties: {resourceId: '\(group)/virtualNetworks/lab'}}]}]},
         {type: 'Microsoft.Network/networkManagers/networkGroups', name: 'nm/all', properties: {}},
         {type: 'Microsoft.Network/networkManagers/networkGroups/staticMembers', name: 'nm/all/a', properties: {resourceId: 'lab'}},
         {id: '\(group)/networkManagers/nm/networkGroups/all/staticMembers/b', properties: {resourceId: 'hub'}},
         {type: 'Microsoft.Network/networkManagers/securityAdminConfigurations', name: 'nm/c', properties: {
          applyOnNetworkIntentPolicyBasedServices: ['AllowRulesOnly']}},
         {type: 'Microsoft.Network/networkManagers/securityAdminConfigurations/ruleCollections', name: 'nm/c/exceptions',
          properties: {appliesToGroups: [{networkGroupId: 'apps'}]}},
         {id: '\(group)/networkManagers/nm/securityAdminConfigurations/c/ruleCollections/base', name: 'base',
          properties: {appliesToGroups: [{networkGroupId: 'all'}]}},
         {id: '\(group)/networkManagers/nm/securityAdminConfigurations/c/ruleCollections/base/rules/no-ssh', name: 'no-ssh',
          kind: 'Custom', properties: {priority: 4096, protocol: 'Any', direction: 'Inbound', access: 'Deny',
          destinations: [{addressPrefix: '10.1.0.0/16', addressPrefixType: 'IPPrefix'}]}}]}
        """

    private func withoutPlaces(_ managers: [ResourceID: NetworkManager]) -> [NetworkManager] {
        managers.values.map { manager in
            var manager = manager
            for (c, configuration) in manager.configurations.enumerated() {
                for (r, collection) in configuration.collections.enumerated() {
                    for index in collection.rules.indices {
                        manager.configurations[c].collections[r].rules[index].location = nil
                    }
                }
            }
            return manager
        }
    }

    @Test("C1: nested, flattened and separate resources give one manager", arguments: [flattened, resources])
    func shapesAgree(text: String) throws {
        let expected = try load([Self.nested, Self.networks]).estate.networkManagers
        let found = try load([text, Self.networks]).estate.networkManagers
        #expect(withoutPlaces(found) == withoutPlaces(expected))
    }

    @Test("everything that is read arrives")
    func readsEverything() throws {
        let loaded = try load([Self.nested, Self.networks])
        let manager = try #require(loaded.estate.networkManagers[ResourceID("\(Self.group)/networkManagers/nm")])
        #expect(manager.guid.description == Self.guid && manager.scope == .subscription)
        let lab = ResourceID("\(Self.group)/virtualNetworks/lab")
        #expect(manager.networkGroups.map(\.members.count) == [1, 2] && manager.networkGroups[0].members == [lab])
        let configuration = try #require(manager.configurations.first)
        #expect(configuration.intentPolicyServices == .allowRulesOnly)
        let collection = try #require(configuration.collections.first)
        #expect(collection.appliesTo == [manager.networkGroups[0].id])
        let rule = try #require(collection.rules.first)
        #expect(rule.kind == .admin && rule.owner == collection.id && rule.networkManager == manager.id)
        #expect(rule.access == .alwaysAllow && rule.priority == Priority(10) && rule.protocol == .tcp)
        let prefixes = ["198.51.100.0/24", "203.0.113.0/24"].compactMap { IPPrefix($0) }
        #expect(
            rule.source
                == .either([
                    .prefixes(prefixes), .serviceTag(.internet), .networkGroup(manager.networkGroups[1].id),
                ]))
        #expect(rule.destination == .any && rule.sourcePorts == [.any])
        #expect(rule.destinationPorts == [PortRange(22), PortRange(2200...2222)])
        #expect(rule.location?.line == 14)
        let deny = try #require(configuration.collections.last?.rules.first)
        #expect(deny.source == .any && deny.protocol == .any && deny.destinationPorts == [.any])
        #expect(deny.destination == .prefixes(["10.1.0.0/16"].compactMap { IPPrefix($0) }))
        let network = try #require(loaded.estate.virtualNetworks[lab])
        #expect(loaded.estate.adminRules(in: network, .inbound).map(\.name) == ["ssh", "no-ssh"])
    }

    /// One manager with a group `g` of `members`, and a collection of `rules`.
    private static func manager(
        members: String = "['lab']", rules: [String] = [], manager: String = "", configuration: String = "",
        collection: String = "appliesToGroups: ['g']"
    ) -> String {
        """
        {networkManagers: [{name: 'nm'\(manager), networkGroups: [{name: 'g', staticMembers: \(members)}],
        securityAdminConfigurations: [{name: 'c'\(configuration), ruleCollections: [{name: 'r', \(collection), rules: [
        \(rules.joined(separator: ",\n"))]}]}]}]}
        """
    }

    private static func rule(_ name: String = "a", _ changes: [String: String] = [:]) -> String {
        var properties = [
            "kind": "'Custom'", "priority": "1", "protocol": "'Tcp'", "direction": "'Inbound'", "access": "'Deny'",
            "destinationPortRanges": "['22']",
        ]
        properties.merge(changes) { _, new in new }
        let members = properties.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
        return "{name: '\(name)', " + members.map { "\($0.key): \($0.value)" }.joined(separator: ", ") + "}"
    }

    private static func one(_ changes: [String: String]) -> String { manager(rules: [rule("a", changes)]) }

    /// A rule that takes a service of the platform away.
    private static func platform(_ changes: [String: String] = [:], tags: String...) -> String {
        let named = (tags.isEmpty ? ["AzurePlatformDNS"] : tags).map { "{addressPrefix: '\($0)'}" }
        let properties = [
            "direction": "'Outbound'", "protocol": "'Any'", "destinationPortRanges": "['*']",
            "destinations": "[\(named.joined(separator: ", "))]",
        ]
        return one(properties.merging(changes) { _, new in new })
    }

    /// A rule between prefixes.
    private static func families(_ sources: String, _ destinations: String) -> String {
        let items = { (texts: String) in
            "[" + texts.split(separator: ", ").map { "{addressPrefix: \($0)}" }.joined(separator: ", ") + "]"
        }
        return one(["sources": items(sources), "destinations": items(destinations)])
    }

    static let faulty: [(String, [String])] = [
        (one([:]), []), (one(["access": "'Permit'"]), ["UnknownValue"]), (one(["protocol": "'*'"]), ["UnknownValue"]),
        (one(["priority": "0"]), ["SecurityRuleInvalidPriority"]),
        (one(["priority": "4097"]), ["SecurityRuleInvalidPriority"]), (one(["priority": "4096"]), []),
        (one(["priority": ""]), ["MissingProperty"]),
        (one(["destinationPortRanges": "['66600']"]), ["SecurityRuleInvalidPortRange"]),
        (one(["destinationPortRanges": "'22'"]), ["WrongType"]),
        (one(["source": "[]"]), ["UnknownProperty"]), (one(["kind": "'Costum'"]), ["UnknownValue"]),
        (one(["sources": "[{addressPrefix: '10.0.0.0/42'}]"]), ["SecurityRuleInvalidAddressPrefix"]),
        (
            one(["sources": "[{addressPrefix: '10.0.0.1/8', addressPrefixType: 'IPPrefix'}]"]),
            ["SecurityRuleInvalidAddressPrefix"]
        ),
        (
            one(["sources": "[{addressPrefix: 'Internet', addressPrefixType: 'IPPrefix'}]"]),
            ["SecurityRuleInvalidAddressPrefix"]
        ),
        (
            one(["sources": "[{addressPrefix: '10.0.0.0/8', addressPrefixType: 'ServiceTag'}]"]),
            ["SecurityRuleInvalidAddressPrefix"]
        ),
        (
            one(["sources": "[{addressPrefix: 'Storag', addressPrefixType: 'ServiceTag'}]"]),
            ["SecurityRuleInvalidAddressPrefix"]
        ),
        (one(["sources": "[{addressPrefix: 'h', addressPrefixType: 'NetworkGroup'}]"]), ["UnknownReference"]),
        (one(["sources": "[{addressPrefix: 'g', addressPrefixType: 'NetworkGroup'}]"]), []),
        (one(["sources": "[{addressPrefixType: 'IPPrefix'}]"]), ["MissingProperty"]),
        (one(["sources": "['10.0.0.0/8']"]), ["WrongType"]),
        (
            one(["sources": "[{addressPrefix: '10.0.0.0/8'}, {addressPrefix: '10.1.0.4'}, {addressPrefix: 'fd00::/8'}]"]
            ), []
        ),
        (one(["protocol": "'Icmp'", "destinationPortRanges": ""]), []), (one(["protocol": "'AH'"]), []),
        (families("'10.0.0.0/8'", "'fd00::/8'"), ["ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies"]),
        (families("'10.0.0.0/8', 'fd00::/8'", "'fd00::/8'"), []), (families("'10.0.0.0/8'", "'*'"), []),
        (families("'10.0.0.0/8'", "'fd00::/8', 'Internet'"), []), (families("'0.0.0.0/0'", "'10.0.0.0/8'"), []),
        (platform(), []), (platform(["destinationPortRanges": "['0-65535']"]), []),
        (platform(tags: "azureplatformlkm"), []),
        (platform(["access": "'Allow'"]), ["SecurityRuleInvalidAccessType"]),
        (platform(["access": "'AlwaysAllow'"]), ["SecurityRuleInvalidAccessType"]),
        (platform(["direction": "'Inbound'"]), ["SecurityRuleInvalidPlatformTag"]),
        (platform(["protocol": "'Udp'"]), ["SecurityRuleInvalidPlatformTag"]),
        (platform(["destinationPortRanges": "['53']"]), ["SecurityRuleInvalidPlatformTag"]),
        (platform(tags: "AzurePlatformIMDS", "Internet"), ["SecurityRuleInvalidPlatformTag"]),
        (platform(tags: "Internet", "AzurePlatformDNS", "*"), ["SecurityRuleInvalidPlatformTag"]),
        (
            platform(["destinations": "", "sources": "[{addressPrefix: 'AzurePlatformDNS'}]"]),
            ["SecurityRuleInvalidPlatformTag"]
        ),
        (
            one(["kind": "'Default'", "flag": "'AllowVnetInbound'", "access": "", "protocol": "", "priority": ""]),
            ["UnknownValue"]
        ),
        (one(["kind": "'Default'", "flag": "'AllowVnetInbound'"]), []),
        (manager(rules: [rule("a"), rule("b")]), ["SecurityRuleConflict"]),
        (manager(rules: [rule("a"), rule("b", ["direction": "'Outbound'"])]), ["SecurityRuleConflict"]),
        (manager(rules: [rule("a"), rule("A", ["priority": "2"])]), ["DuplicateResourceName"]),
        (manager(members: "['lob']"), ["UnknownReference"]),
        (manager(members: "['lab/front']"), ["NetworkGroupMemberIsNoVirtualNetwork"]),
        (
            manager(members: "[{resourceId: '\(group)/virtualNetworks/lab/subnets/front'}]"),
            ["NetworkGroupMemberIsNoVirtualNetwork"]
        ),
        (
            manager(members: "['\(group)/virtualNetworks/elsewhere/subnets/s']"),
            ["NetworkGroupMemberIsNoVirtualNetwork"]
        ),
        (manager(members: "[{name: 'x'}]"), ["MissingProperty"]),
        (manager(collection: "appliesToGroups: ['h']"), ["UnknownReference"]),
        (manager(collection: "description: ''"), ["MissingProperty"]),
        (
            manager(
                members: "['lab']}, {name: 's', memberType: 'Subnet', staticMembers: ['lab/front']",
                collection: "appliesToGroups: ['s']"), ["NetworkGroupMemberIsNoVirtualNetwork"]
        ),
        (
            manager(configuration: ", applyOnNetworkIntentPolicyBasedServices: ['Nothing']"), ["UnknownValue"]
        ),
        (
            manager(configuration: ", applyOnNetworkIntentPolicyBasedServices: ['None', 'All']"),
            ["ConflictingProperties"]
        ),
        (manager(manager: ", networkGruops: []"), ["UnknownProperty"]),
        ("{networkGroups: [{name: 'g'}]}", ["UnknownResourceKind"]),
        (
            "[{type: 'Microsoft.Network/networkManagers/networkGroups', name: 'nm/g'}]", ["UnknownReference"]
        ),
        ("[{type: 'Microsoft.Network/networkManagers/networkGroups', name: 'g'}]", ["MissingProperty"]),
    ]

    @Test("C5: what admin rules may say", arguments: faulty)
    func refuses(text: String, codes: [String]) {
        let found = faults([text, Self.networks])
        #expect(found.map(\.code) == codes, "\(found.map(\.description))")
    }

    @Test("a group is one of the same manager")
    func otherManager() {
        let two = """
            {networkManagers: [{name: 'a', networkGroups: [{name: 'g', staticMembers: ['lab']}]}, {name: 'b', networkGroups: [
              {name: 'g', staticMembers: ['hub']}, {name: 'h', staticMembers: ['hub']}], securityAdminConfigurations: [{name: 'c',
              ruleCollections: [{name: 'r', appliesToGroups: ['GROUP']}]}]}]}
            """
        #expect(faults([two.replacing("GROUP", with: "g"), Self.networks]) == [], "one's own goes first")
        let codes = faults([two.replacing("GROUP", with: "a/g"), Self.networks]).map(\.code)
        #expect(codes == ["UnknownReference"])
    }

    @Test("scopes, members elsewhere, several configurations, membership by policy: notes")
    func notes() throws {
        let elsewhere = "\(Self.group)/virtualNetworks/elsewhere"
        let loaded = try load(
            [
                """
                {networkManagers: [{name: 'nm', networkManagerScopes: {managementGroups: ['/providers/x'], subscriptions: ['/y']},
                  networkGroups: [{name: 'g', staticMembers: ['lab', '\(elsewhere)']}, {name: 'p', conditionalMembership: '{}'}],
                  securityAdminConfigurations: [{name: 'c'}, {name: 'd', ruleCollections: [{name: 'r', appliesToGroups: []}]}]}]}
                """, Self.networks,
            ])
        let manager = try #require(loaded.estate.networkManagers.values.first)
        #expect(manager.scope == .managementGroup)
        #expect(manager.networkGroups.first?.members.contains(ResourceID(elsewhere)) == true)
        for part in ["in no document", "taken for committed", "by policy", "applies to no network group"] {
            #expect(loaded.notes.contains { $0.contains(part) }, "\(part): \(loaded.notes)")
        }
    }

    @Test("FACTS a4: prefixes of all admin rules together")
    func limit() {
        let sources = "[{addressPrefix: '10.0.0.0/24'}, {addressPrefix: '10.0.1.0/24'}, {addressPrefix: '*'}]"
        let text = Self.manager(rules: [
            Self.rule("a", ["sources": sources]), Self.rule("b", ["sources": sources, "priority": "2"]),
        ])
        func found(_ limit: Int) -> [Fault] {
            faults([text, Self.networks], settings: "{limits: {adminRulePrefixes: \(limit)}}")
        }
        #expect(found(4) == [])
        #expect(found(3).map(\.code) == ["LimitReached"])
        #expect(found(3).first?.line == 4, "at the rule that is one too many")
    }
}
