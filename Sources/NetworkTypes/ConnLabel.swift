/// The label of a conntrack entry: 128 bits that rules set and match. Bit n is what nft writes as `ct label n`.
package struct ConnLabel: Hashable, Sendable, CustomStringConvertible {
    package var bits: UInt128

    package init(bits: UInt128) { self.bits = bits }

    /// From `CTA_LABELS`: bit n is bit n % 8 of byte n / 8. At most 16 bytes; missing ones are zero.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count <= 16 else { return nil }
        bits = bytes.reversed().reduce(0) { $0 << 8 | UInt128($1) }
    }

    /// 16 bytes, the lowest bits first, as in `CTA_LABELS`.
    package var bytes: [UInt8] { bits.bigEndianBytes.reversed() }

    /// 0...127; other numbers are never set.
    package subscript(bit: Int) -> Bool {
        get { (0..<128).contains(bit) && bits >> UInt128(bit) & 1 != 0 }
        set {
            guard (0..<128).contains(bit) else { return }
            let mask = UInt128(1) << UInt128(bit)
            bits = newValue ? bits | mask : bits & ~mask
        }
    }

    package var isEmpty: Bool { bits == 0 }

    /// `0x` and 32 hexadecimal digits.
    package var description: String { "0x" + bytes.reversed().map { hexadecimal($0) }.joined() }
}
