import FlowLog
import JSONText
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Testing

@Suite("Live flows with the rules that let them in (K3, E4)")
struct FlowListingTests {
    let policy: Policy

    init() throws { policy = try TwoMachines.policy() }

    private static func live(
        _ policy: Policy, port: UInt16 = 80, label: UInt128?, isClosed: Bool = false,
        _ change: (inout LiveConnection) -> Void = { _ in }
    ) throws -> LiveConnection {
        let flow = try TwoMachines.flow(port: port)
        let end = { LiveConnection.End(address: $0, port: $1) }
        var live = LiveConnection(
            connection: Connection(
                id: 7, flow: flow, label: label, totals: FlowCounters(packetsSent: 4, bytesSent: 400),
                isClosed: isClosed),
            askedFor: end(flow.destination, flow.destinationPort), answered: end(flow.source, flow.sourcePort),
            state: "ESTABLISHED", timeout: 60, start: Timestamp(seconds: 100))
        change(&live)
        return live
    }

    private static func rows(
        _ live: LiveConnection, in policy: Policy, _ parameters: JSONValue = [:]
    ) throws -> [JSONValue] {
        var listing = FlowListing(policy, localAddresses: [], filter: try FlowFilter(parameters, in: policy))
        return listing.listed(live, isJudged: true)?.documents(now: Timestamp(seconds: 130)) ?? []
    }

    /// `web1 Inbound AllowWeb`
    private static func summary(_ rows: [JSONValue]) -> [String] {
        rows.map { row in
            let rules = (row["stages"]?.array ?? []).map { stage in
                (stage["ruleName"]?.string?.split(separator: "/").last.map(String.init) ?? "")
                    + (stage["former"]?.bool ?? false ? " former" : "")
                    + (stage["derived"]?.bool ?? false ? " derived" : "")
            }
            let nic = row["nic"]?.string.map { ResourceID($0).name } ?? "-"
            return ([nic, row["direction"]?.string ?? ""] + rules + (row["adopted"] == nil ? [] : ["adopted"]))
                .joined(separator: " ")
        }
    }

    @Test("a connection is listed at both of its interfaces, by the rules in its label, translated and counted")
    func tells() throws {
        let label = try TwoMachines.label(in: policy)
        let live = try Self.live(policy, label: label) {
            $0.askedFor = LiveConnection.End(address: .v4(IPv4Address(0xcb00_7150)), port: 8080)
        }
        let rows = try Self.rows(live, in: policy)
        #expect(Self.summary(rows) == ["db1 Outbound AllowVnetOutBound", "web1 Inbound AllowWeb"])
        let row = try #require(rows.last)
        #expect(row["originalDestination"] == "203.0.113.80" && row["originalDestinationPort"] == 8080)
        #expect(row["translatedSource"] == nil && row["wouldNowDeny"] == nil)
        #expect(row["age"] == 30 && row["bytesSent"] == 400 && row["timeout"] == 60 && row["interface"] == "v-web")
        #expect(row["stages"]?[0]?["file"]?.string?.hasPrefix("policy.d/a.json:") == true)
    }

    @Test("what the present policy would refuse is told with the rule, unless it has closed; by versions that are gone")
    func wouldNowDeny() throws {
        let label = try TwoMachines.label(in: policy)
        let changed = try TwoMachines.policy(webPort: 81, numbering: policy.numbering)
        let rows = try Self.rows(Self.live(policy, label: label), in: changed, ["wouldNowDeny": true])
        #expect(Self.summary(rows) == ["db1 Outbound AllowVnetOutBound", "web1 Inbound AllowWeb former"])
        for row in rows {
            let refusal = row["wouldNowDeny"]
            #expect(refusal?["nic"]?.string.map { ResourceID($0).name } == "web1")
            #expect(refusal?["stage"]?["ruleName"] == "securityRules/DenyRest")
        }
        #expect(try Self.rows(Self.live(policy, label: label), in: policy, ["wouldNowDeny": true]).isEmpty)
        #expect(
            try Self.rows(Self.live(policy, label: label, isClosed: true), in: changed, ["wouldNowDeny": true]).isEmpty)
    }

    @Test(
        "older than the policy it is adopted; its interface gone, the label still names the rules; others' are not listed"
    )
    func odd() throws {
        #expect(
            try Self.summary(Self.rows(Self.live(policy, label: nil), in: policy)) == [
                "db1 Outbound AllowVnetOutBound derived adopted", "web1 Inbound AllowWeb derived adopted",
            ])
        let label = try TwoMachines.label(in: policy)
        let unbound = try TwoMachines.policy(numbering: policy.numbering) { $0.bindings = [] }
        #expect(
            try Self.summary(Self.rows(Self.live(policy, label: label), in: unbound)) == [
                "- Outbound AllowVnetOutBound former", "- Inbound AllowWeb former",
            ])
        #expect(try Self.rows(Self.live(policy, label: nil), in: unbound).isEmpty)
    }

    @Test(
        "filters choose interfaces, rules, peers and connections",
        arguments: [
            ([:], 2), (["nic": "WEB1"], 1), (["rule": "allowweb"], 1), (["rule": "securityRules/AllowWeb"], 1),
            (["rule": "web/AllowWeb"], 1), (["rule": "db/AllowWeb"], 0), (["peer": "10.1.0.5"], 1),
            (["peer": "10.1.0.0/24"], 2), (["peer": "10.2.0.0/16"], 0), (["protocol": "tcp"], 2),
            (["protocol": "17"], 0), (["nic": "web1", "rule": "AllowVnetOutBound"], 0),
            (["flows": [Self.identity(port: 80)]], 2), (["flows": [Self.identity(port: 81)]], 0), (["flows": []], 0),
        ] as [(JSONValue, Int)])
    func filters(parameters: JSONValue, count: Int) throws {
        let label = try TwoMachines.label(in: policy)
        #expect(try Self.rows(Self.live(policy, label: label), in: policy, parameters).count == count)
    }

    private static func identity(port: Int) -> JSONValue {
        [
            "flow": 7, "protocol": "TCP", "source": "10.1.0.5", "sourcePort": 40000, "destination": "10.1.0.4",
            "destinationPort": JSONValue(port),
        ]
    }

    @Test(
        "what cannot be read is refused",
        arguments: [
            ["nic": "web9"], ["peer": "10.1.0"], ["protocol": "tpc"], ["flows": [["flow": 1]]],
            ["flows": [["flow": -1, "protocol": "TCP", "source": "10.1.0.5", "destination": "10.1.0.4"]]],
        ] as [JSONValue])
    func refuses(parameters: JSONValue) {
        #expect(throws: FlowQuery.Problem.self) { _ = try FlowFilter(parameters, in: policy) }
    }
}
