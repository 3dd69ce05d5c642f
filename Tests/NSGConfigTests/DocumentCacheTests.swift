import NSGConfig
import NSGModel
import TestSupport
import Testing

/// What is not read again must not show.
@Suite("The cache of documents")
struct DocumentCacheTests {
    @Test("edits at random give the same with it as without it", arguments: UInt64(0)..<48)
    func agrees(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var documents = EditedDocuments()
        var cache = DocumentCache()
        var faulty = 0
        for step in 0..<40 {
            documents.edit(using: &random)
            let sources = documents.sources
            let expected = Result { () throws(ConfigurationFaults) in try configuration(from: sources) }
            let found = Result { () throws(ConfigurationFaults) in try configuration(from: sources, reusing: &cache) }
            switch (expected, found) {
            case (.success(let one), .success(let other)):
                #expect(one == other, "seed \(seed), step \(step)")
                // What equality passes over: spellings of ids.
                #expect("\(one.estate.rulesInOrder)" == "\(other.estate.rulesInOrder)", "seed \(seed), step \(step)")
            case (.failure(let one), .failure(let other)):
                faulty += 1
                #expect(one.faults == other.faults, "seed \(seed), step \(step)")
            default: Issue.record("seed \(seed), step \(step): faulty one way alone")
            }
        }
        #expect(faulty < 40, "seed \(seed): every step had faults")
    }

    @Test(
        "texts that are as they were need not be there; where one is needed all the same, that is said",
        arguments: UInt64(0)..<24)
    func withoutTexts(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var documents = EditedDocuments()
        var cache = DocumentCache()
        var before: ConfigurationSources?
        var spared = 0
        for step in 0..<40 {
            documents.edit(using: &random)
            let sources = documents.sources
            let expected = Result { () throws(ConfigurationFaults) in try configuration(from: sources) }
            let few = sources.sparing(before)
            var found = Result { () throws(ConfigurationFaults) in try configuration(from: few, reusing: &cache) }
            if cache.lacksText {
                guard case .failure(let faults) = found else {
                    Issue.record("seed \(seed), step \(step): read without a text")
                    continue
                }
                #expect(faults.faults.isEmpty)
                found = Result { () throws(ConfigurationFaults) in try configuration(from: sources, reusing: &cache) }
            } else if few != sources {
                spared += 1
            }
            switch (expected, found) {
            case (.success(let one), .success(let other)):
                #expect(one == other, "seed \(seed), step \(step)")
                before = sources
            case (.failure(let one), .failure(let other)):
                #expect(one.faults == other.faults, "seed \(seed), step \(step)")
            default: Issue.record("seed \(seed), step \(step): faulty one way alone")
            }
        }
        #expect(spared > 0, "seed \(seed): all were read at every step")
    }

    @Test("a group whose document has not changed keeps its storage, and its lists their versions")
    func shares() throws {
        var documents = EditedDocuments()
        var cache = DocumentCache()
        let first = try configuration(from: documents.sources, reusing: &cache)
        #expect(cache.count == documents.sources.policies.count)
        documents.groups["web", default: []][0]["access"] = "\"Deny\""
        let second = try configuration(from: documents.sources, reusing: &cache)
        #expect(first.estate != second.estate)
        let before = PolicyBook(first.estate)
        let after = PolicyBook(second.estate, after: before)
        let web = ResourceID("\(Documents.group)/networkInterfaces/n-web")
        let database = ResourceID("\(Documents.group)/networkInterfaces/n-db")
        func versions(_ book: PolicyBook, _ id: ResourceID, _ direction: Direction) -> [PolicyList.Version] {
            book.lists(of: id, direction).map(\.version)
        }
        #expect(versions(after, web, .inbound) != versions(before, web, .inbound))
        #expect(versions(after, web, .outbound) == versions(before, web, .outbound))
        for direction in Direction.allCases {
            #expect(versions(after, database, direction) == versions(before, database, direction))
        }
    }

    @Test(
        "lists of a version mean the same; a book made after another is that of the estate", arguments: UInt64(0)..<24)
    func books(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var documents = EditedDocuments()
        var cache = DocumentCache()
        var book: PolicyBook?
        for step in 0..<40 {
            documents.edit(using: &random)
            guard let read = try? configuration(from: documents.sources, reusing: &cache) else { continue }
            let expected = PolicyBook(read.estate)
            let found = PolicyBook(read.estate, after: book)
            for interface in read.estate.networkInterfaces.keys {
                for direction in Direction.allCases {
                    let lists = found.lists(of: interface, direction)
                    #expect(lists == expected.lists(of: interface, direction), "seed \(seed), step \(step)")
                    let earlier = book?.lists(of: interface, direction) ?? []
                    for (old, new) in zip(earlier, lists) where old.version == new.version {
                        #expect(old.key == new.key && old.rules.map(\.meaning) == new.rules.map(\.meaning))
                    }
                }
                #expect(found.exemptServices(at: interface) == expected.exemptServices(at: interface))
            }
            book = found
        }
    }
}

extension ConfigurationSources {
    /// Without the documents of policy and the tags that were the same before.
    fileprivate func sparing(_ before: ConfigurationSources?) -> ConfigurationSources {
        let known = Set((before.map { $0.policies + [$0.serviceTags].compactMap(\.self) } ?? []))
        func spared(_ source: SourceText) -> SourceText {
            guard known.contains(source), let fingerprint = source.fingerprint else { return source }
            return SourceText(unread: source.name, fingerprint: fingerprint)
        }
        var sources = self
        sources.policies = policies.map(spared)
        sources.serviceTags = serviceTags.map(spared)
        return sources
    }
}

extension Estate {
    fileprivate var rulesInOrder: [[String]] {
        networkSecurityGroups.values.sorted { $0.id < $1.id }.map { group in
            ["\(group.id)"]
                + group.securityRules.map { "\($0.id) \($0.source) \($0.destination) \($0.location.debugDescription)" }
        }
    }
}

extension ResolvedRule {
    /// All but descriptions and places.
    fileprivate var meaning: ResolvedRule {
        var copy = self
        copy.rule.description = ""
        copy.rule.location = nil
        return copy
    }
}

/// Documents that are edited again and again, now and then into faulty ones.
private struct EditedDocuments {
    /// Rules of each group, which has a document of its own.
    var groups: [String: [[String: String]]] = [:]
    private var settings = "{}"
    private var tags = ServiceTagTests.weekly
    private var applicationGroup = "App"
    private var memberAddress = "10.1.0.4"
    private var hasLooseRule = false
    private var blankLines = 0
    private var isBroken = false

    init() {
        for name in ["web", "db", "app"] { groups[name] = (0..<6).map { Self.rule($0) } }
    }

    private static func rule(_ index: Int) -> [String: String] {
        [
            "_name": "r\(index)", "protocol": "\"Tcp\"", "access": "\"Allow\"",
            "direction": index % 2 == 0 ? "\"Inbound\"" : "\"Outbound\"", "priority": "\(100 + index)",
            "sourcePortRange": "\"*\"", "destinationPortRange": "\"\(400 + index)\"", "sourceAddressPrefix": "\"*\"",
            "destinationAddressPrefix": "\"10.1.0.0/24\"",
        ]
    }

    mutating func edit(using random: inout SplitMix64) {
        // Back to what is right more often than not, or nothing would be.
        if Int.random(in: 0..<3, using: &random) == 0 { mend() }
        let name = ["web", "db", "app"].randomElement(using: &random) ?? "web"
        let count = groups[name]?.count ?? 0
        let index = Int.random(in: 0..<max(count, 1), using: &random)
        switch Int.random(in: 0..<18, using: &random) {
        case 0: set(name, index, "destinationPortRange", "\"\(Int.random(in: 1...9, using: &random))\"")
        case 1: set(name, index, "access", "\"Deny\"")
        case 2: set(name, index, "sourceAddressPrefix", "\"Storage\"")
        case 3: set(name, index, "sourceAddressPrefix", "\"Storage.WestEurope\"")
        case 4: set(name, index, "sourceAddressPrefix", "\"Nowhere\"")
        case 5:
            set(name, index, "sourceAddressPrefix", "")
            set(
                name, index, "sourceApplicationSecurityGroups",
                "[{\"id\": \"\(Documents.group)/applicationSecurityGroups/app\"}]")
        case 6: set(name, index, "priority", "\(Int.random(in: 100...108, using: &random))")
        case 7: groups[name]?.append(Self.rule(Int.random(in: 6...12, using: &random)))
        case 8: if count > 1 { groups[name]?.remove(at: index) }
        case 9: set(name, index, "destinatonPortRange", "\"1\"")
        case 10: set(name, index, "description", "\"\(Int.random(in: 0...9, using: &random))\"")
        case 11: applicationGroup = applicationGroup == "App" ? "app" : "App"
        case 12: memberAddress = "10.1.0.\(Int.random(in: 4...9, using: &random))"
        case 13: tags = tags == ServiceTagTests.weekly ? ServiceTagTests.discovered : ServiceTagTests.weekly
        case 14: hasLooseRule.toggle()
        case 15: blankLines = Int.random(in: 0...3, using: &random)
        case 16: isBroken = true
        default:
            settings =
                ["{}", #"{"limits": {"securityRulesPerGroup": 4}}"#, #"{"defaults": {"location": "north"}}"#]
                .randomElement(using: &random) ?? "{}"
        }
    }

    private mutating func mend() {
        for (name, rules) in groups {
            var seen: Set<String> = []
            let kept = rules.filter { seen.insert($0["_name"] ?? "").inserted }
            groups[name] = kept.enumerated().map { index, rule in
                var rule = rule
                rule["priority"] = "\(100 + index)"
                rule["destinatonPortRange"] = nil
                if rule["sourceAddressPrefix"] == "\"Nowhere\"" { rule["sourceAddressPrefix"] = "\"*\"" }
                return rule
            }
        }
        tags = ServiceTagTests.weekly
        settings = "{}"
        isBroken = false
    }

    private mutating func set(_ name: String, _ index: Int, _ key: String, _ value: String) {
        guard groups[name]?.indices.contains(index) == true else { return }
        groups[name]?[index][key] = value.isEmpty ? nil : value
        if key == "sourceAddressPrefix", !value.isEmpty {
            groups[name]?[index]["sourceApplicationSecurityGroups"] = nil
        }
    }

    var sources: ConfigurationSources {
        func source(_ name: String, _ text: String) -> SourceText {
            SourceText(
                name: name, bytes: Array(text.utf8),
                fingerprint: SourceText.Fingerprint(count: text.utf8.count, hash: text.hashValue))
        }
        func rule(_ fields: [String: String]) -> String {
            Documents.rule(
                fields["_name"] ?? "",
                fields.filter { !$0.key.hasPrefix("_") }.merging(
                    fields["sourceAddressPrefix"] == nil ? ["sourceAddressPrefix": ""] : [:]
                ) { first, _ in first })
        }
        var policies = groups.sorted { $0.key < $1.key }.map { name, rules in
            source(
                "policy.d/\(name).json",
                String(repeating: "\n", count: name == "web" ? blankLines : 0) + """
                    {"networkSecurityGroups": [{"name": "\(name)", "properties": {"securityRules": [
                    \(rules.map(rule).joined(separator: ",\n"))
                    ]}}], "publicIPAddresses": []}
                    """)
        }
        policies.append(source("policy.d/zz.json", network))
        if isBroken { policies.append(source("policy.d/broken.json", "{")) }
        if hasLooseRule {
            let loose = rule(Self.rule(10)).replacing("\"r10\"", with: "\"web/r10\"").dropFirst()
            policies.append(
                source(
                    "policy.d/loose.json",
                    "[{\"type\": \"Microsoft.Network/networkSecurityGroups/securityRules\", \(loose)]"))
        }
        return ConfigurationSources(
            settings: source("nsgd.json", settings), policies: policies,
            bindings: source(
                "bindings.json", #"{"networkInterfaces": {"n-web": {"interface": "eth1", "attachment": "guest"}}}"#),
            serviceTags: source("service-tags.json", tags))
    }

    private var network: String {
        let interfaces = ["web", "db"].enumerated().map { index, name in
            """
            {"name": "n-\(name)", "properties": {"networkSecurityGroup": {"id": "\(Documents.group)/networkSecurityGroups/\(name)"},
             "ipConfigurations": [{"name": "ip", "properties": {"privateIPAddress": "\(index == 0 ? memberAddress : "10.1.0.20")",
              "applicationSecurityGroups": \(index == 0 ? "[{\"id\": \"\(Documents.group)/applicationSecurityGroups/app\"}]" : "[]"),
              "subnet": {"id": "\(Documents.group)/virtualNetworks/lab/subnets/front"}}}]}}
            """
        }
        return """
            {"virtualNetworks": [{"name": "lab", "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
              "subnets": [{"name": "front", "properties": {"addressPrefix": "10.1.0.0/24",
                "networkSecurityGroup": {"id": "\(Documents.group)/networkSecurityGroups/app"}}}]}}],
             "applicationSecurityGroups": [{"name": "\(applicationGroup)", "properties": {}}],
             "networkInterfaces": [\(interfaces.joined(separator: ",\n"))]}
            """
    }
}
