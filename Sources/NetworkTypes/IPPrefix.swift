/// An address prefix in canonical form: no bit is set beyond the length.
package struct IPPrefix: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first address of the prefix.
    package let address: IPAddress
    /// 0...32 for IPv4, 0...128 for IPv6.
    package var length: Int { Int(bits) }
    /// In a byte: estates hold many thousand prefixes.
    private let bits: UInt8

    /// The prefix of `length` bits that holds `address`; bits beyond the length are cleared. Nil if the length is out
    /// of range.
    package init?(_ address: IPAddress, length: Int) {
        switch address {
        case .v4(let address):
            guard (0...32).contains(length) else { return nil }
            self.address = .v4(IPv4Address(address.value & ~(UInt32.max >> length)))
        case .v6(let address):
            guard (0...128).contains(length) else { return nil }
            self.address = .v6(IPv6Address(address.value & ~(UInt128.max >> length)))
        }
        bits = UInt8(length)
    }

    /// One address as a prefix of full length.
    package init(_ address: IPAddress) {
        self.address = address
        bits = address.family == .ipv4 ? 32 : 128
    }

    /// Reads `10.0.0.0/8`, `fd00::/8` or a bare address. Host bits are cleared; compare `hasHostBits(_:)` to refuse
    /// them.
    package init?(_ text: some StringProtocol) {
        guard let read = Self.read(text) else { return nil }
        self = read.prefix
    }

    /// Whether a well-formed prefix is written with bits beyond its length, as in `10.0.0.1/8`.
    package static func hasHostBits(_ text: some StringProtocol) -> Bool { read(text)?.hasHostBits ?? false }

    /// The prefix as `init(_:)` reads it, and whether it is written with bits beyond its length.
    package static func read(_ text: some StringProtocol) -> (prefix: IPPrefix, hasHostBits: Bool)? {
        guard let (address, length) = Self.parts(of: text), let prefix = IPPrefix(address, length: length) else {
            return nil
        }
        return (prefix, prefix.address != address)
    }

    private static func parts(of text: some StringProtocol) -> (IPAddress, Int)? {
        let text = String(text)
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            return IPAddress(text).map { ($0, $0.family == .ipv4 ? 32 : 128) }
        }
        let digits = text.utf8[text.utf8.index(after: slash)...]
        guard let address = IPAddress(text[..<slash]), (1...3).contains(digits.count),
            digits.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return (address, digits.reduce(0) { $0 * 10 + Int($1 - 0x30) })
    }

    package var family: IPFamily { address.family }

    package func contains(_ other: IPAddress) -> Bool {
        IPPrefix(other, length: length).map { $0.family == family && $0.address == address } ?? false
    }

    package func overlaps(_ other: IPPrefix) -> Bool {
        length <= other.length ? contains(other.address) : other.contains(address)
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }

    package var description: String { "\(address)/\(length)" }
}
