/// Ports `lower...upper`, both included.
package struct PortRange: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let bounds: ClosedRange<UInt16>

    package init(_ bounds: ClosedRange<UInt16>) { self.bounds = bounds }
    package init(_ port: UInt16) { bounds = port...port }

    /// Every port: what Azure writes as `*` or `0-65535`.
    package static let any = PortRange(0...65535)
    package var isAny: Bool { self == .any }

    /// Reads `*`, `443` or `8000-8010` (0...65535, ascending, digits only). Azure writes no blanks; neither are they
    /// read.
    package init?(_ text: some StringProtocol) {
        // Concrete from here: security groups hold thousands.
        guard let bounds = Self.bounds(of: String(text)) else { return nil }
        self.bounds = bounds
    }

    private static func bounds(of text: String) -> ClosedRange<UInt16>? {
        if text == "*" { return any.bounds }
        var first: UInt32?
        var number: UInt32 = 0
        var digits = 0
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39 where digits < 5:
                number = number * 10 + UInt32(byte - 0x30)
                digits += 1
            case UInt8(ascii: "-") where first == nil && digits > 0:
                first = number
                (number, digits) = (0, 0)
            default: return nil
            }
        }
        guard digits > 0, number <= UInt16.max, first ?? 0 <= number else { return nil }
        return UInt16(first ?? number)...UInt16(number)
    }

    package func contains(_ port: UInt16) -> Bool { bounds.contains(port) }

    package static func < (left: Self, right: Self) -> Bool {
        (left.bounds.lowerBound, left.bounds.upperBound) < (right.bounds.lowerBound, right.bounds.upperBound)
    }

    /// `*`, `443` or `8000-8010`.
    package var description: String {
        if isAny { return "*" }
        return bounds.count == 1 ? "\(bounds.lowerBound)" : "\(bounds.lowerBound)-\(bounds.upperBound)"
    }
}

/// An IP protocol number as IANA assigns them (`IPPROTO_…`).
package struct IPProtocol: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let icmp = IPProtocol(rawValue: 1)
    package static let igmp = IPProtocol(rawValue: 2)
    package static let tcp = IPProtocol(rawValue: 6)
    package static let udp = IPProtocol(rawValue: 17)
    package static let dccp = IPProtocol(rawValue: 33)
    package static let gre = IPProtocol(rawValue: 47)
    package static let esp = IPProtocol(rawValue: 50)
    package static let ah = IPProtocol(rawValue: 51)
    package static let icmpv6 = IPProtocol(rawValue: 58)
    package static let sctp = IPProtocol(rawValue: 132)
    package static let udplite = IPProtocol(rawValue: 136)

    /// The protocols whose header begins with a source and a destination port of 16 bits each.
    package static let withPorts: [IPProtocol] = [.tcp, .udp, .dccp, .sctp, .udplite]
    package var hasPorts: Bool {
        switch self {
        case .tcp, .udp, .dccp, .sctp, .udplite: true
        default: false
        }
    }

    private static let names: [IPProtocol: String] = [
        .icmp: "ICMP", .igmp: "IGMP", .tcp: "TCP", .udp: "UDP", .dccp: "DCCP", .gre: "GRE", .esp: "ESP", .ah: "AH",
        .icmpv6: "ICMPv6", .sctp: "SCTP", .udplite: "UDPLITE",
    ]

    /// Reads a name, in any case, or a number 0...255.
    package init?(_ text: some StringProtocol) {
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt8(text) {
            rawValue = number
        } else if let named = Self.names.first(where: { $0.value.lowercased() == text.lowercased() }) {
            self = named.key
        } else {
            return nil
        }
    }

    /// The name in capitals, else the number.
    package var description: String { Self.names[self] ?? "\(rawValue)" }
}
