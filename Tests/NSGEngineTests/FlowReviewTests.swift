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
        let review = FlowReview(from: before, to: after, localAddresses: [])
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
        #expect(FlowReview(from: before, to: after, localAddresses: []) == nil)
    }

    @Test("a tag or a network that stands for other addresses is a change of the rules that name it")
    func expansions() throws {
        let before = try TwoMachines.policy { Self.flush(&$0, "db") }
        let after = try TwoMachines.policy(numbering: before.numbering) { estate in
            Self.flush(&estate, "db")
            estate.virtualNetworks[TwoMachines.network]?.addressSpace = [try #require(IPPrefix("10.1.0.5/32"))]
        }
        // AllowVnetOutBound no longer covers web1.
        let review = try #require(FlowReview(from: before, to: after, localAddresses: []))
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
        let review = try #require(FlowReview(from: before, to: after, localAddresses: []))
        #expect(try review.ends(Self.connection(in: before, label: label)))
    }

    @Test("flows that pass elsewhere, or that the platform lets pass, go on (S9)")
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
        let review = try #require(FlowReview(from: before, to: after, localAddresses: []))
        let label = try TwoMachines.label(in: before)
        let decided = try Self.connection(in: before)
        #expect(review.ends(decided))
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

    @Test("flows that no policy has judged, older than the first, are told by their addresses (S6)")
    func unlabelled() throws {
        func review(_ change: (inout Estate) -> Void = { _ in }) throws -> FlowReview {
            let before = try TwoMachines.policy()
            return try #require(
                FlowReview(
                    from: before,
                    to: TwoMachines.policy(numbering: before.numbering) { estate in
                        Self.flush(&estate, "web")
                        change(&estate)
                    }, localAddresses: []))
        }
        func ends(_ review: FlowReview, from source: String, port: UInt16, label: UInt128? = nil) throws -> Bool {
            var flow = try TwoMachines.flow(port: port)
            flow.source = try #require(IPAddress(source))
            return review.ends(Connection(id: 7, flow: flow, label: label, totals: nil, isClosed: false))
        }
        let guests = try review()
        for label: UInt128? in [nil, 0] {
            for source in ["10.1.0.5", "203.0.113.9"] {
                #expect(try !ends(guests, from: source, port: 80, label: label))
                #expect(try ends(guests, from: source, port: 81, label: label))
            }
        }
        // What this machine's own address is asked may come by any device.
        let host = try review { estate in
            for index in estate.bindings.indices where estate.bindings[index].device == "v-web" {
                estate.bindings[index].attachment = .host
            }
        }
        #expect(try !ends(host, from: "203.0.113.9", port: 81))
        #expect(try !ends(host, from: "10.1.0.5", port: 81))
    }

    @Test("ports of DHCP exempt what is between neighbours, not what this machine routes (S6, S12)")
    func linkTraffic() throws {
        let before = try TwoMachines.policy()
        let router = try #require(IPAddress("10.1.0.1"))
        let review = try #require(
            FlowReview(
                from: before, to: TwoMachines.policy(numbering: before.numbering) { Self.flush(&$0, "web") },
                localAddresses: [router]))
        var flow = try TwoMachines.flow(port: 68, from: 67)
        flow.protocol = .udp
        let ends = { (flow: FlowTuple) in
            review.ends(Connection(id: 7, flow: flow, label: nil, totals: nil, isClosed: false))
        }
        #expect(ends(flow))
        flow.source = router
        #expect(!ends(flow))
    }

    private static func flow(_ protocol: IPProtocol, _ source: String, _ destination: String) throws -> FlowTuple {
        FlowTuple(
            protocol: `protocol`, source: try #require(IPAddress(source)),
            destination: try #require(IPAddress(destination)), sourcePort: `protocol`.hasPorts ? 1000 : nil,
            destinationPort: `protocol`.hasPorts ? 2000 : nil)
    }

    private static func cut(_ protocol: IPProtocol, _ source: String, _ destination: String) throws -> CutFlow {
        CutFlow(original: try flow(`protocol`, source, destination), reply: try flow(`protocol`, destination, source))
    }

    @Test("what would begin a connection anew is kept out: of TCP both directions, of others the answers (KERNEL 7)")
    func cuts() throws {
        let store = FakeRulesetStore()
        let table = "cut"
        _ = try store.commit([.addTable] + CutFlows.sets.map { .addSet($0) }, table: table, expecting: nil)
        var enforcement = Enforcement(store: store)
        let flows = [
            try Self.cut(.tcp, "10.1.0.4", "10.1.0.5"), try Self.cut(.udp, "10.1.0.4", "10.1.0.5"),
            try Self.cut(.udp, "fd00::4", "fd00::5"), try Self.cut(.esp, "10.1.0.4", "10.1.0.5"),
            try Self.cut(.icmp, "10.1.0.4", "10.1.0.5"),
        ]
        var refusal = enforcement.cut(flows, table: table)
        #expect(refusal == nil)
        let expected = [
            "add element cut/tcp.v4 { 10.1.0.4 . 10.1.0.5 . 1000 . 2000 timeout 432000000ms, "
                + "10.1.0.5 . 10.1.0.4 . 1000 . 2000 timeout 432000000ms }",
            "add element cut/ports.v4 { 10.1.0.5 . 10.1.0.4 . udp . 1000 . 2000 timeout 300000ms }",
            "add element cut/ports.v6 { fd00::5 . fd00::4 . udp . 1000 . 2000 timeout 300000ms }",
            "add element cut/hosts.v4 { 10.1.0.5 . 10.1.0.4 . esp timeout 300000ms }",
        ]
        #expect(store.transactions.dropFirst().map { $0.map(\.description) } == expected.map { [$0] })
        // Two flows of one element: a second deletion would find nothing and refuse all.
        try enforcement.release([flows[3], flows[3]], table: table)
        #expect(
            store.transactions.last?.map(\.description) == [
                expected[3], expected[3].replacing("add", with: "delete", maxReplacements: 1),
            ])
        let count = store.transactions.count
        refusal = enforcement.cut([flows[4]], table: table)
        #expect(refusal == nil)
        try enforcement.release([flows[4]], table: table)
        #expect(store.transactions.count == count)
        // A set that takes no more, here that of UDP, does not keep the others from theirs.
        let full = KernelError(errno: 23, doing: "add")
        store.failingAttempt = (store.attempts + 1, full)
        refusal = enforcement.cut(flows, table: table)
        #expect(refusal == full)
        #expect(
            store.transactions.dropFirst(count).map { $0.map(\.description) } == [0, 2, 3].map { [expected[$0]] })
    }

    @Test("what was ended is remembered until a policy allows it, the newest of it, TCP excepted (S6)")
    func remembers() throws {
        let web = ResourceID(
            subscription: "00000000-0000-0000-0000-000000000000", resourceGroup: "lab", type: "networkInterfaces",
            name: "web1")
        let passages = [Passage(web, .inbound)]
        func flow(_ number: Int, port: UInt16, _ protocol: IPProtocol = .udp) throws -> CutFlow {
            var flow = try TwoMachines.flow(port: port, from: UInt16(number % 65_536))
            flow.protocol = `protocol`
            if number > 65_535 { flow.source = try #require(IPAddress("10.1.0.6")) }
            return CutFlow(original: flow, reply: flow)
        }
        var ended = EndedFlows()
        ended.note([
            (try flow(1, port: 53), passages), (try flow(2, port: 54), passages),
            (try flow(3, port: 53, .tcp), passages),
        ])
        let closed = try TwoMachines.policy()
        var freed = ended.takeAllowed(by: closed)
        #expect(freed.isEmpty && ended.count == 2)
        let open = try TwoMachines.policy { estate in
            let group = TwoMachines.group
            estate.networkSecurityGroups[group]?.securityRules[0].protocol = .any
            estate.networkSecurityGroups[group]?.securityRules[0].destinationPorts = [PortRange(53)]
        }
        freed = ended.takeAllowed(by: open)
        #expect(try freed == [flow(1, port: 53)])
        freed = ended.takeAllowed(by: open)
        #expect(freed.isEmpty && ended.count == 1)
        ended.note(try (0..<EndedFlows.limit).map { (try flow($0 + 10, port: 53), passages) })
        #expect(ended.count == EndedFlows.limit)
        freed = ended.takeAllowed(by: open)
        #expect(freed.count == EndedFlows.limit && ended.count == 0)
    }
}

extension FlowReview {
    fileprivate func ends(_ connection: Connection) -> Bool {
        var review = self
        return review.refusal(of: connection) != nil
    }
}
