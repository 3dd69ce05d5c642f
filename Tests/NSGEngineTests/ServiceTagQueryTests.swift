import JSONText
import NSGCompiler
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import Testing

/// K3: `service-tags update`, `show` and `lookup`.
@Suite struct ServiceTagQueryTests {
    /// Tags with their prefixes.
    private static func file(_ number: Int?, cloud: String = "Public", _ tags: [(String, [String])]) -> String {
        let values = tags.map { name, prefixes -> JSONValue in
            [
                "name": JSONValue(name),
                "properties": [
                    "changeNumber": 1, "addressPrefixes": JSONValue(prefixes.map { JSONValue($0) }),
                    "networkFeatures": ["NSG"],
                ],
            ]
        }
        var members: [(String, JSONValue)] = [("cloud", JSONValue(cloud)), ("values", JSONValue(values))]
        if let number { members.append(("changeNumber", JSONValue(number))) }
        return JSONValue(object: members).text()
    }

    private static let tags: [(String, [String])] = [
        ("Lab", ["203.0.113.0/24", "2001:db8::/32"]), ("Lab.West", ["203.0.113.0/26", "203.0.113.64/26"]),
        ("Other", ["198.51.100.0/24"]),
    ]

    private static let policy = """
        {networkSecurityGroups: [{name: 'g', properties: {securityRules: [
           {name: 'a', properties: {priority: 100, direction: 'Outbound', access: 'Allow', protocol: 'Tcp',
             sourcePortRange: '*', destinationPortRange: '443', sourceAddressPrefix: '*',
             destinationAddressPrefix: 'lab.WEST'}},
           {name: 'b', properties: {priority: 101, direction: 'Outbound', access: 'Allow', protocol: 'Udp',
             sourcePortRange: '*', destinationPortRange: '443', sourceAddressPrefix: '*',
             destinationAddressPrefix: 'Lab.West'}},
           {name: 'c', properties: {priority: 102, direction: 'Inbound', access: 'Deny', protocol: '*',
             sourcePortRange: '*', destinationPortRange: '*', sourceAddressPrefix: 'VIRTUAL_NETWORK',
             destinationAddressPrefix: 'own'}}]}}],
         virtualNetworks: [
           {name: 'one', properties: {addressSpace: {addressPrefixes: ['10.1.0.0/16']},
             subnets: [{name: 's', properties: {addressPrefix: '10.1.0.0/24', networkSecurityGroup: 'g'}}]}},
           {name: 'two', properties: {addressSpace: {addressPrefixes: ['10.0.0.0/8']}, subnets: []}}],
         networkInterfaces: [{name: 'n', properties: {ipConfigurations: [
           {name: 'i', properties: {privateIPAddress: '10.1.0.4', subnet: 'one/s'}}]}}]}
        """

    private static func configuration(_ tags: String = file(5, Self.tags)) throws -> Configuration {
        try NSGConfig.configuration(
            from: ConfigurationSources(
                settings: SourceText(name: "nsgd.json", text: "{serviceTags: {Own: ['203.0.113.7']}}"),
                policies: [SourceText(name: "policy.d/p.json", text: policy)],
                bindings: SourceText(
                    name: "bindings.json", text: "{networkInterfaces: {n: {interface: 'e', attachment: 'guest'}}}"),
                serviceTags: SourceText(name: "service-tags.json", text: tags)))
    }

    private static func update(
        from old: String?, to new: String, _ configuration: Configuration? = nil
    ) throws -> ServiceTagUpdate {
        func read(_ text: String) throws -> ServiceTagFile { try ServiceTagFile(SourceText(name: "t", text: text)) }
        return ServiceTagUpdate(from: try old.map(read), to: try read(new), configuration)
    }

    @Test("what a file changes, and what of it is in use")
    func difference() throws {
        let next = Self.file(
            6,
            [
                ("Lab", ["2001:db8::/32", "203.0.113.0/24"]), ("Lab.West", ["203.0.113.0/26", "203.0.113.128/26"]),
                ("Third", ["192.0.2.0/24"]), ("Own", ["192.0.2.0/24"]),
            ])
        let update = try Self.update(from: Self.file(5, Self.tags), to: next, Self.configuration())
        #expect(update.previousChangeNumber == 5 && update.changeNumber == 6)
        #expect(update.added == ["Own", "Third"] && update.removed == ["Other"] && update.changed == ["Lab.West"])
        #expect(update.prefixesAdded == 3 && update.prefixesRemoved == 2)
        // Own is named by a rule, which means the setting.
        #expect(update.inUse == ["Lab.West"] && update.warnings.isEmpty)
    }

    @Test("an older file and one of another cloud are taken with a warning; a first one without")
    func warnings() throws {
        let present = Self.file(5, Self.tags)
        #expect(try Self.update(from: present, to: Self.file(4, Self.tags)).warnings.count == 1)
        #expect(try Self.update(from: present, to: Self.file(1, cloud: "China", Self.tags)).warnings.count == 1)
        #expect(try Self.update(from: present, to: Self.file(nil, Self.tags)).warnings.isEmpty)
        #expect(try Self.update(from: nil, to: Self.file(4, Self.tags)).warnings.isEmpty)
    }

    @Test("show: the file's prefixes as written or merged, the rules that name the tag in any case")
    func show() throws {
        let configuration = try Self.configuration()
        let details = try configuration.details(ofServiceTag: "LAB.west", merged: false)
        #expect(details["name"] == "Lab.West" && details["kind"] == "file" && details["fileChangeNumber"] == 5)
        #expect(details["expansions"]?[0]?["prefixes"] == ["203.0.113.0/26", "203.0.113.64/26"])
        let merged = try configuration.details(ofServiceTag: "Lab.West", merged: true)
        #expect(merged["expansions"]?[0]?["prefixes"] == ["203.0.113.0/25"])
        #expect(details["rules"]?.array?.map { $0["ruleName"] } == ["securityRules/a", "securityRules/b"])
        #expect(details["rules"]?[0]?["sides"] == ["destination"])
        let own = try configuration.details(ofServiceTag: "own", merged: false)
        #expect(own["name"] == "Own" && own["kind"] == "setting")
    }

    @Test("show: VirtualNetwork is something else in each network; Internet is one list")
    func computed() throws {
        let configuration = try Self.configuration()
        let network = try configuration.details(ofServiceTag: "VIRTUAL_NETWORK", merged: false)
        #expect(network["name"] == "VirtualNetwork" && network["kind"] == "computed")
        #expect(
            network["expansions"]?.array?.map { $0["prefixes"] } == [
                ["10.1.0.0/16", "168.63.129.16/32"], ["10.0.0.0/8", "168.63.129.16/32"],
            ])
        #expect(network["rules"]?[0]?["ruleName"] == "securityRules/c")
        let internet = try configuration.details(ofServiceTag: "internet", merged: false)
        #expect(internet["expansions"]?[0]?["prefixes"]?.array?.count == 77)
    }

    @Test("show: an unknown tag is told with the names near to it")
    func unknown() throws {
        let configuration = try Self.configuration()
        let error = #expect(throws: UnknownServiceTag.self) {
            _ = try configuration.details(ofServiceTag: "Lab.Wets", merged: false)
        }
        #expect(error?.description.contains("Lab.West") == true)
    }

    @Test(
        "lookup: every tag that holds the address, the most specific first",
        arguments: [
            (
                "203.0.113.7",
                ["203.0.113.7/32 Own", "203.0.113.0/26 Lab.West", "203.0.113.0/24 Lab", "200.0.0.0/5 Internet"]
            ),
            ("2001:db8::1", ["2001:db8::/32 Lab", "2000::/3 Internet"]),
            ("10.1.0.4", ["10.1.0.0/16 VirtualNetwork one", "10.0.0.0/8 VirtualNetwork two"]),
            ("127.0.0.1", []),
        ])
    func lookUp(address: String, expected: [String]) throws {
        let address = try #require(IPAddress(address))
        let matches = try Self.configuration().serviceTags(holding: address).map { match in
            let network = match["virtualNetwork"]?.string.flatMap { ResourceID($0).name }
            return ([match["prefix"], match["name"]].map { $0?.string ?? "" } + [network].compactMap(\.self))
                .joined(separator: " ")
        }
        #expect(matches == expected)
    }

    @Test("S10: rules that spell a tag differently share one set")
    func sharedSet() throws {
        // So many that they are a set of their own.
        let prefixes = (0..<129).map { "198.18.\($0).0/26" }
        let tags = Self.file(5, [("Lab.West", prefixes)])
        let policy = try #require(Policy(try Self.configuration(tags), numbering: RuleNumbering()))
        let names = policy.ruleset.sets.keys.map(\.description)
        #expect(names.filter { $0.lowercased().hasPrefix("tag/lab.west.") }.count == 1, "\(names)")
        #expect(names.allSatisfy { !$0.contains("lab.WEST") && !$0.contains("VIRTUAL_NETWORK") }, "\(names)")
    }
}
