import JSONText
import NSGModel
import NetworkTypes

extension LogEntry {
    /// One JSON object (F8) without a newline at the end; members always in the same order. What is not known is left out.
    package var jsonLine: String {
        switch self {
        case .flow(let record): record.jsonLine
        case .gap(let gap): gap.jsonLine
        }
    }
}

extension FlowRecord {
    package var jsonLine: String {
        var line = JSONLine()
        line.append("time", time.description)
        line.append("event", isDecision ? "decision" : "flow")
        if let nic = interface.networkInterface { line.append("nic", nic.description) }
        if let device = interface.device { line.append("interface", device) }
        line.append("direction", direction.rawValue)
        appendFlow(to: &line)
        line.append("access", access.rawValue)
        line.append("stages", json: "[" + stages.map(\.json).joined(separator: ",") + "]")
        line.append("state", change.letter)
        appendChange(to: &line)
        if let flowID { line.append("flow", number: UInt64(flowID)) }
        if attribution == .adopted { line.append("adopted", json: "true") }
        if isPlatform { line.append("platform", json: "true") }
        return line.closed()
    }

    /// A verdict on a packet, as against what conntrack tells.
    private var isDecision: Bool {
        switch change {
        case .began: attribution == .packet
        case .denied, .deniedAgain: true
        case .continued, .ended: false
        }
    }

    private func appendFlow(to line: inout JSONLine) {
        switch flow.protocol {
        case .tcp, .udp, .icmp: line.append("protocol", flow.protocol.description)
        default: line.append("protocol", number: UInt64(flow.protocol.rawValue))
        }
        line.append("source", flow.source.description)
        if let port = flow.sourcePort { line.append("sourcePort", number: UInt64(port)) }
        line.append("destination", flow.destination.description)
        if let port = flow.destinationPort { line.append("destinationPort", number: UInt64(port)) }
        if let type = flow.icmpType { line.append("icmpType", number: UInt64(type)) }
    }

    /// Counters for B, C and E, so that a reader can add them up without a case for each; `repeats` for D.
    private func appendChange(to line: inout JSONLine) {
        switch change {
        case .began: line.append(.zero)
        case .continued(.counted(let counters)), .ended(.counted(let counters)): line.append(counters)
        case .continued(.uncounted), .ended(.uncounted): line.append("uncounted", json: "true")
        case .denied: line.append("repeats", number: 1)
        case .deniedAgain(let repeats): line.append("repeats", number: UInt64(max(repeats, 0)))
        }
    }
}

extension FlowChange {
    /// The flow state as Azure writes it.
    package var letter: String {
        switch self {
        case .began: "B"
        case .continued: "C"
        case .ended: "E"
        case .denied, .deniedAgain: "D"
        }
    }
}

extension StageRecord {
    /// As in `stages` of IP flow verify (K5), with `derived` where that is true.
    fileprivate var json: String {
        var line = JSONLine()
        line.append("level", level.rawValue)
        line.append("networkSecurityGroup", rule.networkSecurityGroup.description)
        line.append("ruleName", rule.qualifiedName)
        line.append("priority", json: String(priority.value))
        line.append("access", access.rawValue)
        if let location { line.append("file", location.description) }
        if isDerived { line.append("derived", json: "true") }
        return line.closed()
    }
}

extension GapRecord {
    package var jsonLine: String {
        var line = JSONLine()
        line.append("time", to.description)
        line.append("event", "gap")
        line.append("from", from.description)
        line.append("to", to.description)
        line.append("missing", number: missing)
        line.append("reason", reason.rawValue)
        if let rule {
            line.append("rule", rule.qualifiedName)
            line.append("networkSecurityGroup", rule.networkSecurityGroup.description)
        }
        return line.closed()
    }
}

/// One object, member by member: a line is written for each new connection, so it is not built as a tree of values first.
private struct JSONLine {
    private var text = "{"

    /// `key` needs no escapes.
    mutating func append(_ key: String, json: String) {
        if text.utf8.count > 1 { text += "," }
        text += "\""
        text += key
        text += "\":"
        text += json
    }

    mutating func append(_ key: String, _ value: String) { append(key, json: jsonString(value)) }
    mutating func append(_ key: String, number: UInt64) { append(key, json: String(number)) }

    mutating func append(_ counters: FlowCounters) {
        append("packetsSent", number: counters.packetsSent)
        append("bytesSent", number: counters.bytesSent)
        append("packetsReceived", number: counters.packetsReceived)
        append("bytesReceived", number: counters.bytesReceived)
    }

    consuming func closed() -> String { text + "}" }
}
