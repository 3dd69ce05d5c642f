import JSONText
import TestSupport
import Testing

/// What the logs say of deciders beside security groups. S9, S14; FACTS c and f, "where they show".
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonDecidersTests {
    private typealias Rule = EstateDocuments.Rule

    /// `nic direction state access platform rules` of the records with a destination port, in the order of the log.
    private static func records(_ network: TestNetwork, port: Int) throws -> [String] {
        try network.records().filter { $0["destinationPort"]?.int == port }.map { record in
            let text = { (key: String) in record[key]?.string ?? "-" }
            let nic = text("nic").split(separator: "/").last ?? ""
            let stages = record["stages"]?.array?.map { stage in
                "\(stage["level"]?.string ?? ""):\(stage["ruleName"]?.string ?? "")"
            }
            let platform = record["platform"]?.bool == true ? ["platform"] : []
            return ([nic + "", text("direction"), text("state"), text("access")] + platform + (stages ?? []))
                .joined(separator: " ")
        }
    }

    /// Rules of a kind of PT1H.json by the ports of their tuples: "80 UserRule_web GUID".
    private static func logged(_ network: TestNetwork, _ container: String) throws -> Set<String> {
        let paths = try run(["find", "\(network.logs)/\(container)", "-name", "PT1H.json"]).split(separator: "\n")
        var found: Set<String> = []
        for path in paths {
            let file = try JSONValue(parsing: try run(["cat", String(path)]), dialect: .json)
            for record in file["records"]?.array ?? [] {
                let flows = record["flowRecords"]?["flows"]?.array ?? record["properties"]?["flows"]?.array ?? []
                for list in flows {
                    let identity = list["aclID"]?.string ?? ""
                    for group in list["flowGroups"]?.array ?? [list] {
                        for tuple in group.flowTuples {
                            let port = tuple.split(separator: ",", omittingEmptySubsequences: false)[4]
                            found.insert("\(port) \(group["rule"]?.string ?? "") \(identity)")
                        }
                    }
                }
            }
        }
        return found
    }

    private static let zero = "00000000-0000-0000-0000-000000000000"

    @Test("admin rules are the first stage, AlwaysAllow the only one, and logs name the manager (S8, FACTS f)")
    func adminRules() throws {
        var estate = EstateDocuments.guests(
            "a", "b", rules: [.allow("AllowWeb", 100, "Tcp", "80"), .deny("DenyRest", 4000)])
        var open = Rule.allow("OpenTls", 20, "Tcp", "443")
        open.access = "AlwaysAllow"
        estate.adminRules = [
            .deny("BlockSsh", 10, "Tcp", "22"), open, .allow("PassWeb", 30, "Tcp", "80", direction: "Outbound"),
        ]
        try TestNetwork.with(estate) { network in
            let (a, b) = (network["a"], network["b"])
            let daemon = try network.startDaemon()
            try b.serve("tcp", 22, 80, 443, 444)
            for port in [80, 443] { #expect(try a.reaches(b.address, port, expecting: true)) }
            for port in [22, 444] { #expect(try !a.reaches(b.address, port, expecting: false)) }

            let hasAll = try eventually {
                try [22, 80, 443, 444].allSatisfy { port in
                    try Self.records(network, port: port).contains { $0.hasPrefix("b Inbound") }
                }
            }
            #expect(hasAll)
            let out = "a Outbound B Allow admin: subnet:defaultSecurityRules/AllowVnetOutBound"
            let expected: [Int: (String, String)] = [
                80: (
                    "a Outbound B Allow admin:PassWeb subnet:defaultSecurityRules/AllowVnetOutBound",
                    "b Inbound B Allow admin: subnet:securityRules/AllowWeb"
                ),
                443: (out, "b Inbound B Allow admin:OpenTls"),
                22: (out, "b Inbound D Deny admin:BlockSsh subnet:securityRules/DenyRest"),
                444: (out, "b Inbound D Deny admin: subnet:securityRules/DenyRest"),
            ]
            for (port, (first, second)) in expected {
                let records = try Self.records(network, port: port)
                #expect(records.contains(first) && records.contains(second), "\(port): \(records)")
            }
            let stage = try network.records().first {
                $0["destinationPort"]?.int == 22 && $0["nic"] != nil
                    && $0["state"]?.string == "D"
            }?["stages"]?[0]
            #expect(stage?["networkSecurityGroup"]?.string == EstateDocuments.manager && stage?["derived"] == nil)

            let verify = try daemon.control(
                "verify", "--nic", "b", "--direction", "Inbound", "--protocol", "TCP", "--local", "10.1.0.5:22",
                "--remote", "10.1.0.4:9", "-o", "json")
            let answer = try JSONValue(parsing: verify.output, dialect: .json)
            #expect(answer["ruleName"]?.string == "BlockSsh" && answer["stages"]?[0]?["level"]?.string == "admin")

            let isComplete = try eventually {
                let decisions = try daemon.status()["decisions"]
                return decisions?["total"]?.int == decisions?["logged"]?.int
            }
            #expect(isComplete)
            #expect(daemon.stop())
            let networkLog = try Self.logged(network, "insights-logs-flowlogflowevent")
            for entry in ["22 BlockSsh", "443 OpenTls"] {
                #expect(networkLog.contains("\(entry) \(EstateDocuments.managerGUID)"), "\(networkLog)")
            }
            let groupLog = try Self.logged(network, "insights-logs-networksecuritygroupflowevent")
            #expect(
                groupLog == [
                    "80 UserRule_AllowWeb ", "444 UserRule_DenyRest ", "80 DefaultRule_AllowVnetOutBound ",
                    "443 DefaultRule_AllowVnetOutBound ", "444 DefaultRule_AllowVnetOutBound ",
                    "22 DefaultRule_AllowVnetOutBound ",
                ], "\(groupLog)")
            #expect(try !network.records().contains { $0["event"]?.string == "gap" })
        }
    }

    @Test("platform traffic and blocked SMTP are the platform's in every log, and no decision is missing (S9, S14, F5)")
    func platform() throws {
        // Nothing may leave, and b takes in 54 alone.
        var estate = EstateDocuments.guests(
            "a", "b", rules: [.allow("AllowB", 100, "Udp", "54"), .deny("DenyIn", 4000)],
            outbound: [
                .allow("AllowMail", 100, "Tcp", "25", direction: "Outbound"),
                .deny("DenyOut", 4000, direction: "Outbound"),
            ])
        // b's address is the platform's resolver, too: exempt where it leaves a, judged where it reaches b.
        estate.platform = [("dns", ["198.51.100.53/32", "10.1.0.5/32"]), ("blockOutboundSmtp", true)]
        try TestNetwork.with(estate) { network in
            let resolver = try network.addMachine("resolver", ["198.51.100.53"], behind: "uplink")
            let (a, b) = (network["a"], network["b"])
            let daemon = try network.startDaemon()
            try resolver.serve("udp", 53)
            try resolver.serve("tcp", 25)
            #expect(try a.isAnswered(resolver.address, 53, from: 5001, expecting: true))
            #expect(try !a.isAnswered(resolver.address, 54, from: 5001, expecting: false))
            #expect(try !a.reaches(resolver.address, 25, expecting: false))
            #expect(try !a.isAnswered(b.address, 53, from: 5003, expecting: false))

            let hasAll = try eventually {
                try Self.records(network, port: 25).count >= 1 && Self.records(network, port: 53).count >= 3
                    && Self.records(network, port: 54).count >= 1
            }
            #expect(hasAll)
            let dns = try Self.records(network, port: 53)
            #expect(dns.contains("a Outbound B Allow platform"), "\(dns)")
            #expect(dns.contains("b Inbound D Deny subnet:securityRules/DenyIn"), "\(dns)")
            #expect(dns.filter { $0.hasPrefix("a ") }.allSatisfy { $0.hasSuffix("Allow platform") }, "\(dns)")
            let mail = try Self.records(network, port: 25)
            #expect(mail.first == "a Outbound D Deny platform", "\(mail)")
            #expect(try Self.records(network, port: 54).first == "a Outbound D Deny subnet:securityRules/DenyOut")

            #expect(daemon.stop())
            let networkLog = try Self.logged(network, "insights-logs-flowlogflowevent")
            #expect(networkLog.contains("53 PlatformRule \(Self.zero)"), "\(networkLog)")
            #expect(networkLog.contains("25 PlatformRule \(Self.zero)"), "\(networkLog)")
            let groupLog = try Self.logged(network, "insights-logs-networksecuritygroupflowevent")
            #expect(groupLog == ["53 UserRule_DenyIn ", "54 UserRule_DenyOut "], "\(groupLog)")
            #expect(try !network.records().contains { $0["event"]?.string == "gap" })
        }
    }
}

extension JSONValue {
    /// The tuples in this value, of either log.
    fileprivate var flowTuples: [String] {
        self["flowTuples"]?.array?.compactMap(\.string) ?? self["flows"]?.array?.flatMap(\.flowTuples) ?? []
    }
}
