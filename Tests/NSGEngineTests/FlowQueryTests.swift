import JSONText
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
            ("Inbound", "UDP", "[fd00::4]:80", "[fd00::5]:*", "Deny", "securityRules/DenyRest"),
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
