import NSGModel
import NetworkTypes

extension LogEntry {
    /// One JSON object (F8) without a newline at the end; members always in the same order. What is not known is left
    /// out.
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
        line.append("stages", objects: stages) { stage, line in stage.append(to: &line) }
        line.append("state", change.letter)
        appendChange(to: &line)
        if let flowID { line.append("flow", number: flowID) }
        line.append("adopted", ifTrue: attribution == .adopted)
        line.append("platform", ifTrue: isPlatform)
        return line.text()
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
        default: line.append("protocol", number: flow.protocol.rawValue)
        }
        line.append("source", flow.source.description)
        if let port = flow.sourcePort { line.append("sourcePort", number: port) }
        line.append("destination", flow.destination.description)
        if let port = flow.destinationPort { line.append("destinationPort", number: port) }
        if let type = flow.icmpType { line.append("icmpType", number: type) }
    }

    /// Counters for B, C and E, so that a reader can add them up without a case for each; `repeats` for D.
    private func appendChange(to line: inout JSONLine) {
        switch change {
        case .began: FlowCounters.zero.append(to: &line)
        case .continued(.counted(let counters)), .ended(.counted(let counters)): counters.append(to: &line)
        case .continued(.uncounted), .ended(.uncounted): line.append("uncounted", ifTrue: true)
        case .denied: line.append("repeats", number: 1)
        case .deniedAgain(let repeats): line.append("repeats", number: repeats)
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
    fileprivate func append(to line: inout JSONLine) {
        line.append("level", level.rawValue)
        line.append("networkSecurityGroup", rule.group.description)
        line.append("ruleName", rule.qualifiedName)
        if !rule.kind.isNoAdminRule(rule.name) { line.append("priority", number: priority.value) }
        line.append("access", access.rawValue)
        if let location { line.append("file", location.description) }
        line.append("derived", ifTrue: isDerived)
    }
}

extension FlowCounters {
    fileprivate func append(to line: inout JSONLine) {
        line.append("packetsSent", number: packetsSent)
        line.append("bytesSent", number: bytesSent)
        line.append("packetsReceived", number: packetsReceived)
        line.append("bytesReceived", number: bytesReceived)
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
            if rule.kind != .platform { line.append("networkSecurityGroup", rule.group.description) }
        }
        return line.text()
    }
}
