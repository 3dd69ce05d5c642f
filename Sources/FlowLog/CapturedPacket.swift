package import JSONText
import NSGModel

/// A first packet with what was decided about it (F7), on its way from the daemon to a capture file.
package struct CapturedPacket: Sendable {
    package var time: Timestamp
    /// From the IP header on, as far as the kernel copied it.
    package var bytes: [UInt8]
    /// Bytes of the whole packet.
    package var length: Int
    /// One for each network interface that decided, as a line of `flows.jsonl` says it (F8). The first is the one the
    /// packet is filed under.
    package var decisions: [JSONValue]

    /// - Parameter records: at least one.
    package init(time: Timestamp, bytes: [UInt8], length: Int, records: [FlowRecord]) {
        self.time = time
        self.bytes = bytes
        self.length = length
        decisions = records.compactMap { try? JSONValue(parsing: $0.jsonLine, dialect: .json) }
    }

    /// Bytes of the text of `json`, about, before it is made.
    package static func size(bytes: [UInt8], records: [FlowRecord]) -> Int {
        // Of what is of nearly the same length for all: flow, counters, numbers and keys.
        records.reduce(100 + bytes.count * 4 / 3) { size, record in
            size + 350 + record.side.placeText.count + record.side.stagesText.count
        }
    }

    // MARK: JSON

    package var json: JSONValue {
        JSONValue(object: [
            ("nanoseconds", JSONValue(time.nanoseconds)), ("bytes", JSONValue(bytes.base64)),
            ("length", JSONValue(length)), ("decisions", JSONValue(decisions)),
        ])
    }

    /// Nil for what `json` cannot have given.
    package init?(_ json: JSONValue) {
        guard let nanoseconds = json["nanoseconds"]?.int.flatMap(UInt64.init(exactly:)),
            let bytes = json["bytes"]?.string.flatMap([UInt8].init(base64:)), let length = json["length"]?.int,
            let decisions = json["decisions"]?.array, !decisions.isEmpty
        else { return nil }
        time = Timestamp(nanoseconds: nanoseconds)
        self.bytes = bytes
        self.length = length
        self.decisions = decisions
    }

    // MARK: Text

    /// A line for each interface, such as `Deny web/no-ssh (securityRules/no-ssh, nic, priority 200), inbound at web1;
    /// allowed by lab/ssh (securityRules/ssh, subnet, priority 300)`.
    package var comment: String { decisions.map(Self.comment).joined(separator: "\n") }

    /// `TCP 203.0.113.9:40000 > 10.1.0.4:22`
    package var flow: String {
        guard let decision = decisions.first else { return "" }
        let transport = decision["protocol"].map { $0.string ?? "protocol \($0.text())" } ?? ""
        let end = { (side: String) in
            let address = decision[side]?.string ?? ""
            guard let port = decision["\(side)Port"]?.int else { return address }
            return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
        }
        return "\(transport) \(end("source")) > \(end("destination"))"
    }

    private static func comment(_ decision: JSONValue) -> String {
        let access = decision["access"]?.string ?? ""
        let place = "\((decision["direction"]?.string ?? "").lowercased()) at \(name(of: decision))"
        if decision["platform"]?.bool ?? false { return "\(access) by the platform, \(place)" }
        let stages = (decision["stages"]?.array ?? []).filter { $0["ruleName"]?.string?.isEmpty == false }
        let denying = stages.firstIndex { $0["access"]?.string == Access.deny.rawValue }
        guard let deciding = access == Access.deny.rawValue ? denying : stages.indices.last else {
            return "\(access) without a security group, \(place)"
        }
        let others = stages[..<deciding].map(rule).joined(separator: ", ")
        return "\(access) \(rule(stages[deciding])), \(place)" + (others.isEmpty ? "" : "; allowed by \(others)")
    }

    /// `web/no-ssh (securityRules/no-ssh, nic, priority 200)`
    private static func rule(_ stage: JSONValue) -> String {
        let name = stage["ruleName"]?.string ?? ""
        let group = last(of: stage["networkSecurityGroup"]?.string ?? "")
        let priority = stage["priority"].map { ", priority \($0.text())" } ?? ""
        let derived = stage["derived"]?.bool ?? false ? ", derived" : ""
        return "\(group)/\(last(of: name)) (\(name), \(stage["level"]?.string ?? "")\(priority)\(derived))"
    }

    /// Of the network interface; of its device where no document has it.
    private static func name(of decision: JSONValue) -> String {
        decision["nic"]?.string.map(last) ?? decision["interface"]?.string ?? "an interface that is gone"
    }

    private static func last(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    // MARK: File

    /// - Parameter dropped: packets before it that are left out.
    package func pcapng(dropped: UInt64) -> PcapngWriter.Packet {
        let first = decisions.first ?? [:]
        let nic = first["nic"]?.string ?? ""
        return PcapngWriter.Packet(
            time: time, bytes: bytes, length: length,
            interface: PcapngWriter.Interface(name: first["interface"]?.string ?? Self.last(of: nic), description: nic),
            isInbound: first["direction"]?.string == Direction.inbound.rawValue, comment: comment, dropped: dropped)
    }
}
