import NSGModel
import NetworkTypes

extension LogEntry {
    /// One JSON object (F8) without a newline at the end; members always in the same order. What is not known is left
    /// out.
    package var jsonLine: String {
        var writer = LineWriter()
        var bytes: [UInt8] = []
        writer.write(self, into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension FlowRecord {
    package var jsonLine: String { LogEntry.flow(self).jsonLine }

    /// A verdict on a packet, as against what conntrack tells.
    fileprivate var isDecision: Bool {
        switch change {
        case .began: side.facts.attribution == .packet
        case .denied, .deniedAgain: true
        case .continued, .ended: false
        }
    }
}

/// Writes lines of `flows.jsonl` into a buffer that is used again. Keeps the text of the last second it met.
package struct LineWriter: Sendable {
    private var second: UInt64?
    /// `2026-11-20T14:03:02.`
    private var secondText: [UInt8] = []

    package init() {}

    /// Without a newline.
    package mutating func write(_ entry: LogEntry, into bytes: inout [UInt8]) {
        switch entry {
        case .flow(let record): write(record, into: &bytes)
        case .gap(let gap): gap.write(into: &bytes)
        }
    }

    private mutating func write(_ record: FlowRecord, into bytes: inout [UInt8]) {
        bytes += Text.time
        append(record.time, to: &bytes)
        bytes += record.isDecision ? Text.decision : Text.news
        bytes += record.side.placeText
        record.flow.write(into: &bytes)
        bytes += record.access == .deny ? Text.deny : Text.allow
        bytes += record.side.stagesText
        record.change.write(into: &bytes)
        if let total = record.total {
            bytes += Text.total
            Traffic.counted(total).write(into: &bytes)
            bytes.append(UInt8(ascii: "]"))
        }
        if record.repeats > 0 {
            bytes += Text.repeatsAfterNumber
            bytes.append(decimal: record.repeats)
        }
        if let flowID = record.flowID {
            bytes += Text.flow
            bytes.append(decimal: flowID)
        }
        bytes += record.side.endText
        bytes.append(UInt8(ascii: "}"))
    }

    /// RFC 3339 with milliseconds.
    private mutating func append(_ time: Timestamp, to bytes: inout [UInt8]) {
        if second != time.seconds {
            second = time.seconds
            secondText = Array(time.description.utf8.dropLast(4))
        }
        bytes += secondText
        bytes.append(decimal: time.milliseconds % 1000, digits: 3)
        bytes.append(UInt8(ascii: "Z"))
    }
}

/// What lines are put together from.
private enum Text {
    static let time = Array(#"{"time":""#.utf8)
    static let decision = Array(#"","event":"decision""#.utf8)
    static let news = Array(#"","event":"flow""#.utf8)
    static let `protocol` = Array(#","protocol":"#.utf8)
    static let tcp = Array(#","protocol":"TCP","source":""#.utf8)
    static let udp = Array(#","protocol":"UDP","source":""#.utf8)
    static let icmp = Array(#","protocol":"ICMP","source":""#.utf8)
    static let source = Array(#","source":""#.utf8)
    static let sourcePort = Array(#"","sourcePort":"#.utf8)
    static let destination = Array(#","destination":""#.utf8)
    static let destinationPort = Array(#"","destinationPort":"#.utf8)
    static let icmpType = Array(#","icmpType":"#.utf8)
    static let allow = Array(#","access":"Allow""#.utf8)
    static let deny = Array(#","access":"Deny""#.utf8)
    static let state = Array(#","state":""#.utf8)
    static let began = Array(
        #"","packetsSent":0,"bytesSent":0,"packetsReceived":0,"bytesReceived":0"#.utf8)
    static let packetsSent = Array(#"","packetsSent":"#.utf8)
    static let bytesSent = Array(#","bytesSent":"#.utf8)
    static let packetsReceived = Array(#","packetsReceived":"#.utf8)
    static let bytesReceived = Array(#","bytesReceived":"#.utf8)
    /// Packets and bytes sent, packets and bytes received.
    static let total = Array(#","total":["#.utf8)
    static let uncounted = Array(#"","uncounted":true"#.utf8)
    static let repeats = Array(#"","repeats":"#.utf8)
    /// The first packet of the minute has a line of its own.
    static let again = Array(#","again":true"#.utf8)
    static let repeatsAfterNumber = Array(#","repeats":"#.utf8)
    static let flow = Array(#","flow":"#.utf8)
}

extension FlowTuple {
    fileprivate func write(into bytes: inout [UInt8]) {
        switch `protocol` {
        case .tcp: bytes += Text.tcp
        case .udp: bytes += Text.udp
        case .icmp: bytes += Text.icmp
        default:
            bytes += Text.protocol
            bytes.append(decimal: `protocol`.rawValue)
            bytes += Text.source
        }
        bytes.append(source)
        Self.end(Text.sourcePort, sourcePort, in: &bytes)
        bytes += Text.destination
        bytes.append(destination)
        Self.end(Text.destinationPort, destinationPort, in: &bytes)
        if let icmpType {
            bytes += Text.icmpType
            bytes.append(decimal: icmpType)
        }
    }

    /// Ends an address's text, and gives the port that goes with it under `key`, which begins with that end.
    private static func end(_ key: [UInt8], _ port: UInt16?, in bytes: inout [UInt8]) {
        if let port {
            bytes += key
            bytes.append(decimal: port)
        } else {
            bytes.append(UInt8(ascii: "\""))
        }
    }
}

extension FlowChange {
    /// The flow state as Azure writes it.
    package var letter: String { String(UnicodeScalar(letterByte)) }

    var letterByte: UInt8 {
        switch self {
        case .began: UInt8(ascii: "B")
        case .continued: UInt8(ascii: "C")
        case .ended: UInt8(ascii: "E")
        case .denied, .deniedAgain: UInt8(ascii: "D")
        }
    }

    /// Counters for B, C and E, so that a reader can add them up without a case for each; `repeats` for D.
    fileprivate func write(into bytes: inout [UInt8]) {
        bytes += Text.state
        bytes.append(letterByte)
        switch self {
        case .began: bytes += Text.began
        case .continued(.counted(let counters)), .ended(.counted(let counters)):
            bytes += Text.packetsSent
            bytes.append(decimal: counters.packetsSent)
            bytes += Text.bytesSent
            bytes.append(decimal: counters.bytesSent)
            bytes += Text.packetsReceived
            bytes.append(decimal: counters.packetsReceived)
            bytes += Text.bytesReceived
            bytes.append(decimal: counters.bytesReceived)
        case .continued(.uncounted), .ended(.uncounted): bytes += Text.uncounted
        case .denied:
            bytes += Text.repeats
            bytes.append(UInt8(ascii: "1"))
        case .deniedAgain(let repeats):
            bytes += Text.repeats
            bytes.append(decimal: UInt64(clamping: repeats))
            bytes += Text.again
        }
    }
}

extension GapRecord {
    fileprivate func write(into bytes: inout [UInt8]) {
        var line = JSONLine()
        line.append("time", to.description)
        line.append("event", "gap")
        line.append("from", from.description)
        line.append("to", to.description)
        line.append("missing", number: missing)
        line.append("reason", reason.rawValue)
        if let rule { rule.append(to: &line) }
        if !passed.isEmpty {
            line.append("passed", objects: passed) { passed, line in
                passed.rule.append(to: &line)
                line.append("missing", number: passed.missing)
            }
        }
        if records > 0 { line.append("records", number: records) }
        line.end()
        bytes += line.bytes
    }
}

extension CountedRule {
    fileprivate func append(to line: inout JSONLine) {
        guard rule.kind != .platform else { return line.append("rule", "PlatformRule") }
        line.append("rule", rule.qualifiedName)
        line.append("networkSecurityGroup", rule.group.description)
        if rule.owner != rule.group { line.append("ruleCollection", rule.owner.description) }
        line.append("direction", direction.rawValue)
    }
}
