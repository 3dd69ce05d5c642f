import JSONText

/// A live connection at one network interface, as `flows` shows it.
struct FlowRow {
    /// What tells it from others, also from one to the next listing.
    let identity: String
    /// Of the connection, whichever interface shows it.
    let connection: String
    let counters: Counters?
    private let flow: JSONValue

    struct Counters {
        var packetsSent: Int
        var bytesSent: Int
        var packetsReceived: Int
        var bytesReceived: Int
    }

    init(_ flow: JSONValue) {
        self.flow = flow
        counters = flow["packetsSent"]?.int.map {
            Counters(
                packetsSent: $0, bytesSent: flow["bytesSent"]?.int ?? 0,
                packetsReceived: flow["packetsReceived"]?.int ?? 0, bytesReceived: flow["bytesReceived"]?.int ?? 0)
        }
        let members = Self.identifying.compactMap { flow[$0]?.text() }
        connection = members.joined(separator: " ")
        identity = connection + " \(flow["nic"]?.text() ?? "") \(flow["direction"]?.text() ?? "")"
    }

    private static let identifying = [
        "flow", "protocol", "source", "sourcePort", "destination", "destinationPort", "icmpType",
    ]

    /// A `FlowIdentity` of the control interface.
    var document: JSONValue {
        JSONValue(object: Self.identifying.compactMap { key in flow[key].map { (key, $0) } })
    }

    private func text(_ key: String) -> String { flow[key]?.string ?? "" }

    private func end(_ key: String) -> String? {
        guard let address = flow[key]?.string else { return nil }
        guard let port = flow["\(key)Port"]?.int else { return address }
        return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    private var nic: String { flow["nic"]?.string.map(ResourceName.last) ?? "-" }

    // MARK: Table

    /// Of rows without their traffic, which stands before the last two columns.
    static let headers = (before: ["NIC", "Dir", "Proto", "Source", "Destination", "State"], after: ["Age", "Rules"])

    var cells: (before: [String], after: [String]) {
        let direction = text("direction") == "Inbound" ? "In" : "Out"
        return (
            [nic, direction, text("protocol"), end("source") ?? "", end("destination") ?? "", text("state")],
            [flow["age"]?.int.map(Self.duration) ?? "-", ([rules] + remarks).joined(separator: "; ")]
        )
    }

    var trafficCells: [String] {
        guard let counters else { return ["uncounted", "uncounted"] }
        return [
            "\(Self.amount(counters.packetsSent))/\(Self.amount(counters.packetsReceived))",
            "\(Self.amount(counters.bytesSent))/\(Self.amount(counters.bytesReceived))",
        ]
    }

    private var rules: String {
        let names = (flow["stages"]?.array ?? []).compactMap { stage -> String? in
            guard let name = stage["ruleName"]?.string, !name.isEmpty else { return nil }
            return ResourceName.last(of: name) + (stage["former"]?.bool ?? false ? " (former)" : "")
        }
        if !names.isEmpty { return names.joined(separator: ", ") }
        return flow["platform"]?.bool ?? false ? "platform" : "no rule"
    }

    private var remarks: [String] {
        var remarks: [String] = []
        if flow["adopted"]?.bool ?? false { remarks.append("adopted") }
        if let refusal = flow["wouldNowDeny"] { remarks.append("now denied by \(reason(refusal))") }
        if let end = end("originalDestination") { remarks.append("asked for \(end)") }
        if let end = end("translatedSource") { remarks.append("seen as \(end)") }
        return remarks
    }

    /// `GROUP/RULE`, and the interface where it is another one.
    private func reason(_ refusal: JSONValue) -> String {
        let other = ResourceName.last(of: refusal["nic"]?.string ?? "")
        let place = other == nic ? "" : " at \(other)"
        guard let stage = refusal["stage"] else { return "the platform\(place): \(refusal["reason"]?.string ?? "")" }
        let group = ResourceName.last(of: stage["networkSecurityGroup"]?.string ?? "")
        return "\(group)/\(ResourceName.last(of: stage["ruleName"]?.string ?? ""))\(place)"
    }

    // MARK: TSV

    var fields: [String] {
        let numbers = ["packetsSent", "bytesSent", "packetsReceived", "bytesReceived", "age", "timeout"]
        return [
            nic, text("interface"), text("direction"), text("protocol"), end("source") ?? "", end("destination") ?? "",
            text("state"),
        ] + numbers.map { flow[$0]?.text() ?? "" } + [rules, remarks.joined(separator: "; ")]
    }

    // MARK: Short numbers

    /// `940`, `12.4K`, `3.1G`; of a thousand each.
    static func amount(_ number: Int) -> String {
        var (rest, unit) = (Double(number), "")
        for next in ["K", "M", "G", "T"] where rest >= 1000 { (rest, unit) = (rest / 1000, next) }
        if unit.isEmpty { return "\(number)" }
        let tenths = Int((rest * 10).rounded(.down))
        return tenths >= 1000 ? "\(tenths / 10)\(unit)" : "\(tenths / 10).\(tenths % 10)\(unit)"
    }

    private static func duration(_ seconds: Int) -> String {
        switch seconds {
        case ..<60: "\(seconds)s"
        case ..<3600: "\(seconds / 60)m\(seconds % 60)s"
        case ..<86_400: "\(seconds / 3600)h\(seconds / 60 % 60)m"
        default: "\(seconds / 86_400)d\(seconds / 3600 % 24)h"
        }
    }
}
