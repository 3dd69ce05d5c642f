import Glibc
import JSONText
import NSGConfig
import NSGModel
import Testing

/// Data that Azure returned, where the samples lie beside the package (or where `NSGD_SAMPLES` says).
private enum Samples {
    static var folder: String {
        if let named = unsafe getenv("NSGD_SAMPLES") { return unsafe String(cString: named) }
        let package = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(package)/../shared/azure/samples"
    }

    static func text(_ name: String) -> SourceText? {
        guard let file = unsafe fopen("\(folder)/\(name)", "r") else {
            print("no sample \(name) in \(folder): skipped")
            return nil
        }
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
        "samples",
        arguments: [
            ("network-resources.json", 1, 3, 1), ("network-security-groups.json", 2, 0, 0),
            ("security-group-view.json", 1, 1, 1),
        ])
    func loads(name: String, groups: Int, networks: Int, interfaces: Int) throws {
        guard let text = Samples.text(name) else { return }
        let loaded = try configuration(from: ConfigurationSources(policies: [text]))
        #expect(loaded.estate.networkSecurityGroups.count == groups)
        #expect(loaded.estate.virtualNetworks.count == networks)
        #expect(loaded.estate.networkInterfaces.count == interfaces)
    }

    @Test("all at once, with the weekly file of service tags")
    func loadsTogether() throws {
        let names = ["network-resources.json", "network-security-groups.json", "security-group-view.json"]
        let texts = names.compactMap { Samples.text($0) }
        guard texts.count == names.count, let tags = Samples.text("ServiceTags_Public_20250127.json") else { return }
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
