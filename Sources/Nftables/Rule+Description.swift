extension Rule: CustomStringConvertible {
    /// As nft prints it: a match that a later one implies is left out (`ip saddr` implies IPv4, `tcp dport` implies
    /// TCP).
    package var description: String {
        var words: [String] = []
        for (index, step) in steps.enumerated() {
            let rest = steps[(index + 1)...].flatMap(\.fields)
            switch step {
            case .match(.family, .equals(let family)) where rest.contains(where: { $0.impliedFamily == family }):
                continue
            case .match(.protocol, .equals(let number))
            where (rest.contains(where: \.isPort) && portPrefix == ProtocolNames.text(of: number))
                || rest.contains(where: { $0.impliedProtocol == number }):
                continue
            default:
                words.append(step.text(ports: portPrefix))
            }
        }
        if let comment { words.append("comment \"\(comment)\"") }
        return words.joined(separator: " ")
    }

    /// `tcp` where the rule has settled that protocol, else `th`.
    private var portPrefix: String {
        for case .match(.protocol, .equals(let number)) in steps where [6, 17, 33, 132, 136].contains(number) {
            return ProtocolNames.text(of: number)
        }
        return "th"
    }
}

extension Step: CustomStringConvertible {
    package var description: String { text(ports: "th") }

    /// What it looks at.
    var fields: [Field] {
        switch self {
        case .match(let field, _), .lookup(let field, _), .dispatch(let field, _): [field]
        case .membership(let fields, _, _): fields
        case .classify(let classification): classification.fields
        case .counter, .setLabel, .log, .setTimeout, .verdict: []
        }
    }

    func text(ports prefix: String) -> String {
        switch self {
        case .match(let field, let comparison): field.text(of: comparison, ports: prefix)
        case .lookup(let field, let set): "\(field.name(ports: prefix)) @\(set)"
        case .membership(let fields, let set, let isIn):
            fields.map { $0.name(ports: prefix) }.joined(separator: " . ") + (isIn ? " @\(set)" : " != @\(set)")
        case .dispatch(let field, let map): "\(field.name(ports: prefix)) vmap @\(map)"
        case .classify(let classification): classification.text(ports: prefix)
        case .counter(let name): "counter name \"\(name)\""
        case .setLabel(let bits): "ct label set \(LabelBits.text(of: bits, separator: " | "))"
        case .log(let copy): "\(copy)"
        case .setTimeout(let name): "ct timeout set \"\(name)\""
        case .verdict(let verdict): "\(verdict)"
        }
    }
}

extension PacketCopy: CustomStringConvertible {
    package var description: String {
        (prefix.isEmpty ? "log" : "log prefix \"\(prefix)\"") + " group \(group)"
            + (snapLength == 0 ? "" : " snaplen \(snapLength)")
    }
}

extension Field {
    var isPort: Bool { self == .sourcePort || self == .destinationPort }

    var impliedFamily: UInt128? {
        switch self {
        case .ipSource, .ipDestination, .icmpType: 2
        case .ip6Source, .ip6Destination, .icmpv6Type: 10
        default: nil
        }
    }

    var impliedProtocol: UInt128? {
        switch self {
        case .icmpType: 1
        case .icmpv6Type: 58
        case .tcpFlags: 6
        default: nil
        }
    }

    func name(ports prefix: String) -> String {
        switch self {
        case .family: "meta nfproto"
        case .protocol: "meta l4proto"
        case .inputDevice: "iifname"
        case .outputDevice: "oifname"
        case .ipSource: "ip saddr"
        case .ipDestination: "ip daddr"
        case .ip6Source: "ip6 saddr"
        case .ip6Destination: "ip6 daddr"
        case .sourcePort: "\(prefix) sport"
        case .destinationPort: "\(prefix) dport"
        case .icmpType: "icmp type"
        case .icmpv6Type: "icmpv6 type"
        case .tcpFlags: "tcp flags"
        case .connectionState: "ct state"
        case .connectionDirection: "ct direction"
        case .connectionLabel: "ct label"
        case .originalPackets: "ct original packets"
        }
    }

    func text(of comparison: Comparison, ports prefix: String) -> String {
        let name = name(ports: prefix)
        switch comparison {
        case .equals(let value) where self == .connectionState || self == .connectionLabel:
            // Without `==` nft would ask for any of the bits.
            return "\(name) == \(text(of: value))"
        case .equals(let value) where self == .tcpFlags: return "\(name) == \(TCPFlagNames.exactText(of: value))"
        case .isNot(let value) where self == .tcpFlags: return "\(name) != \(TCPFlagNames.exactText(of: value))"
        case .equals(let value): return "\(name) \(text(of: value))"
        case .isNot(let value): return "\(name) != \(text(of: value))"
        case .prefix(let value, let length): return "\(name) \(text(of: value))/\(length)"
        case .range(let range):
            let bounds = [range.lowerBound, range.upperBound]
            return "\(name) " + bounds.map { isNamed ? "\($0)" : text(of: $0) }.joined(separator: "-")
        case .hasAny(let bits): return "\(name) \(text(of: bits))"
        case .hasNone(let bits): return "\(name) ! \(text(of: bits))"
        case .isGreater(let value): return "\(name) > \(text(of: value))"
        }
    }

    /// Fields of which nft writes single values by name and ranges in numbers.
    private var isNamed: Bool { self == .protocol || self == .icmpType || self == .icmpv6Type }

    private func text(of value: UInt128) -> String {
        switch self {
        case .family: value == 2 ? "ipv4" : value == 10 ? "ipv6" : "\(value)"
        case .protocol: ProtocolNames.text(of: value)
        case .ipSource, .ipDestination: KeyType.ipv4Address.text(of: value)
        case .ip6Source, .ip6Destination: KeyType.ipv6Address.text(of: value)
        case .inputDevice, .outputDevice: "\"\(DeviceName.text(of: value))\""
        case .icmpType: ICMPTypeNames.v4[value] ?? "\(value)"
        case .icmpv6Type: ICMPTypeNames.v6[value] ?? "\(value)"
        case .connectionState: ConnectionState(rawValue: UInt32(truncatingIfNeeded: value)).description
        case .connectionDirection: value == 0 ? "original" : value == 1 ? "reply" : "\(value)"
        case .connectionLabel: LabelBits.text(of: value, separator: ",")
        case .tcpFlags: TCPFlagNames.text(of: value)
        default: "\(value)"
        }
    }
}

/// Label bits by number, as nft writes them: `3,120` in a match, `3 | 120` in a statement.
enum LabelBits {
    static func text(of bits: UInt128, separator: String) -> String {
        (0..<128).filter { bits >> UInt128($0) & 1 == 1 }.map(String.init).joined(separator: separator)
    }
}

/// A device name as a value: 16 bytes, the first character most significant, zeros behind.
package enum DeviceName {
    /// Nil unless the name has 1 to 15 bytes (`IFNAMSIZ` with the NUL).
    package static func value(of name: String) -> UInt128? {
        guard (1...15).contains(name.utf8.count), !name.utf8.contains(0) else { return nil }
        return name.utf8.reduce(0) { $0 << 8 | UInt128($1) } << UInt128(8 * (16 - name.utf8.count))
    }

    static func text(of value: UInt128) -> String {
        let bytes = (0..<16).map { UInt8(truncatingIfNeeded: value >> UInt128(120 - 8 * $0)) }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}

/// nft's names of TCP flags.
enum TCPFlagNames {
    private static let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"]
    static func text(of bits: UInt128) -> String {
        names.enumerated().filter { bits >> UInt128($0.offset) & 1 == 1 }.map(\.element).joined(separator: ",")
    }

    /// All the flags of a packet: nft names one and writes others in hexadecimal.
    static func exactText(of bits: UInt128) -> String {
        bits.nonzeroBitCount == 1 ? text(of: bits) : "0x" + String(bits, radix: 16)
    }
}

/// nft's names of ICMP types.
enum ICMPTypeNames {
    static let v4: [UInt128: String] = [
        0: "echo-reply", 3: "destination-unreachable", 4: "source-quench", 5: "redirect", 8: "echo-request",
        9: "router-advertisement", 10: "router-solicitation", 11: "time-exceeded", 12: "parameter-problem",
        13: "timestamp-request", 14: "timestamp-reply", 15: "info-request", 16: "info-reply",
        17: "address-mask-request", 18: "address-mask-reply",
    ]
    static let v6: [UInt128: String] = [
        1: "destination-unreachable", 2: "packet-too-big", 3: "time-exceeded", 4: "parameter-problem",
        128: "echo-request", 129: "echo-reply", 130: "mld-listener-query", 131: "mld-listener-report",
        132: "mld-listener-done", 133: "nd-router-solicit", 134: "nd-router-advert", 135: "nd-neighbor-solicit",
        136: "nd-neighbor-advert", 137: "nd-redirect", 138: "router-renumbering", 141: "ind-neighbor-solicit",
        142: "ind-neighbor-advert", 143: "mld2-listener-report",
    ]
}
