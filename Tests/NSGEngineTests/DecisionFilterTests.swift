import FlowLog
import JSONText
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Testing

@Suite("F7: which decisions a capture admits")
struct DecisionFilterTests {
    private static let base = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/lab/providers"

    /// From db1 to web1: outbound at db1 and inbound at web1, where `web` refuses port 81.
    private static func records(port: UInt16) throws -> [FlowRecord] {
        let policy = try TwoMachines.policy()
        var tracker = FlowTracker(attributor: Attributor(policy: policy))
        let flow = try TwoMachines.flow(port: port)
        let number = try TwoMachines.number("DenyRest", of: "web", in: policy)
        let allowed = Connection(
            id: 1, flow: flow, label: try TwoMachines.label(in: policy), totals: nil, isClosed: false)
        let packet = JudgedPacket(
            time: Timestamp(seconds: 1), mark: port == 80 ? .allowed : .denied(.init(side: .exit, level: .nic), number),
            entryDevice: "v-db", exitDevice: "v-web", flow: flow, connection: port == 80 ? allowed : nil, bytes: 60)
        return tracker.judged(packet)
    }

    @Test(
        "by interface, rule, verdict and protocol, in any case",
        arguments: [
            ("{}", [true, true], [true, true]),
            ("{nic: 'WEB1'}", [false, true], [false, true]),
            ("{nic: '\(base)/Microsoft.Network/networkInterfaces/db1'}", [true, false], [true, false]),
            ("{access: 'deny'}", [false, false], [false, true]),
            ("{access: 'Allow', nic: 'web1'}", [false, true], [false, false]),
            ("{rule: 'allowweb'}", [false, true], [false, false]),
            ("{rule: 'Web/DenyRest'}", [false, false], [false, true]),
            ("{rule: 'db/DenyRest'}", [false, false], [false, false]),
            ("{rule: 'securityRules/DenyRest'}", [false, false], [false, true]),
            ("{rule: 'defaultSecurityRules/DenyRest'}", [false, false], [false, false]),
            ("{rule: 'db/AllowVnetOutBound'}", [true, false], [true, false]),
            (
                "{rule: '\(base)/Microsoft.Network/networkSecurityGroups/web/securityRules/AllowWeb'}", [false, true],
                [false, false]
            ),
            ("{protocol: 'tcp'}", [true, true], [true, true]), ("{protocol: '17'}", [false, false], [false, false]),
        ] as [(String, [Bool], [Bool])]
    )
    func admits(text: String, allowed: [Bool], refused: [Bool]) throws {
        let filter = try DecisionFilter(JSONValue(parsing: text, dialect: .json5))
        #expect(try Self.records(port: 80).map(filter.admits) == allowed)
        #expect(try Self.records(port: 81).map(filter.admits) == refused)
    }

    @Test(
        "what nothing can come of is told at once",
        arguments: [
            ("{nic: 'web2'}", "no network interface 'web2' is bound on this host"),
            ("{rule: 'web/AllowSsh'}", "no security group of a bound interface has the rule 'web/allowssh'"),
            ("{nic: 'db1', rule: 'web/AllowWeb'}", nil),
        ] as [(String, String?)])
    func unknownNames(text: String, problem: String?) throws {
        let filter = try DecisionFilter(JSONValue(parsing: text, dialect: .json5))
        #expect(filter.problem(in: try TwoMachines.policy())?.description == problem)
    }

    @Test(
        "what is no filter is refused",
        arguments: ["{access: 'Maybe'}", "{protocol: 'TCPP'}", "{rule: 'a/b/c'}", "{rule: ''}"])
    func refuses(text: String) throws {
        let document = try JSONValue(parsing: text, dialect: .json5)
        #expect(throws: DecisionFilter.Problem.self) { _ = try DecisionFilter(document) }
    }
}
