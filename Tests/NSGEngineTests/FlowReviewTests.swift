import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

@Suite("Flows that a change of policy ends (S5, S6)")
struct FlowReviewTests {
    private static func flush(_ estate: inout Estate, _ groups: String...) {
        for id in estate.networkSecurityGroups.keys where groups.contains(id.name) {
            estate.networkSecurityGroups[id]?.flushConnection = true
        }
    }

    /// A flow to port 80 of web1, which rule AllowWeb allowed.
    private static func connection(in policy: Policy, label: UInt128? = nil) throws -> Connection {
        Connection(
            id: 7, flow: try TwoMachines.flow(port: 80), label: try label ?? TwoMachines.label(in: policy),
            totals: nil, isClosed: false)
    }

    enum Expectation { case notEvaluated, goesOn, ends }

    struct Change: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// Groups with `flushConnection` on before and after.
        var before: [String] = ["web"]
        var after: [String] = ["web"]
        var webPort = 81
        var expected: Expectation
    }

    @Test(
        "a group's flows are evaluated again when its rules change or the flag goes on",
        arguments: [
            Change(testDescription: "rule changed", expected: .ends),
            Change(testDescription: "nothing changed", webPort: 80, expected: .notEvaluated),
            Change(testDescription: "flag off (S5)", before: [], after: [], expected: .notEvaluated),
            Change(testDescription: "flag gone off", after: [], expected: .notEvaluated),
            Change(testDescription: "flag gone on", before: [], webPort: 80, expected: .goesOn),
            Change(testDescription: "flag gone on, rule changed", before: [], expected: .ends),
            Change(testDescription: "another group's flag", before: ["db"], after: ["db"], expected: .notEvaluated),
            Change(
                testDescription: "another group on the way evaluates, this one refuses", before: [], after: ["db"],
                expected: .ends),
        ])
    func evaluates(change: Change) throws {
        let before = try TwoMachines.policy { estate in
            for group in change.before { Self.flush(&estate, group) }
        }
        let after = try TwoMachines.policy(webPort: change.webPort, numbering: before.numbering) { estate in
            for group in change.after { Self.flush(&estate, group) }
        }
        let review = FlowReview(from: before, to: after)
        guard change.expected != .notEvaluated else {
            #expect(review == nil)
            return
        }
        let ends = try #require(review).ends(try Self.connection(in: before))
        #expect(ends == (change.expected == .ends))
    }

    @Test("what decides nothing is no change: names, descriptions, places, numbers of priorities")
    func comparesMeaning() throws {
        let before = try TwoMachines.policy { Self.flush(&$0, "web") }
        let after = try TwoMachines.policy(numbering: before.numbering) { estate in
            Self.flush(&estate, "web")
            for index in 0..<2 {
                estate.networkSecurityGroups[TwoMachines.group]?.securityRules[index].name += "2"
                estate.networkSecurityGroups[TwoMachines.group]?.securityRules[index].location = nil
                estate.networkSecurityGroups[TwoMachines.group]?.securityRules[index].description = "other"
                estate.networkSecurityGroups[TwoMachines.group]?.securityRules[index].priority = Priority(500 + index)
            }
        }
        #expect(FlowReview(from: before, to: after) == nil)
    }

    @Test("a tag or a network that stands for other addresses is a change of the rules that name it")
    func expansions() throws {
        let before = try TwoMachines.policy { Self.flush(&$0, "db") }
        let after = try TwoMachines.policy(numbering: before.numbering) { estate in
            Self.flush(&estate, "db")
            estate.virtualNetworks[TwoMachines.network]?.addressSpace = [try #require(IPPrefix("10.1.0.5/32"))]
        }
        // AllowVnetOutBound no longer covers web1.
        let review = try #require(FlowReview(from: before, to: after))
        #expect(try review.ends(Self.connection(in: before)))
    }

    @Test("a group that comes to an interface evaluates flows that no list judged there")
    func association() throws {
        func policy(_ group: ResourceID?, numbering: RuleNumbering) throws -> Policy {
            try TwoMachines.policy(webPort: 81, numbering: numbering) { estate in
                Self.flush(&estate, "web")
                for id in estate.networkInterfaces.keys where id.name == "web1" {
                    estate.networkInterfaces[id]?.networkSecurityGroup = group
                }
            }
        }
        let before = try policy(nil, numbering: RuleNumbering())
        let after = try policy(TwoMachines.group, numbering: before.numbering)
        let out = try TwoMachines.number("AllowVnetOutBound", of: "db", in: before)
        let label = FlowLabel.bits(out, in: LabelSlot(side: .entry, level: .nic)) | FlowLabel.decided
        let review = try #require(FlowReview(from: before, to: after))
        #expect(try review.ends(Self.connection(in: before, label: label)))
    }

    @Test("flows that are not decided, that pass elsewhere, or that the platform lets pass, go on (S9)")
    func others() throws {
        let before = try TwoMachines.policy { Self.flush(&$0, "web", "db") }
        let after = try TwoMachines.policy(webPort: 81, numbering: before.numbering) { estate in
            Self.flush(&estate, "web", "db")
            for id in estate.networkSecurityGroups.keys where id.name == "db" {
                let deny = NetworkSecurityGroup.defaultRules(of: id).filter { $0.access == .deny }
                estate.networkSecurityGroups[id]?.securityRules = deny.map { rule in
                    var rule = rule
                    rule.priority = Priority(4000)
                    return rule
                }
            }
        }
        let review = try #require(FlowReview(from: before, to: after))
        let label = try TwoMachines.label(in: before)
        let decided = try Self.connection(in: before)
        #expect(review.ends(decided))
        var undecided = decided
        undecided.label = label & ~FlowLabel.decided
        #expect(!review.ends(undecided))
        undecided.label = nil
        #expect(!review.ends(undecided))
        var elsewhere = decided
        elsewhere.flow.source = try #require(IPAddress("203.0.113.9"))
        elsewhere.flow.destination = try #require(IPAddress("198.51.100.4"))
        elsewhere.label = FlowLabel.decided
        #expect(!review.ends(elsewhere))
        var resolver = decided
        resolver.flow = FlowTuple(
            protocol: .udp, source: decided.flow.source, destination: try #require(IPAddress("168.63.129.16")),
            sourcePort: 40_000, destinationPort: 53)
        resolver.label = label & 0xfffff << 20 | FlowLabel.decided
        #expect(!review.ends(resolver))
        resolver.flow.destinationPort = 54
        #expect(review.ends(resolver))
    }

    @Test("what would begin a connection anew is kept out: of TCP both directions, of UDP the answers (KERNEL 7)")
    func cuts() throws {
        let store = FakeRulesetStore()
        let table = "cut"
        let sets = [CutFlows.four, CutFlows.six]
        _ = try store.commit([.addTable] + sets.map { .addSet($0) }, table: table, expecting: nil)
        func flow(_ protocol: IPProtocol, _ source: String, _ destination: String) throws -> FlowTuple {
            FlowTuple(
                protocol: `protocol`, source: try #require(IPAddress(source)),
                destination: try #require(IPAddress(destination)), sourcePort: 1000, destinationPort: 2000)
        }
        func both(_ protocol: IPProtocol, _ source: String, _ destination: String) throws -> CutFlow {
            CutFlow(
                original: try flow(`protocol`, source, destination), reply: try flow(`protocol`, destination, source))
        }
        let enforcement = Enforcement(store: store)
        try enforcement.cut(
            [
                both(.tcp, "10.1.0.4", "10.1.0.5"), both(.udp, "10.1.0.4", "10.1.0.5"),
                both(.udp, "fd00::4", "fd00::5"),
                both(.icmp, "10.1.0.4", "10.1.0.5"),
            ], table: table)
        let added = store.transactions.dropFirst().flatMap { $0.map(\.description) }
        #expect(added.count == 2)
        #expect(added.first?.contains("10.1.0.4 . 10.1.0.5 . tcp") == true)
        #expect(added.first?.contains("10.1.0.5 . 10.1.0.4 . tcp") == true)
        #expect(added.first?.contains("10.1.0.5 . 10.1.0.4 . udp") == true)
        #expect(added.first?.contains("10.1.0.4 . 10.1.0.5 . udp") == false)
        #expect(added.last?.contains("fd00::5 . fd00::4 . udp") == true)
        let count = store.transactions.count
        try enforcement.cut([both(.icmp, "10.1.0.4", "10.1.0.5")], table: table)
        #expect(store.transactions.count == count)
    }
}
