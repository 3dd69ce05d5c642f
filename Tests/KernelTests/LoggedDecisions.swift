import JSONText
import TestSupport
import Testing

/// What `flows.jsonl` says of decisions, in short: `web Inbound Allow: admin/AllowSsh Allow, subnet/AllowVnetInBound
/// Allow`, or `web Outbound Allow: platform`.
struct LoggedDecision: Hashable, CustomStringConvertible {
    var interface: String
    var direction: String
    var access: String
    /// Level and rule of each stage.
    var stages: [String]
    var source: String
    var destination: String
    var port: Int?

    init?(_ record: JSONValue) {
        guard record["event"]?.string == "decision" else { return nil }
        let last = { (text: String?) in text?.split(separator: "/").last.map(String.init) ?? "" }
        interface = last(record["nic"]?.string)
        direction = record["direction"]?.string ?? ""
        access = record["access"]?.string ?? ""
        stages = (record["stages"]?.array ?? []).map { stage in
            "\(stage["level"]?.string ?? "")/\(last(stage["ruleName"]?.string)) \(stage["access"]?.string ?? "")"
        }
        if record["platform"]?.bool == true { stages.append("platform") }
        source = record["source"]?.string ?? ""
        destination = record["destination"]?.string ?? ""
        port = record["destinationPort"]?.int
    }

    var description: String { "\(interface) \(direction) \(access): \(stages.joined(separator: ", "))" }
}

extension TestNetwork {
    /// Waits until the log has these decisions about packets to an address and port; each interface is asked once.
    func expectDecisions(
        to address: String, _ port: Int, _ expected: Set<String>, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var found: Set<String> = []
        let isLogged = try eventually {
            let decisions = try records().compactMap { LoggedDecision($0) }
            found = Set(decisions.filter { $0.destination == address && $0.port == port }.map(\.description))
            return found == expected
        }
        #expect(isLogged, "\(address) \(port): \(found.sorted())", sourceLocation: sourceLocation)
    }
}
