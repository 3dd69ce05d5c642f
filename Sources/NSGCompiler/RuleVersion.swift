package import NSGModel
import NetworkTypes

/// A digest of what a rule means: rules of one group and name with equal ones are one version. It is stored, so it has
/// to stay the same from release to release.
package struct RuleVersion: Hashable, Sendable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Of the meaning as text.
    package init(ofText text: some Collection<UInt8>) {
        let words = SHA1.words(of: text).map(UInt64.init)
        self.init(high: words[0] << 32 | words[1], low: words[2] << 32 | words[3])
    }

    package init(of rule: SecurityRule) { self.init(ofText: Self.text(of: rule)) }

    /// Reads 32 hexadecimal digits.
    package init?(_ digits: String) {
        guard digits.utf8.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    package var description: String {
        [high, low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }

    /// `Tcp 10.0.0.0/8,10.2.0.0/16 * * 443 Allow 100`
    private static func text(of rule: SecurityRule) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(128)
        text += rule.protocol.rawValue.utf8
        text.append(UInt8(ascii: " "))
        append(rule.source, to: &text)
        text.append(UInt8(ascii: " "))
        append(rule.sourcePorts, to: &text)
        text.append(UInt8(ascii: " "))
        append(rule.destination, to: &text)
        text.append(UInt8(ascii: " "))
        append(rule.destinationPorts, to: &text)
        text.append(UInt8(ascii: " "))
        text += rule.access.rawValue.utf8
        text.append(UInt8(ascii: " "))
        append(UInt32(clamping: rule.priority.value), to: &text)
        return text
    }

    private static func append(_ scope: AddressScope, to text: inout [UInt8]) {
        switch scope {
        case .any: text.append(UInt8(ascii: "*"))
        case .prefixes(let prefixes): list(prefixes, in: &text) { append($0, to: &$1) }
        case .serviceTag(let tag): text += tag.key.utf8
        case .applicationSecurityGroups(let groups):
            list(groups, in: &text) { $1 += $0.description.lowercased().utf8 }
        case .networkGroup(let group): text += group.description.lowercased().utf8
        case .either(let scopes): list(scopes, in: &text) { append($0, to: &$1) }
        }
    }

    private static func append(_ ranges: [PortRange], to text: inout [UInt8]) {
        list(ranges, in: &text) { range, text in
            if range.isAny { return text.append(UInt8(ascii: "*")) }
            append(UInt32(range.bounds.lowerBound), to: &text)
            guard range.bounds.count > 1 else { return }
            text.append(UInt8(ascii: "-"))
            append(UInt32(range.bounds.upperBound), to: &text)
        }
    }

    private static func append(_ prefix: IPPrefix, to text: inout [UInt8]) {
        guard case .v4(let address) = prefix.address else { return text += prefix.description.utf8 }
        for shift in [24, 16, 8, 0] as [UInt32] {
            append(address.value >> shift & 0xff, to: &text)
            text.append(UInt8(ascii: shift == 0 ? "/" : "."))
        }
        append(UInt32(prefix.length), to: &text)
    }

    private static func append(_ number: UInt32, to text: inout [UInt8]) {
        if number >= 10 { append(number / 10, to: &text) }
        text.append(UInt8(ascii: "0") + UInt8(number % 10))
    }

    private static func list<Item>(_ items: [Item], in text: inout [UInt8], _ write: (Item, inout [UInt8]) -> Void) {
        for (index, item) in items.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            write(item, &text)
        }
    }
}
