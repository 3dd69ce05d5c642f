import JSONText
import NSGCompiler
import NSGConfig
import NSGEngine
import NSGModel
import Testing

@Suite("IP flow verify (K5)")
struct FlowQueryTests {
    @Test(
        "answers as Azure does",
        arguments: [
            ("Inbound", "TCP", "10.1.0.4:80", "10.1.0.5:*", "Allow", "securityRules/AllowWeb"),
            ("Inbound", "tcp", "10.1.0.4:81", "10.1.0.5:4", "Deny", "securityRules/DenyRest"),
            ("inbound", "UDP", "10.1.0.4:80", "10.1.0.5:4", "Deny", "securityRules/DenyRest"),
            ("Inbound", "ICMP", "10.1.0.4", "10.1.0.5", "Deny", "securityRules/DenyRest"),
            ("Inbound", "TCP", "10.1.0.4:*", "10.1.0.5:4", "Deny", "securityRules/DenyRest"),
            ("Outbound", "TCP", "10.1.0.4:5", "10.1.0.5:4", "Allow", "defaultSecurityRules/AllowVnetOutBound"),
            ("Outbound", "TCP", "10.1.0.4:5", "192.0.2.1:4", "Deny", "defaultSecurityRules/DenyAllOutBound"),
        ])
    func answers(
        direction: String, protocol: String, local: String, remote: String, access: String, rule: String
    ) throws {
        let query = try FlowQuery(
            nic: "WEB1", vm: nil, direction: direction, protocol: `protocol`, local: local, remote: remote)
        let answer = try TwoMachines.policy().answer(query).json
        #expect(answer["access"]?.string == access)
        #expect(answer["ruleName"]?.string == rule)
        let isDefault = rule.hasPrefix("default")
        let id = "\(TwoMachines.group)/\(rule)"
        #expect(answer["ruleId"]?.string == (isDefault ? "" : id), "a custom rule's id, \"\" for a default one")
        #expect((answer["stages"]?[0]?["file"] == nil) == isDefault)
    }

    @Test(
        "says what is wrong with a question",
        arguments: [
            (
                #"{"nic":"web1","direction":"Up","protocol":"TCP","local":"10.1.0.4:1","remote":"10.1.0.5:1"}"#,
                "direction"
            ),
            (
                #"{"nic":"web1","direction":"Inbound","protocol":"HTTP","local":"10.1.0.4:1","remote":"10.1.0.5:1"}"#,
                "HTTP"
            ),
            (
                #"{"nic":"web1","direction":"Inbound","protocol":"TCP","local":"10.1.0.4:99999","remote":"10.1.0.5:1"}"#,
                "99999"
            ),
            (
                #"{"nic":"web1","direction":"Inbound","protocol":"ICMP","local":"10.1.0.4:1","remote":"10.1.0.5"}"#,
                "no ports"
            ),
            (
                #"{"nic":"web1","direction":"Inbound","protocol":"TCP","local":"10.1.0.4:1","remote":"[fd00::1]:1"}"#,
                "families"
            ),
            (
                #"{"nic":"web9","direction":"Inbound","protocol":"TCP","local":"10.1.0.4:1","remote":"10.1.0.5:1"}"#,
                "web1"
            ),
            (
                #"{"nic":"web9","direction":"Inbound","protocol":"TCP","local":"10.1.0.4:1","remote":"10.1.0.5:1"}"#,
                "there are: db1, web1"
            ),
            (
                #"{"vm":"web1","direction":"Inbound","protocol":"TCP","local":"10.1.0.4:1","remote":"10.1.0.5:1"}"#,
                "no virtual machine 'web1' in the policy; there is none"
            ),
            (#"{"direction":"Inbound","protocol":"TCP","local":"10.1.0.4:1","remote":"10.1.0.5:1"}"#, "nic"),
            (
                #"{"nick":"web1","direction":"Inbound","protocol":"TCP","local":"10.1.0.4:1","remote":"10.1.0.5:1"}"#,
                "nick"
            ),
            (#"{"nic":"web1","direction":"Inbound","protocol":"TCP","local":"10.1.0.4:1"}"#, "remote"),
            ("7", "object"),
        ])
    func refuses(text: String, word: String) throws {
        let answer = try TwoMachines.policy().batchAnswer(try JSONValue(parsing: text, dialect: .json))
        #expect(try #require(answer["error"]?.string).contains(word))
    }

    @Test(
        "an end is read with its port, and what could be misread is refused (K5)",
        arguments: [
            ("TCP", "10.1.0.4", "TCP has ports; write 10.1.0.4:PORT, or 10.1.0.4:* to leave the port open"),
            ("UDP", "fd00::4", "[IPv6]:PORT"), ("TCP", "[fd00::4]", "[IPv6]:PORT"),
            ("TCP", "2001:db8::1:443", "[IPv6]:PORT"),
            ("TCP", "2001:db8::1:50000", "an IPv6 address stands in brackets: [2001:db8::1]:50000"),
            ("TCP", "[10.1.0.4]:80", "only IPv6 stands in brackets"), ("TCP", "web1", "'web1' is no IP address"),
            ("TCP", "10.1.0.4:", "neither a port"), ("TCP", "[fd00::4]80x", "neither a port"),
            ("TCP", "", "no IP address"), ("TCP", "[", "no IP address"), ("TCP", ":", "no IP address"),
            ("ICMP", "10.1.0.4:8", "no ports; give the bare IP"), ("TCP", "10.1.0.4:80", nil),
            ("TCP", "[fd00::4]:*", nil), ("ICMP", "10.1.0.4", nil), ("ICMPv6", "fd00::4", nil),
        ] as [(String, String, String?)])
    func readsEnds(protocol: String, local: String, problem: String?) throws {
        let remote = local.contains("d") ? "[fd00::5]" : "10.1.0.5"
        do throws(FlowQuery.Problem) {
            _ = try FlowQuery(
                nic: "web1", vm: nil, direction: "Inbound", protocol: `protocol`, local: local,
                remote: `protocol`.hasPrefix("ICMP") ? remote.filter { !"[]".contains($0) } : "\(remote):*")
            #expect(problem == nil)
        } catch {
            let problem = try #require(problem, "\(error)")
            #expect(error.description.contains(problem), "\(error)")
        }
    }

    @Test(
        "a packet that the guard drops is denied by no rule, whatever the rules say (S13, K5)",
        arguments: [
            ("Inbound", "10.1.0.9:80", "10.1.0.5:9", "securityRules/AllowWeb"),
            ("Outbound", "10.1.0.9:5", "10.1.0.5:4", "defaultSecurityRules/AllowVnetOutBound"),
            ("Outbound", "10.1.0.5:5", "192.0.2.1:4", "defaultSecurityRules/DenyAllOutBound"),
        ])
    func foreignAddresses(direction: String, local: String, remote: String, stage: String) throws {
        let query = try FlowQuery(
            nic: "web1", vm: nil, direction: direction, protocol: "TCP", local: local, remote: remote)
        let policy = try TwoMachines.policy()
        let answer = try policy.answer(query)
        #expect(answer.json["access"]?.string == "Deny")
        #expect(answer.json["ruleName"]?.string == "" && answer.json["ruleId"]?.string == "")
        #expect(answer.json["stages"]?[0]?["ruleName"]?.string == stage, "the rules' answer stands beside it")
        let address = local.prefix { $0 != ":" }
        #expect(
            answer.json["reason"]?.string
                == "enableIPForwarding is off and local \(address) is no address of network interface web1, which has 10.1.0.4"
        )
        #expect(answer.note == nil, "said already")

        // Where the machine routes, or nobody is held to addresses here, the rules answer.
        let web = { (estate: Estate) in estate.networkInterfaces.keys.first { $0.name == "web1" } }
        let router = try TwoMachines.policy { estate in
            estate.networkInterfaces[try #require(web(estate))]?.enableIPForwarding = true
        }
        let unbound = try TwoMachines.policy { $0.bindings = [] }
        for policy in [router, unbound] {
            let answer = try policy.answer(query).json
            #expect(answer["ruleName"]?.string == stage && answer["reason"] == nil)
        }
    }

    @Test("a guest without an address asks for one by DHCP (S13, S12)")
    func exempted() throws {
        let query = try FlowQuery(
            nic: "web1", vm: nil, direction: "Outbound", protocol: "UDP", local: "0.0.0.0:68",
            remote: "255.255.255.255:67")
        let answer = try TwoMachines.policy().answer(query).json
        #expect(answer["reason"] == nil && answer["platform"]?.bool == true)
    }

    @Test(
        "remarks on a local address that the interface does not have",
        arguments: [("10.1.0.4", false), ("10.1.0.9", true)])
    func remarks(local: String, expected: Bool) throws {
        let policy = try TwoMachines.policy { $0.bindings = [] }
        let answer = try policy.answer(
            FlowQuery(
                nic: "web1", vm: nil, direction: "Outbound", protocol: "ICMP", local: local, remote: "10.1.0.5"))
        #expect((answer.note != nil) == expected)
    }

    @Test(
        "names candidates briefly, by id only where names collide",
        arguments: [
            (nil, "nope", "no virtual machine 'nope' in the policy; there are: front, router"),
            (
                "nope", nil,
                "no network interface 'nope' in the policy; there are: gate, solo, \(id("one")), \(id("two"))"
            ),
            (
                "WEB", nil,
                "network interface 'WEB' stands for several network interfaces; name one by nic: \(id("one")), \(id("two"))"
            ),
            (
                nil, "front",
                "virtual machine 'front' stands for several network interfaces; name one by nic: gate, solo"
            ),
            (nil, "router", nil), (id("two").uppercased(), nil, nil),
        ] as [(String?, String?, String?)])
    func namesCandidates(nic: String?, vm: String?, expected: String?) throws {
        let interfaces = [
            (Self.id("one"), "router"), (Self.id("two"), nil), (Self.id("lab", "solo"), "front"),
            (Self.id("lab", "gate"), "front"),
        ].enumerated().map { index, interface in
            """
            {id: "\(interface.0)", properties: {\(interface.1.map { "virtualMachine: {id: \"\($0)\"}, " } ?? "")ipConfigurations: [
                {name: "a", properties: {privateIPAddress: "10.1.0.\(4 + index)", subnet: "net/all"}}]}}
            """
        }
        let text = """
            {virtualNetworks: [{name: "net", properties: {addressSpace: {addressPrefixes: ["10.1.0.0/16"]}, subnets: [
                {name: "all", properties: {addressPrefix: "10.1.0.0/24"}}]}}],
             networkInterfaces: [\(interfaces.joined(separator: ", "))]}
            """
        let sources = ConfigurationSources(policies: [SourceText(name: "policy.d/a.json", text: text)])
        let policy = try #require(Policy(try configuration(from: sources), numbering: RuleNumbering()))
        let query = try FlowQuery(
            nic: nic, vm: vm, direction: "Inbound", protocol: "ICMP", local: "10.1.0.4", remote: "10.1.0.5")
        do throws(FlowQuery.Problem) {
            _ = try policy.answer(query)
            #expect(expected == nil)
        } catch {
            #expect(error.description == expected)
        }
    }

    private static func id(_ group: String, _ name: String = "web") -> String {
        let none = "00000000-0000-0000-0000-000000000000"
        return ResourceID(subscription: none, resourceGroup: group, type: "networkInterfaces", name: name).description
    }

    @Test("explains every rule that was tried, up to the match")
    func explains() throws {
        let query = try FlowQuery(
            nic: "web1", vm: nil, direction: "Inbound", protocol: "TCP", local: "10.1.0.4:81", remote: "10.1.0.5:9")
        let rules = try TwoMachines.policy().explanation(of: query)[[
            "evaluatedNetworkSecurityGroups", 0, "rulesEvaluationResult",
        ]]
        #expect(rules?.array?.map { $0["name"]?.string } == ["UserRule_AllowWeb", "UserRule_DenyRest"])
        #expect(rules?[0]?["destinationPortMatched"]?.bool == false)
        #expect(rules?[0]?["protocolMatched"]?.bool == true)
        #expect(rules?[1]?["matched"]?.bool == true)
    }
}
