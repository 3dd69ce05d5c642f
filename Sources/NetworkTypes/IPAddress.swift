/// An IPv4 address. `value` is in host order; only encoders swap.
package struct IPv4Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var value: UInt32

    package init(_ value: UInt32) { self.value = value }

    /// Reads four decimal numbers 0...255 with single dots, no leading zeros (`010` is octal to some readers), nothing
    /// else.
    package init?(_ text: some StringProtocol) {
        // Concrete from here: service tag files hold 100,000 prefixes.
        guard let value = Self.value(of: String(text)) else { return nil }
        self.value = value
    }

    private static func value(of text: String) -> UInt32? {
        var value: UInt32 = 0
        var part: UInt32 = 0
        var digits = 0
        var dots = 0
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39:
                if digits == 1, part == 0 { return nil }
                part = part * 10 + UInt32(byte - 0x30)
                digits += 1
                if part > 255 { return nil }
            case 0x2e where digits > 0 && dots < 3:
                value = value << 8 | part
                part = 0
                digits = 0
                dots += 1
            default: return nil
            }
        }
        return dots == 3 && digits > 0 ? value << 8 | part : nil
    }

    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }

    package var description: String {
        "\(value >> 24).\(value >> 16 & 0xff).\(value >> 8 & 0xff).\(value & 0xff)"
    }
}

/// An IPv6 address. `value` is in host order; only encoders swap.
package struct IPv6Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var value: UInt128

    package init(_ value: UInt128) { self.value = value }

    /// Reads the forms of RFC 4291 section 2.2: groups, one `::`, an IPv4 tail. Zones (`%eth0`) are refused.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45, let groups = Self.groups(of: String(text)) else { return nil }
        value = groups.reduce(0) { $0 << 16 | UInt128($1) }
    }

    private static func groups(of text: String) -> [UInt16]? {
        if let gap = text.firstRange(of: "::") {
            let head = text[..<gap.lowerBound]
            let tail = text[gap.upperBound...]
            guard tail.firstRange(of: "::") == nil,
                let before = head.isEmpty ? [] : run(of: head, allowsIPv4: false),
                let after = tail.isEmpty ? [] : run(of: tail, allowsIPv4: true), before.count + after.count < 8
            else { return nil }
            return before + Array(repeating: 0, count: 8 - before.count - after.count) + after
        }
        guard let all = run(of: text[...], allowsIPv4: true), all.count == 8 else { return nil }
        return all
    }

    private static func run(of text: Substring, allowsIPv4: Bool) -> [UInt16]? {
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if part.contains(".") {
                guard allowsIPv4, index == parts.count - 1, let tail = IPv4Address(part) else { return nil }
                groups += [UInt16(tail.value >> 16), UInt16(tail.value & 0xffff)]
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.first != 0x2b, part.utf8.first != 0x2d,
                    let group = UInt16(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }

    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }

    /// The text form of RFC 5952: lower case, the first longest run of two or more zero groups as `::`.
    package var description: String {
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: value >> (112 - 16 * $0)) }
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        let hex = { (range: Range<Int>) in groups[range].map { String($0, radix: 16) }.joined(separator: ":") }
        return best.isEmpty ? hex(0..<8) : hex(0..<best.lowerBound) + "::" + hex(best.upperBound..<8)
    }
}

/// The two address families a packet can have.
package enum IPFamily: UInt8, Hashable, Sendable, CaseIterable {
    case ipv4 = 4
    case ipv6 = 6
}

/// An address of either family.
package enum IPAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    case v4(IPv4Address)
    case v6(IPv6Address)

    package init?(_ text: some StringProtocol) {
        if let address = IPv4Address(text) {
            self = .v4(address)
        } else if let address = IPv6Address(text) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// From 4 or 16 bytes in network order; nil for any other count.
    package init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(IPv4Address(bytes.reduce(0) { $0 << 8 | UInt32($1) }))
        case 16: self = .v6(IPv6Address(bytes.reduce(0) { $0 << 8 | UInt128($1) }))
        default: return nil
        }
    }

    package var family: IPFamily {
        switch self {
        case .v4: .ipv4
        case .v6: .ipv6
        }
    }

    /// 4 or 16 bytes in network order.
    package var bytes: [UInt8] {
        switch self {
        case .v4(let address): address.value.bigEndianBytes
        case .v6(let address): address.value.bigEndianBytes
        }
    }

    package var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }
}

extension FixedWidthInteger {
    /// The bytes of the value, most significant first.
    @inlinable package var bigEndianBytes: [UInt8] {
        (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> (Self.bitWidth - 8 - 8 * $0)) }
    }
}
