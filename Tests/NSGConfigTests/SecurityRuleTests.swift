import JSONText
import NSGConfig
import NSGModel
import NetworkTypes
import Testing

/// One rule, or several, and the one fault they have.
struct RuleFault: Sendable, CustomTestStringConvertible {
    var rules: [String]
    var code: String
    /// Below `networkSecurityGroups[0].properties.`
    var path: String
    var line: Int
    /// A part of the message.
    var says = ""
    var testDescription: String { "\(code) \(path)" }

    static func one(_ code: String, _ property: String, _ changes: [String: String], says: String = "") -> RuleFault {
        let path = "securityRules[0]" + (property.isEmpty ? "" : ".properties.\(property)")
        return RuleFault(rules: [Documents.rule("web", changes)], code: code, path: path, line: 2, says: says)
    }
}

@Suite("C5: security rules")
struct SecurityRuleTests {
    private static let platform = [
        "direction": "\"Outbound\"", "access": "\"Deny\"", "protocol": "\"*\"", "destinationPortRange": "\"*\"",
        "destinationAddressPrefix": "\"AzurePlatformDNS\"",
    ]

    private static func elevenGroups() -> String {
        "[" + (1...11).map { "\"g\($0)\"" }.joined(separator: ", ") + "]"
    }

    static let cases: [RuleFault] = [
        .one(
            "SecurityRuleInvalidPriority", "priority", ["priority": "4097"],
            says: "Security rule has invalid Priority. Value provided: 4097 Allowed range 100-4096."),
        .one("SecurityRuleInvalidPriority", "priority", ["priority": "99"]),
        .one("WrongType", "priority", ["priority": "1.5"]),
        .one("WrongType", "priority", ["priority": "true"]),
        .one("MissingProperty", "priority", ["priority": ""]),
        .one(
            "SecurityRuleInvalidPortRange", "destinationPortRange", ["destinationPortRange": "\"66600\""],
            says: """
                Security rule has invalid Port range. Value provided: 66600. Value should be an integer OR integer range with \
                '-' delimiter. Valid range 0-65535.
                """),
        .one("SecurityRuleInvalidPortRange", "destinationPortRange", ["destinationPortRange": "\"80,443\""]),
        .one("SecurityRuleInvalidPortRange", "destinationPortRange", ["destinationPortRange": "\"90-80\""]),
        .one("SecurityRuleInvalidPortRange", "destinationPortRange", ["destinationPortRange": "65536"]),
        .one(
            "SecurityRuleParameterContainsInvalidPortRanges", "destinationPortRanges[1]",
            ["destinationPortRange": "", "destinationPortRanges": "[\"80\", \"*\"]"]),
        .one(
            "SecurityRuleInvalidAddressPrefix", "destinationAddressPrefix",
            ["destinationAddressPrefix": "\"10.0.0.0/42\""],
            says: "securityRules/web has invalid Address prefix. Value provided: 10.0.0.0/42"),
        .one("SecurityRuleInvalidAddressPrefix", "sourceAddressPrefix", ["sourceAddressPrefix": "\"any\""]),
        .one("SecurityRuleInvalidAddressPrefix", "sourceAddressPrefix", ["sourceAddressPrefix": "\"Storag\""]),
        .one(
            "SecurityRuleInvalidAddressPrefix", "sourceAddressPrefix", ["sourceAddressPrefix": "\"10.0.0.1,10.0.0.2\""]),
        .one("SecurityRuleInvalidAddressPrefix", "sourceAddressPrefix", ["sourceAddressPrefix": "\"10.1.0.4/24\""]),
        .one(
            "SecurityRuleDescriptionTooLong", "description",
            ["description": "\"\(String(repeating: "a", count: 141))\""]),
        .one(
            "SecurityRuleParameterContainsUnsupportedValue", "destinationAddressPrefixes[1]",
            ["destinationAddressPrefix": "", "destinationAddressPrefixes": "[\"10.0.0.0/8\", \"VirtualNetwork\"]"],
            says: "Security rule parameter DestinationAddressPrefix for rule with Id "),
        .one(
            "SecurityRuleParameterContainsUnsupportedValue", "sourceAddressPrefixes[0]",
            ["sourceAddressPrefix": "\"\"", "sourceAddressPrefixes": "[\"*\"]"], says: "Unsupported value used: *."),
        .one(
            "OverlappingSubnetsNotPermittedInSecurityRule", "sourceAddressPrefixes[0]",
            ["sourceAddressPrefix": "null", "sourceAddressPrefixes": "[\"10.0.0.0/16\", \"10.0.0.0/8\"]"]),
        .one(
            "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies", "destinationAddressPrefix",
            ["sourceAddressPrefix": "\"10.0.0.0/8\"", "destinationAddressPrefix": "\"fd00::/8\""]),
        .one(
            "SecurityRuleInvalidAccessType", "destinationAddressPrefix",
            platform.merging(["access": "\"Allow\""]) { _, new in new }),
        .one(
            "SecurityRuleInvalidPlatformTag", "destinationAddressPrefix",
            platform.merging(["protocol": "\"Udp\""]) { _, new in new },
            says: "DNS exfiltration tags must be used with \"*\" as a protocol."),
        .one(
            "SecurityRuleInvalidPlatformTag", "destinationAddressPrefix",
            platform.merging(["destinationPortRange": "53"]) { _, new in new }),
        .one(
            "SecurityRuleInvalidPlatformTag", "destinationAddressPrefix",
            platform.merging(["direction": "\"Inbound\""]) { _, new in new }),
        .one(
            "MissingProperty", "destinationAddressPrefix", ["destinationAddressPrefix": "\"\""],
            says:
                "must specify a non empty value for exactly one of: DestinationAddressPrefixes, DestinationAddressPrefix, "
                + "DestinationApplicationSecurityGroups."),
        .one("ConflictingProperties", "sourcePortRanges", ["sourcePortRanges": "[\"80\"]"]),
        .one("ConflictingProperties", "sourceAddressPrefixes", ["sourceAddressPrefixes": "[\"10.0.0.0/8\"]"]),
        .one("UnknownValue", "protocol", ["protocol": "\"Http\""]),
        .one("UnknownValue", "direction", ["direction": "\"Inbond\""]),
        .one("UnknownProperty", "sourceAdressPrefix", ["sourceAddressPrefix": "", "sourceAdressPrefix": "\"*\""]),
        .one("UnknownProperty", "portRange", ["portRange": "\"*\""]),
        .one("WrongType", "destinationPortRange", ["destinationPortRange": "true"]),
        .one("TemplateExpression", "priority", ["priority": "\"[parameters('p')]\""]),
        .one("TemplateExpression", "sourceAddressPrefix", ["sourceAddressPrefix": "\"[variables('a')]\""]),
        RuleFault(
            rules: [Documents.rule("a"), Documents.rule("b")], code: "SecurityRuleConflict",
            path: "securityRules[1].properties.priority", line: 3,
            says: """
                Security rule b conflicts with rule a. Rules cannot have the same Priority and Direction. To learn more, see \
                aka.ms/nsgrules.
                """),
        RuleFault(
            rules: [Documents.rule("allowvnetinbound")], code: "SecurityRuleConflict", path: "securityRules[0]", line: 2
        ),
        RuleFault(
            rules: [Documents.rule("a"), Documents.rule("A", ["priority": "101"])], code: "DuplicateResourceName",
            path: "securityRules[1]", line: 3),
        RuleFault(rules: [Documents.rule("-a")], code: "InvalidResourceName", path: "securityRules[0].name", line: 2),
        RuleFault(
            rules: [Documents.rule(String(repeating: "a", count: 81))], code: "InvalidResourceName",
            path: "securityRules[0].name", line: 2),
        RuleFault(rules: [Documents.rule("a/b")], code: "InvalidResourceName", path: "securityRules[0].name", line: 2),
    ]

    @Test("FACTS a3: each code once, with its path and line", arguments: cases)
    func refuses(_ expected: RuleFault) throws {
        let found = faults([Documents.securityGroup(expected.rules)])
        let fault = try #require(found.first)
        #expect(found.count == 1, "\(found.map(\.description))")
        #expect(fault.code == expected.code)
        #expect(fault.path.description == "networkSecurityGroups[0].properties.\(expected.path)")
        #expect(fault.line == expected.line)
        #expect(fault.message.contains(expected.says), "\(fault.message)")
        #expect(!fault.remedy.isEmpty)
    }

    @Test(
        "a text that is no address, prefix or tag",
        arguments: [
            "10.0.0", "10.0.0.0.0", "10.0.0.01", "256.0.0.1", "10..0.1", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.1-10.0.0.9", "10.0.0.0/255.0.0.0", "::1%eth0", "1::2::3", " 10.0.0.0/8", "fe80::/129", "*.*", "a b",
        ])
    func refusesAddress(text: String) {
        let single = Documents.rule("web", ["sourceAddressPrefix": "\"\(text)\""])
        #expect(faults([Documents.securityGroup([single])]).map(\.code) == ["SecurityRuleInvalidAddressPrefix"])
        let list = Documents.rule("web", ["sourceAddressPrefix": "", "sourceAddressPrefixes": "[\"\(text)\"]"])
        #expect(faults([Documents.securityGroup([list])]).map(\.code) == ["SecurityRuleInvalidAddressPrefix"])
    }

    @Test("remedies name what was probably meant")
    func remedies() {
        func remedy(_ changes: [String: String]) -> String {
            faults([Documents.securityGroup([Documents.rule("web", changes)])]).first?.remedy ?? ""
        }
        #expect(remedy(["sourceAddressPrefix": "\"10.1.0.4/24\""]).contains("10.1.0.0/24"))
        #expect(remedy(["sourceAdressPrefix": "\"*\""]).contains("sourceAddressPrefix"))
        #expect(remedy(["sourceAddressPrefix": "\"VirtualNetwrok\""]).contains("VirtualNetwork"))
        #expect(remedy(["direction": "\"Inbond\""]).contains("Inbound"))
    }

    @Test(
        "what Azure takes is taken",
        arguments: [
            ["sourceAddressPrefix": "\"203.0.113.7\""], ["sourceAddressPrefix": "\"203.0.113.7/32\""],
            ["destinationPortRange": "3389"], ["destinationPortRange": "\"22-22\""],
            ["destinationPortRange": "\"0-65535\""],
            ["protocol": "\"ESP\""], ["protocol": "\"icmp\""], ["priority": "4096"], ["priority": "\"200\""],
            ["sourceAddressPrefixes": "[]", "sourceApplicationSecurityGroups": "null"],
            ["etag": "\"x\"", "provisioningState": "\"x\""],
            ["sourceAddressPrefix": "\"AZURE_LOADBALANCER\""], ["description": "\"\""],
            ["destinationPortRange": "\"\"", "destinationPortRanges": "[\"80\", \"80-90\"]"],
            ["sourceAddressPrefix": "\"::/0\"", "destinationAddressPrefix": "\"*\""],
            ["sourceAddressPrefix": "\"2001:db8::1\"", "destinationAddressPrefix": "\"Internet\""],
            ["sourceAddressPrefix": "\"VIRTUAL_NETWORK\"", "destinationAddressPrefix": "\"internet\""],
            ["sourcePortRange": "null", "sourcePortRanges": "[\"22-22\", 80]"],
            ["sourceAddressPrefix": "", "sourceAddressPrefixes": "[\"203.0.113.7\", \"198.51.100.0/24\"]"],
            ["protocol": "\"Icmp\"", "destinationPortRange": "8"], ["access": "\"DENY\"", "direction": "\"INBOUND\""],
            platform.merging(["destinationAddressPrefix": "\"azureplatformlkm\""]) { _, new in new },
            platform.merging(["destinationAddressPrefix": "\"AzurePlatformIMDS\""]) { _, new in new },
            platform,
        ] as [[String: String]])
    func takes(changes: [String: String]) {
        #expect(
            faults([Documents.securityGroup([Documents.rule("Microsoft.Sql-x_UseOnly-10-0-0-0-24-v10", changes)])])
                == [])
    }

    @Test("one priority serves once in each direction")
    func prioritiesByDirection() {
        let rules = [Documents.rule("a"), Documents.rule("b", ["direction": "\"Outbound\""])]
        #expect(faults([Documents.securityGroup(rules)]) == [])
    }

    @Test("FACTS a4: limits, and their settings")
    func limits() {
        let rules = (0..<3).map { Documents.rule("r\($0)", ["priority": "\(100 + $0)"]) }
        let text = Documents.securityGroup(rules)
        func codes(_ limit: String, _ value: Int) -> [String] {
            faults([text], settings: "{limits: {\(limit): \(value)}}").map(\.code)
        }
        #expect(codes("securityRulesPerGroup", 3) == [])
        #expect(codes("securityRulesPerGroup", 2) == ["SecurityRuleCountLimitReached"])
        #expect(codes("addressesOrPortsPerGroup", 3) == [])
        // Three destination prefixes, three destination ports.
        #expect(
            codes("addressesOrPortsPerGroup", 2)
                == [
                    "SecurityRuleAddressesOrPortsPerSecurityGroupLimitReached",
                    "SecurityRuleAddressesOrPortsPerSecurityGroupLimitReached",
                ])
        let wide = (0..<3).map { index in
            Documents.rule(
                "w\(index)",
                [
                    "priority": "\(200 + index)", "sourcePortRange": "",
                    "sourcePortRanges": "[\"1000\", \"2000-2100\"]",
                    "sourceAddressPrefix": "", "sourceAddressPrefixes": "[\"10.0.0.0/24\", \"10.0.1.0/24\"]",
                ])
        }
        let counted = faults([Documents.securityGroup(wide)], settings: "{limits: {addressesOrPortsPerGroup: 5}}")
        #expect(
            counted.map {
                $0.message.contains("has 6 SourceAddressPrefixes") || $0.message.contains("has 6 SourcePortRanges")
            }
                == [true, true], "\(counted.map(\.message))")
        let groups = Documents.rule(
            "g", ["sourceAddressPrefix": "", "sourceApplicationSecurityGroups": Self.elevenGroups()])
        let defined = "{applicationSecurityGroups: [" + (1...11).map { "{name: 'g\($0)'}," }.joined() + "]}"
        #expect(
            faults([Documents.securityGroup([groups]), defined]).map(\.code)
                == ["NumberOfApplicationSecurityGroupsReferencedInSecurityRuleLimitReached"])
        #expect(
            faults(
                [Documents.securityGroup([groups]), defined],
                settings: "{limits: {applicationSecurityGroupsPerRuleSide: 11}}")
                == [])
    }

    /// Two networks and a group of members in each, and `g0`…`g10` without members.
    private static let memberships = """
        {virtualNetworks: [
          {name: 'v', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 'a', addressPrefix: '10.1.0.0/24'}]},
          {name: 'w', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 'b', addressPrefix: '10.1.0.0/24'}]}],
         applicationSecurityGroups: [{name: 'inV'}, {name: 'inW'}, \((0...10).map { "{name: 'g\($0)'}" }.joined(separator: ", "))],
         networkInterfaces: [
          {name: 'n', ipConfigurations: [{name: 'x', subnet: 'a', applicationSecurityGroups: ['inV']}, {name: 'y', subnet: 'a'}]},
          {name: 'm', ipConfigurations: [{name: 'x', subnet: 'b', applicationSecurityGroups: [{id: 'inW'}]}]}]}
        """

    private static func groups(_ source: [String], _ destination: [String]) -> String {
        func list(_ names: [String]) -> String { "[\(names.map { "\"\($0)\"" }.joined(separator: ", "))]" }
        return Documents.securityGroup([
            Documents.rule(
                "r",
                [
                    "sourceAddressPrefix": "\"\"", "sourceApplicationSecurityGroups": list(source),
                    "destinationAddressPrefix": "", "destinationApplicationSecurityGroups": list(destination),
                ])
        ])
    }

    @Test(
        "FACTS e: application security groups of a rule",
        arguments: [
            (["inV"], ["inV"], []), (["inV"], ["g0"], []),
            (["inV"], ["inW"], ["AllApplicationSecurityGroupsInSecurityRuleMustBeFromSameVnet"]),
            (["inV", "inW"], ["g0"], ["AllApplicationSecurityGroupsInSecurityRuleMustBeFromSameVnet"]),
            ((0..<10).map { "g\($0)" }, ["inV"], []),
            (
                ["inV"], (0...10).map { "g\($0)" },
                ["NumberOfApplicationSecurityGroupsReferencedInSecurityRuleLimitReached"]
            ),
            (["nobody"], ["inV"], ["UnknownReference"]),
        ] as [([String], [String], [String])])
    func applicationGroups(source: [String], destination: [String], codes: [String]) {
        #expect(faults([Self.groups(source, destination), Self.memberships]).map(\.code) == codes)
    }

    @Test("FACTS a4, e: how many application security groups, members and groups there may be")
    func groupLimits() {
        func codes(_ limit: String, _ value: Int, _ texts: [String]) -> [String] {
            faults(texts, settings: "{limits: {\(limit): \(value)}}").map(\.code)
        }
        let texts = [Self.groups(["inV", "g1"], ["g2"]), Self.memberships]
        #expect(codes("applicationSecurityGroupsPerGroup", 3, texts) == [])
        #expect(codes("applicationSecurityGroupsPerGroup", 2, texts) == ["LimitReached"])
        #expect(codes("applicationSecurityGroups", 13, texts) == [])
        #expect(codes("applicationSecurityGroups", 12, texts) == ["LimitReached"])
        let two = Self.memberships.replacing(
            "name: 'y', subnet: 'a'", with: "name: 'y', subnet: 'a', applicationSecurityGroups: ['inV', 'g1']")
        #expect(codes("ipConfigurationsPerApplicationSecurityGroup", 2, [two]) == [])
        #expect(codes("ipConfigurationsPerApplicationSecurityGroup", 1, [two]) == ["LimitReached"])
        #expect(codes("applicationSecurityGroupsPerIPConfiguration", 2, [two]) == [])
        #expect(codes("applicationSecurityGroupsPerIPConfiguration", 1, [two]) == ["LimitReached"])
        // Each configuration keeps the limit, the interface as a whole does not.
        let apart = Self.memberships.replacing(
            "name: 'y', subnet: 'a'", with: "name: 'y', subnet: 'a', applicationSecurityGroups: ['g1']")
        #expect(codes("applicationSecurityGroupsPerIPConfiguration", 1, [apart]) == ["LimitReached"])
        #expect(
            codes("networkSecurityGroups", 1, ["{networkSecurityGroups: [{name: 'a'}, {name: 'b'}]}"]) == [
                "LimitReached"
            ])
        let regions = "{networkSecurityGroups: [{name: 'a', location: 'west'}, {name: 'b', location: 'east'}]}"
        #expect(codes("networkSecurityGroups", 1, [regions]) == [])
    }

    @Test("the first rule of each family is compared across both sides, whatever the form")
    func families() {
        let list = ["sourceAddressPrefix": "", "sourceAddressPrefixes": "[\"10.0.0.0/8\", \"fd00::/8\"]"]
        #expect(
            faults([Documents.securityGroup([Documents.rule("r", list)])]).map(\.code)
                == ["ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies"])
    }

    @Test("an unknown tag is refused with the nearest names")
    func nearestTags() {
        let file = ["Storage.WestEurope", "Storage.EastEurope", "Storage.NorthEurope", "Sql", "AzureCloud"].map {
            "{\"name\": \"\($0)\", \"properties\": {\"addressPrefixes\": [\"198.51.100.0/24\"]}}"
        }
        let tags = "{\"values\": [\(file.joined(separator: ", "))]}"
        func remedy(_ tag: String) -> String {
            let text = Documents.securityGroup([Documents.rule("r", ["sourceAddressPrefix": "\"\(tag)\""])])
            let found = faults([text], serviceTags: tags)
            #expect(found.map(\.code) == ["SecurityRuleInvalidAddressPrefix"])
            return found.first?.remedy ?? ""
        }
        #expect(
            remedy("Storage.WstEurope").hasPrefix("did you mean the tag Storage.WestEurope or Storage.EastEurope? Else")
        )
        #expect(remedy("azurecluod").hasPrefix("did you mean the tag AzureCloud? Else"))
        #expect(remedy("Unheard").hasPrefix("the file of service tags does not have it"))
    }

    @Test(
        "S10: a file that is none of service tags is one clear fault",
        arguments: [
            ("{\"changeNumber\": 343, \"cloud\": \"Public\", \"values\": [{\"name\": \"Act", "InvalidJSON"),
            ("{\"syncToken\": \"1\", \"prefixes\": [{\"ip_prefix\": \"198.51.100.0/24\"}]}", "WrongType"),
            ("{\"values\": []}", "WrongType"), ("[]", "WrongType"), ("{\"values\": [1, {\"a\": 2}]}", "WrongType"),
            ("", "InvalidJSON"),
        ])
    func foreignTagFile(text: String, code: String) {
        let rule = Documents.securityGroup([Documents.rule("r", ["sourceAddressPrefix": "\"Storage\""])])
        let found = faults([rule], serviceTags: text)
        #expect(found.map(\.code) == [code] && found.first?.file == "service-tags.json", "\(found.map(\.description))")
    }

    @Test("S10: a tag is known by the settings, by the file, or not at all")
    func tags() throws {
        let rule = Documents.rule("t", ["sourceAddressPrefix": "\"storage.westeurope\""])
        let text = Documents.securityGroup([rule])
        let file = """
            {"changeNumber": 1, "cloud": "Public", "values": [{"name": "Storage.WestEurope", "id": "Storage.WestEurope",
             "properties": {"addressPrefixes": ["198.51.100.0/24", "2001:db8::/48"], "networkFeatures": null}}]}
            """
        #expect(faults([text]).map(\.code) == ["SecurityRuleInvalidAddressPrefix"])
        let fromFile = try load([text], serviceTags: file)
        #expect(
            fromFile.estate.serviceTags["storage.westeurope"]?.map(\.description) == [
                "198.51.100.0/24", "2001:db8::/48",
            ])
        #expect(fromFile.notes.count == 1, "Azure does not offer it: \(fromFile.notes)")
        let own = try load([text], settings: "{serviceTags: {'Storage.WestEurope': []}}", serviceTags: file)
        #expect(own.estate.serviceTags["storage.westeurope"] == [])
        #expect(faults([text], serviceTags: "{").map(\.code) == ["InvalidJSON"], "one fault, not one more for each tag")
        let wrong = faults(
            [], serviceTags: #"{"values": [{"name": "A", "properties": {"addressPrefixes": ["10.0.0.1/8"]}}]}"#)
        #expect(wrong.map(\.path.description) == ["values[0].properties.addressPrefixes[0]"])
    }
}
