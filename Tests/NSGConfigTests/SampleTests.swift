import Glibc
import JSONText
import NSGConfig
import NSGEvaluation
import NSGModel
import NetworkTypes
import Testing

/// Data that Azure returned. It is not part of the package: it is looked for in the folder that `NSGD_SAMPLES` names,
/// else in `shared/azure/samples` beside the package's folder. Tests whose samples are not there are skipped, and
/// reported so.
private enum Samples {
    static let documents = ["network-resources.json", "network-security-groups.json", "security-group-view.json"]
    static let serviceTags = "ServiceTags_Public_20250127.json"
    static let view = "security-group-view.json"
    static let flow = "ip-flow-verify.json"

    static let folder: String = {
        if let named = unsafe getenv("NSGD_SAMPLES") { return unsafe String(cString: named) }
        let package = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(package)/../shared/azure/samples"
    }()

    static func areThere(_ names: [String]) -> Bool {
        names.allSatisfy { unsafe access("\(folder)/\($0)", R_OK) == 0 }
    }

    static func value(_ name: String) throws -> JSONValue { try JSONValue(parsing: text(name).bytes, dialect: .json5) }

    static func text(_ name: String) throws -> SourceText {
        let file = try unsafe #require(fopen("\(folder)/\(name)", "r"))
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = unsafe fread(&block, 1, block.count, file), count > 0 { bytes += block.prefix(count) }
        return SourceText(name: name, bytes: bytes)
    }
}

@Suite("documents that Azure returned are taken unchanged")
struct SampleTests {
    @Test(
        "samples", .enabled(if: Samples.areThere(Samples.documents), "no samples in \(Samples.folder)"),
        arguments: zip(Samples.documents, [(1, 3, 1), (2, 0, 0), (1, 1, 1)]))
    func loads(name: String, counts: (groups: Int, networks: Int, interfaces: Int)) throws {
        let loaded = try configuration(from: ConfigurationSources(policies: [Samples.text(name)]))
        #expect(loaded.estate.networkSecurityGroups.count == counts.groups)
        #expect(loaded.estate.virtualNetworks.count == counts.networks)
        #expect(loaded.estate.networkInterfaces.count == counts.interfaces)
    }

    @Test(
        "all at once, with the weekly file of service tags",
        .enabled(
            if: Samples.areThere(Samples.documents + [Samples.serviceTags]), "no samples in \(Samples.folder)"))
    func loadsTogether() throws {
        let texts = try Samples.documents.map { try Samples.text($0) }
        let tags = try Samples.text(Samples.serviceTags)
        let clock = ContinuousClock()
        var loaded: Configuration?
        let time = try clock.measure {
            loaded = try configuration(from: ConfigurationSources(policies: texts, serviceTags: tags))
        }
        print("samples with service tags: \(time)")
        #expect(loaded?.estate.serviceTags.count == 2647)
        #expect(loaded?.estate.networkSecurityGroups.count == 4)
    }
}

@Suite(
    "what Azure answered about its own documents",
    .enabled(if: Samples.areThere([Samples.view, Samples.flow]), "no samples in \(Samples.folder)"))
struct RecordedAnswerTests {
    private let estate: Estate
    private let recorded: JSONValue

    init() throws {
        let text = try Samples.text(Samples.view)
        estate = try configuration(from: ConfigurationSources(policies: [text])).estate
        recorded = try Samples.value(Samples.view)
    }

    @Test("FACTS g, K5: IP flow verify")
    func ipFlowVerify() throws {
        let sample = try Samples.value(Samples.flow)
        let request = try #require(sample["request"])
        let word = { (key: String) throws in try #require(request[key]?.string) }
        let machine = ResourceID(try word("targetResourceId"))
        let interface = try #require(estate.networkInterfaces.values.first { $0.virtualMachine == machine })
        let direction = try #require(Direction(rawValue: try word("direction")))
        let local = (try #require(IPAddress(try word("localIPAddress"))), try #require(UInt16(try word("localPort"))))
        let remote = (
            try #require(IPAddress(try word("remoteIPAddress"))), try #require(UInt16(try word("remotePort")))
        )
        let (source, destination) = direction == .outbound ? (local, remote) : (remote, local)
        let flow = FlowTuple(
            protocol: try #require(IPProtocol(try word("protocol"))), source: source.0, destination: destination.0,
            sourcePort: source.1, destinationPort: destination.1)
        let decision = Evaluator(PolicyBook(estate)).decision(for: flow, at: interface.id, direction)
        let rule = try #require(decision.deciding?.rule)
        #expect(decision.access.rawValue == sample["response"]?["access"]?.string)
        #expect(rule.qualifiedName == sample["response"]?["ruleName"]?.string)
        #expect((rule.isDefault ? "" : rule.id.description) == sample["response"]?["ruleId"]?.string)
    }

    @Test("FACTS h2: the security group view, every rule and field")
    func securityGroupView() throws {
        let machine = ResourceID(try #require(recorded["request"]?["targetResourceId"]?.string))
        let view = SecurityGroupView(estate).view(of: machine)
        let expected = try #require(recorded["response"]).sorted
        #expect(view.sorted == expected, "\(view.sorted.text())")
        let rules = view["networkInterfaces"]?.array?.first?["securityRuleAssociations"]?["effectiveSecurityRules"]?
            .array
        #expect(rules?.count == 8)
    }
}

@Suite("cost")
struct CostTests {
    @Test("ten groups of a thousand rules")
    func loads() throws {
        let rules = (0..<1000).map { index in
            Documents.rule(
                "rule-\(index)",
                ["priority": "\(100 + index)", "destinationAddressPrefix": "\"10.\(index / 256).\(index % 256).0/24\""])
        }
        let groups = (0..<10).map {
            "{\"name\": \"g\($0)\", \"properties\": {\"securityRules\": [\(rules.joined(separator: ",\n"))]}}"
        }
        let text = "{\"networkSecurityGroups\": [\(groups.joined(separator: ","))]}"
        let clock = ContinuousClock()
        let time = try clock.measure {
            let loaded = try load([text])
            #expect(loaded.estate.networkSecurityGroups.values.reduce(0) { $0 + $1.securityRules.count } == 10_000)
        }
        print("10,000 rules, \(text.utf8.count) bytes: \(time)")
        // Debug builds are some twenty times slower than what ships.
        #expect(time < .seconds(30))
    }
}
