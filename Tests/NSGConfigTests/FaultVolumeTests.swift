import Glibc
import JSONText
import Testing

@testable import NSGConfig

/// A document of `count` faults of one kind.
struct FaultVolume: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var code: String
    var text: @Sendable (Int) -> String
}

@Suite("C4: many faults")
struct FaultVolumeTests {
    private static func list(_ count: Int, _ element: (Int) -> String) -> String {
        (0..<count).map(element).joined(separator: ",\n")
    }

    /// In groups of 2,500 rules, as priorities allow.
    private static func rules(
        _ count: Int, name: (Int) -> String = { "r\($0)" }, _ changes: (Int) -> [String: String]
    ) -> String {
        let groups = stride(from: 0, to: count, by: 2_500).map { start in
            let rules = (start..<min(count, start + 2_500)).map {
                Documents.rule(name($0), ["priority": "\(100 + $0 - start)"].merging(changes($0)) { _, new in new })
            }
            return "{\"name\": \"g\(start)\", \"securityRules\": [\(rules.joined(separator: ",\n"))]}"
        }
        return "{\"networkSecurityGroups\": [\(groups.joined(separator: ", "))]}"
    }

    private static func interfaces(_ count: Int, subnets: String, _ subnet: (Int) -> String) -> String {
        let interfaces = list(count) { "{name: 'n\($0)', ipConfigurations: [{name: 'x', subnet: '\(subnet($0))'}]}" }
        return """
            {virtualNetworks: [{name: 'lab', addressSpace: {addressPrefixes: ['10.0.0.0/8']}, subnets: [\(subnets)]}],
             networkInterfaces: [\(interfaces)]}
            """
    }

    private static func prefix(_ index: Int) -> String { "10.\(index / 250).\(index % 250).0/24" }

    static let kinds = [
        FaultVolume(testDescription: "unknown tags", code: "SecurityRuleInvalidAddressPrefix") { count in
            rules(count) { ["sourceAddressPrefix": "\"AzureClod\($0)\""] }
        },
        FaultVolume(testDescription: "misspelt properties", code: "UnknownProperty") { count in
            rules(count) { _ in ["sourceAddressPrefix": "", "sourceAdressPrefix": "\"*\""] }
        },
        FaultVolume(testDescription: "unknown words", code: "UnknownValue") { count in
            rules(count) { _ in ["direction": "\"Inbond\""] }
        },
        FaultVolume(testDescription: "one name for all", code: "DuplicateResourceName") { count in
            rules(count, name: { _ in "r" }) { _ in [:] }
        },
        FaultVolume(testDescription: "unknown subnets among many", code: "UnknownReference") { count in
            interfaces(count, subnets: list(count) { "{name: 's\($0)', addressPrefix: '\(prefix($0))'}" }) {
                "lab/t\($0)"
            }
        },
        FaultVolume(testDescription: "a name that fits many", code: "AmbiguousReference") { count in
            let groups = list(count) { "{name: 'web', resourceGroup: 'g\($0)'}" }
            let interfaces = list(count) {
                "{name: 'n\($0)', networkSecurityGroup: 'web', ipConfigurations: [{name: 'x', subnet: 'front'}]}"
            }
            return """
                {virtualNetworks: [{name: 'lab', addressSpace: {addressPrefixes: ['10.0.0.0/8']}, subnets: [{name: 'front', addressPrefix: '10.1.0.0/24'}]}],
                 networkSecurityGroups: [\(groups)], networkInterfaces: [\(interfaces)]}
                """
        },
        FaultVolume(testDescription: "admin rules about unknown groups", code: "UnknownReference") { count in
            let collections = stride(from: 0, to: count, by: 2_500).map { start in
                let rules = (start..<min(count, start + 2_500)).map {
                    """
                    {name: 'r\($0)', priority: \($0 - start + 1), protocol: 'Any', direction: 'Inbound', access: 'Deny',
                     sources: [{addressPrefix: 'h\($0)', addressPrefixType: 'NetworkGroup'}]}
                    """
                }
                return "{name: 'c\(start)', appliesToGroups: ['g0'], rules: [\(rules.joined(separator: ", "))]}"
            }
            return """
                {networkManagers: [{name: 'nm', networkGroups: [\(list(count) { "{name: 'g\($0)'}" })],
                 securityAdminConfigurations: [{name: 'c', ruleCollections: [\(collections.joined(separator: ", "))]}]}]}
                """
        },
        FaultVolume(testDescription: "subnets outside many ranges", code: "NetcfgInvalidSubnet") { count in
            """
            {virtualNetworks: [{name: 'lab', addressSpace: {addressPrefixes: [\(list(count) { "'\(prefix($0))'" })]},
             subnets: [\(list(count) { "{name: 's\($0)', addressPrefix: '172.16.\($0 / 250).\($0 % 250)/32'}" })]}]}
            """
        },
        FaultVolume(testDescription: "overlapping prefixes", code: "OverlappingSubnetsNotPermittedInSecurityRule") {
            count in
            let list = list(count) { "\"\(prefix($0))\"" }
            return rules(1) { _ in
                ["destinationAddressPrefix": "", "destinationAddressPrefixes": "[\"10.0.0.0/8\", \(list)]"]
            }
        },
    ]

    private func work(_ text: String) -> (faults: [Fault], seconds: Double) {
        // The thread's own time: what else the machine does is not in it.
        let start = threadSeconds()
        let found = faults(
            [text],
            settings:
                "{limits: {securityRulesPerGroup: 100000, addressesOrPortsPerGroup: 100000, networkSecurityGroups: 100000}}"
        )
        return (found, threadSeconds() - start)
    }

    private func threadSeconds() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    @Test("ten thousand faults in one file, each with its line")
    func tenThousand() {
        let found = work(Self.kinds[0].text(10_000)).faults
        #expect(found.count { $0.code == Self.kinds[0].code } == 10_000)
        // A group begins on the line on which the one before it ends.
        #expect(Set(found.map(\.line)).count == 10_000 - 3)
    }

    @Test("eight times the faults, eight times the report", arguments: kinds)
    func grows(kind: FaultVolume) {
        let texts = [625, 5_000].map(kind.text)
        func size(_ faults: [Fault]) -> Int { faults.reduce(0) { $0 + $1.description.utf8.count } }
        // By the square it would be 64 times, at every attempt; a busy machine only spoils one.
        var ratio = Double.infinity
        for _ in 0..<4 where ratio > 16 {
            let (few, many) = (work(texts[0]), work(texts[1]))
            ratio = many.seconds / few.seconds
            let counts = [few, many].map { $0.faults.count { $0.code == kind.code } }
            #expect(counts[0] >= 624 && counts[1] >= 4_998, "\(counts)")
            #expect(size(many.faults) < 10 * size(few.faults))
            #expect(many.faults.count { $0.remedy.contains("did you mean") } <= 101 || kind.code == "UnknownValue")
        }
        #expect(ratio <= 16)
    }

    @Test("names are compared with misspelt ones up to a bound")
    func comparisons() {
        let diagnostics = Diagnostics()
        var searches = 0
        for _ in 0..<1_000 { if diagnostics.mayCompare(with: 10_000) { searches += 1 } }
        #expect(searches == 30 && diagnostics.comparisons == Diagnostics.mostComparisons)
        let place = Place(file: "a", line: 1, trail: .root)
        let other = Diagnostics()
        for _ in 0..<100 { other.report(.unknownValue, at: place, "", remedy: "") }
        #expect(!other.mayCompare(with: 1))
    }
}
