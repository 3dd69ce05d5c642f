import JSONText
import NSGConfig
import TestSupport
import Testing

@Suite("input is hostile until parsed")
struct HostileTextTests {
    private static let documents = [
        Documents.estate, Documents.flattened, "[\(NetworkManagerTests.nested), \(RouteTableTests.document)]",
    ]

    /// Any outcome will do but a trap, and a fault without file, code or remedy.
    private func survives(_ sources: ConfigurationSources) {
        do {
            _ = try configuration(from: sources)
        } catch {
            #expect(!error.faults.isEmpty)
            #expect(error.faults.allSatisfy { !$0.file.isEmpty && !$0.code.isEmpty && !$0.remedy.isEmpty })
        }
    }

    private func sources(_ bytes: [UInt8]) -> [ConfigurationSources] {
        let text = SourceText(name: "x.json", bytes: bytes)
        return [
            ConfigurationSources(policies: [text]), ConfigurationSources(settings: text),
            ConfigurationSources(bindings: text), ConfigurationSources(serviceTags: text),
        ]
    }

    @Test("truncated and mutated documents", arguments: UInt64(0)..<300)
    func mutations(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var bytes = Array(Self.documents[Int(seed % 9 / 3)].utf8)
        switch seed % 3 {
        case 0: bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random))
        case 1:
            for _ in 0..<8 {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
        default:
            for _ in 0..<4 {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0x20...0x7e, using: &random)
            }
        }
        sources(bytes).forEach(survives)
    }

    @Test("a value in place of another", arguments: UInt64(0)..<300)
    func replacements(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let values = [
            "null", "[]", "{}", "7", "-1e99", "true", "\"\"", "\"/\"", "\"[x]\"", "[[[]]]", "{\"id\": null}",
            "\"\\u001b[2J\"",
        ]
        var words = Self.documents[Int(seed % 2) * 2].split(separator: " ", omittingEmptySubsequences: false).map(
            String.init)
        for _ in 0..<3 {
            guard let index = words.indices.filter({ words[$0].hasSuffix(",") }).randomElement(using: &random) else {
                return
            }
            words[index] = (values.randomElement(using: &random) ?? "") + ","
        }
        sources(Array(words.joined(separator: " ").utf8)).forEach(survives)
    }

    @Test("messages carry no control characters of the document")
    func escapes() {
        let text = Documents.securityGroup([Documents.rule("a", ["protocol": "\"\\u001b[2J\""])])
        #expect(faults([text]).map(\.code) == ["UnknownValue"])
        #expect(faults([text]).allSatisfy { !$0.description.unicodeScalars.contains("\u{1b}") })
    }
}
