import JSONText
import NSGConfig
import NSGModel
import NetworkTypes
import Testing

@Suite("C2: references, and what holds between resources")
struct ReferenceTests {
    private static func interface(
        _ name: String, _ changes: String = "", address: String = "10.1.0.4", subnet: String = "lab/front"
    ) -> String {
        "{name: '\(name)', ipConfigurations: [{name: 'a', privateIPAddress: '\(address)', subnet: '\(subnet)'\(changes)}]}"
    }

    private static let network = """
        {name: 'lab', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 'front', addressPrefix: '10.1.0.0/24'}]}
        """
    private static let other = """
        {name: 'dmz', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 'edge', addressPrefix: '10.1.0.0/24'}]}
        """

    private static func policy(_ interfaces: [String], more: String = "") -> String {
        "{virtualNetworks: [\(network), \(other)], networkInterfaces: [\(interfaces.joined(separator: ", "))]\(more)}"
    }

    @Test("a name that fits several is refused with the candidates; the id is taken")
    func ambiguity() throws {
        let groups = ["g1", "g2"].map { "{name: 'web', resourceGroup: '\($0)'}" }.joined(separator: ", ")
        func text(_ reference: String) -> String {
            Self.policy([], more: ", networkSecurityGroups: [\(groups)]").replacing(
                "addressPrefix: '10.1.0.0/24'}]}, ",
                with: "addressPrefix: '10.1.0.0/24', networkSecurityGroup: '\(reference)'}]}, ")
        }
        let fault = try #require(faults([text("web")]).first)
        #expect(fault.code == "AmbiguousReference")
        #expect(fault.path.description == "virtualNetworks[0].subnets[0].networkSecurityGroup")
        #expect(fault.message.contains("/resourceGroups/g1/") && fault.message.contains("/resourceGroups/g2/"))
        let id =
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/G2/providers/microsoft.network/networksecuritygroups/WEB"
        #expect(faults([text(id)]) == [])
    }

    @Test("a name or id that fits none is refused with the candidates")
    func unknown() throws {
        let fault = try #require(faults([Self.policy([Self.interface("n1", subnet: "lab/frnt")])]).first)
        #expect(fault.code == "UnknownReference")
        #expect(fault.remedy.contains("lab/front"))
        let elsewhere =
            "/subscriptions/x/resourceGroups/y/providers/Microsoft.Network/virtualNetworks/lab/subnets/front"
        let second = try #require(faults([Self.policy([Self.interface("n1", subnet: elsewhere)])]).first)
        #expect(second.code == "UnknownReference" && second.remedy.contains("/virtualNetworks/lab/subnets/front"))
    }

    @Test("a resource is defined once")
    func duplicates() {
        let text = #"{"networkSecurityGroups": [{"name": "web"}]}"#
        let found = faults([
            text,
            text.uppercased().replacing("NETWORKSECURITYGROUPS", with: "networkSecurityGroups").replacing(
                "NAME", with: "name"),
        ])
        #expect(found.map(\.code) == ["DuplicateResource"])
        #expect(found.first?.message.contains("policy.d/0.json:1") == true)
    }

    static let between: [(String, [String])] = [
        (policy([interface("a"), interface("b")]), ["PrivateIPAddressInUse"]),
        (policy([interface("a"), interface("b", subnet: "dmz/edge")]), []),
        (policy([interface("a", address: "10.1.1.4")]), ["PrivateIPAddressNotInSubnet"]),
        (policy([interface("a", address: "10.1.0.400")]), ["UnknownValue"]),
        (policy([interface("a", ", privateIPAddressVersion: 'IPv6'")]), ["ConflictingProperties"]),
        (policy([interface("a", ", aplicationSecurityGroups: []")]), ["UnknownProperty"]),
        (policy([interface("a", ", someNewThing: 1")]), []),
        (
            policy(["{name: 'a', ipConfigurations: [{name: 'x', subnet: 'front'}, {name: 'y', subnet: 'edge'}]}"]),
            ["NetworkInterfaceInSeveralVirtualNetworks"]
        ),
        (policy(["{name: 'a', ipConfigurations: [{name: 'x', subnet: 'front'}, {name: 'y', subnet: 'front'}]}"]), []),
        (policy([interface("a", ", applicationSecurityGroups: null, virtualMachine: null")]), []),
        (
            policy(
                [],
                more:
                    ", networkSecurityGroups: [{name: 'w', subnets: [{id: '/gone'}], networkInterfaces: [{id: '/gone'}]}]"
            ), []
        ),
        (
            """
            {virtualNetworks: [{name: 'v', addressSpace: {addressPrefixes: ['10.1.0.0/16', 'fd00:1::/48', '172.16.0.0/12']}, subnets: [
              {name: 's', addressPrefixes: ['10.1.0.0/24', '172.16.9.0/24', 'fd00:1::/64']}]}], networkInterfaces: [{name: 'n',
             ipConfigurations: [{name: 'a', subnet: 's', privateIPAddress: '172.16.9.4'}, {name: 'b', subnet: 's', privateIPAddress: '10.1.0.4'},
              {name: 'c', subnet: 's', privateIPAddress: 'fd00:1::4', privateIPAddressVersion: 'IPv6'}]}]}
            """, []
        ),
        (policy(["{name: 'a', ipConfigurations: []}"]), ["MissingProperty"]),
        (policy(["{name: 'a', ipConfigurations: [{name: 'x'}]}"]), ["MissingProperty"]),
        (
            policy(
                [
                    interface("a", ", applicationSecurityGroups: ['g']"),
                    interface("b", ", applicationSecurityGroups: ['g']", subnet: "dmz/edge"),
                ], more: ", applicationSecurityGroups: [{name: 'g'}]"),
            ["ApplicationSecurityGroupMembersInSeveralVirtualNetworks"]
        ),
        (
            policy(
                [
                    interface("a", ", applicationSecurityGroups: ['g']"),
                    interface("b", ", applicationSecurityGroups: ['h']", subnet: "dmz/edge"),
                ],
                more: """
                    , applicationSecurityGroups: [{name: 'g'}, {name: 'h'}], networkSecurityGroups: [{name: 'n', securityRules: [
                      {name: 'r', protocol: '*', access: 'Allow', direction: 'Inbound', priority: 100, sourcePortRange: '*',
                       destinationPortRange: '*', sourceApplicationSecurityGroups: ['g'], destinationApplicationSecurityGroups: ['h']}]}]
                    """), ["AllApplicationSecurityGroupsInSecurityRuleMustBeFromSameVnet"]
        ),
        ("{virtualNetworks: [{name: 'v', addressSpace: {addressPrefixes: ['10.1.0.1/16']}}]}", ["InvalidCIDRNotation"]),
        (
            "{virtualNetworks: [{name: 'v', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 's', addressPrefix: '10.2.0.0/24'}]}]}",
            ["NetcfgInvalidSubnet"]
        ),
        (
            """
            {virtualNetworks: [{name: 'v', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [
              {name: 's', addressPrefix: '10.1.0.0/24'}, {name: 't', addressPrefixes: ['10.1.0.128/25']}]}]}
            """, ["NetcfgSubnetRangesOverlap"]
        ),
        (
            "{virtualNetworks: [{name: 'v', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, flowTimeoutInMinutes: 31}]}",
            ["OutOfRange"]
        ),
        ("{networkSecurityGruops: []}", ["UnknownProperty"]),
        ("{name: 'web', securityRules: []}", ["UnknownResourceKind"]),
        ("[{name: 'web'}]", ["UnknownResourceKind"]),
        (
            "{networkSecurityGroups: [{name: 'a', type: 'Microsoft.Network/virtualNetworks'}]}",
            ["ConflictingProperties"]
        ),
        ("{networkSecurityGroups: [{name: 'a', id: '/nonsense'}]}", ["InvalidResourceId"]),
        ("{networkSecurityGroups: [{name: 'a', securityRule: []}]}", ["UnknownProperty"]),
        ("{networkSecurityGroups: [{name: 'a', resourceGuid: 'x'}]}", ["UnknownValue"]),
        ("{networkSecurityGroups: 7}", ["WrongType"]),
        ("{flowLogs: [{name: 'f', targetResourceId: 'nothing'}]}", ["UnknownReference"]),
        (
            """
            {networkSecurityGroups: [{name: 'a'}], flowLogs: [{name: 'f', targetResourceId: 'a',
              flowAnalyticsConfiguration: {networkWatcherFlowAnalyticsConfiguration: {trafficAnalyticsInterval: 30}}}]}
            """, ["UnknownValue"]
        ),
        ("{networkSecurityGroups: [{name: \"[parameters('n')]\"}]}", ["TemplateExpression"]),
        ("", ["InvalidJSON"]), ("{", ["InvalidJSON"]), ("7", ["WrongType"]),
    ]

    @Test("what holds between resources", arguments: between)
    func holds(text: String, codes: [String]) {
        #expect(faults([text]).map(\.code) == codes, "\(faults([text]).map(\.description))")
    }

    @Test("C4: one run reports every fault of every file, sorted")
    func reportsAll() {
        let first = Documents.securityGroup([
            Documents.rule("a", ["priority": "5", "protocol": "\"Http\""]),
            Documents.rule("b", ["sourceAddressPrefix": "\"10.0.0.1/8\""]),
        ])
        let second = Self.policy([Self.interface("n", address: "10.9.9.9")])
        let found = faults(
            [second, first], bindings: "{networkInterfaces: {zzz: {interface: 'v0', attachment: 'guest'}}}")
        #expect(
            found.map { "\($0.file):\($0.line) \($0.code)" } == [
                "bindings.json:1 UnknownReference", "policy.d/0.json:1 PrivateIPAddressNotInSubnet",
                "policy.d/1.json:2 SecurityRuleInvalidPriority", "policy.d/1.json:2 UnknownValue",
                "policy.d/1.json:3 SecurityRuleInvalidAddressPrefix",
            ])
        #expect(
            found[2].description == """
                policy.d/1.json: networkSecurityGroups[0].properties.securityRules[0].properties.priority: \
                SecurityRuleInvalidPriority: Security rule has invalid Priority. Value provided: 5 Allowed range 100-4096; \
                choose a number of that range that no other rule of the direction has
                """)
    }

    @Test("C4: a fault as JSON")
    func json() {
        let fault = Fault.unreadableFile("policy.d/a.json", reason: "permission denied")
        #expect(
            fault.json.text() == #"{"file":"policy.d/a.json","line":0,"path":"$","code":"UnreadableFile","#
                + #""message":"permission denied","remedy":"make the file readable to nsgd, or remove it"}"#)
    }

    @Test("an unreadable file is one fault, not one more for each name it would have defined")
    func partial() {
        #expect(faults(["{", Self.policy([Self.interface("n", subnet: "gone/gone")])]).map(\.code) == ["InvalidJSON"])
    }

    @Test("a peer's space stands in the document, or is looked up")
    func peerings() throws {
        func text(_ peering: String) -> String {
            """
            {virtualNetworks: [{name: 'lab', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, virtualNetworkPeerings: [\(peering)]},
             {name: 'hub', addressSpace: {addressPrefixes: ['10.2.0.0/16']}}]}
            """
        }
        let estate = try load([text("{name: 'p', remoteVirtualNetwork: 'hub'}")]).estate
        let lab = try #require(estate.virtualNetworks.values.first { $0.name == "lab" })
        #expect(lab.peerings.flatMap(\.remotePrefixes).map(\.description) == ["10.2.0.0/16"])
        let closed = try load([text("{name: 'p', remoteVirtualNetwork: 'hub', peeringState: 'Disconnected'}")]).estate
        #expect(closed.virtualNetworks.values.flatMap(\.peerings).map(\.isOpen) == [false])
        #expect(faults([text("{name: 'p', remoteVirtualNetwork: 'hob'}")]).map(\.code) == ["UnknownReference"])
    }
}
