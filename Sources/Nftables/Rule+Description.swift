extension Rule: CustomStringConvertible {
    /// As nft prints it: a match that a later one implies is left out (`ip saddr` implies IPv4, `tcp dport` implies TCP).
    package var description: String {
        var words: [String] = []
        for (index, step) in steps.enumerated() {
            let rest = steps[(index + 1)...].compactMap(\.field)
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

    var field: Field? {
        switch self {
        case .match(let field, _), .lookup(let field, _), .dispatch(let field, _): field
        case .counter, .setLabel, .log, .verdict: nil
        }
    }

    func text(ports prefix: String) -> String {
        switch self {
        case .match(let field, let comparison): field.text(of: comparison, ports: prefix)
        case .lookup(let field, let set): "\(field.name(ports: prefix)) @\(set)"
        case .dispatch(let field, let map): "\(field.name(ports: prefix)) vmap @\(map)"
        case .counter(let name): "counter name \"\(name)\""
        case .setLabel(let bits): "ct label set \(LabelBits.text(of: bits))"
        case .log(let copy): "log prefix \"\(copy.prefix)\" group \(copy.group) snaplen \(copy.snapLength)"
        case .verdict(let verdict): "\(verdict)"
        }
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
        case .connectionState: "ct state"
        case .connectionLabel: "ct label"
        case .originalPackets: "ct original packets"
        }
    }

    func text(of comparison: Comparison, ports prefix: String) -> String {
        let name = name(ports: prefix)
        switch comparison {
        case .equals(let value): return "\(name) \(text(of: value))"
        case .isNot(let value): return "\(name) != \(text(of: value))"
        case .prefix(let value, let length): return "\(name) \(text(of: value))/\(length)"
        case .range(let range): return "\(name) \(text(of: range.lowerBound))-\(text(of: range.upperBound))"
        case .hasAny(let bits):
            return "\(name) \(self == .connectionLabel ? LabelBits.text(of: bits) : text(of: bits))"
        case .isGreater(let value): return "\(name) > \(text(of: value))"
        }
    }

    private func text(of value: UInt128) -> String {
        switch self {
        case .family: value == 2 ? "ipv4" : value == 10 ? "ipv6" : "\(value)"
        case .protocol: ProtocolNames.text(of: value)
        case .ipSource, .ipDestination: KeyType.ipv4Address.text(of: value)
        case .ip6Source, .ip6Destination: KeyType.ipv6Address.text(of: value)
        case .connectionState: ConnectionState(rawValue: UInt32(truncatingIfNeeded: value)).description
        default: "\(value)"
        }
    }
}

/// Label bits by number, as nft writes them: `3 | 120`.
enum LabelBits {
    static func text(of bits: UInt128) -> String {
        (0..<128).filter { bits >> UInt128($0) & 1 == 1 }.map(String.init).joined(separator: " | ")
    }
}
