/// A link-layer address of six bytes, in transmission order.
package struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    /// 48 bits, the first byte highest: an address stands in every logged packet, and should need no memory of its own.
    private let value: UInt64

    package var bytes: [UInt8] { Array(value.bigEndianBytes.dropFirst(2)) }

    /// The low 48 bits.
    package init(bits: UInt64) { value = bits & 0xffff_ffff_ffff }

    package init?(bytes: some Sequence<UInt8>) {
        var (value, count) = (UInt64(0), 0)
        for byte in bytes {
            count += 1
            guard count <= 6 else { return nil }
            value = value << 8 | UInt64(byte)
        }
        guard count == 6 else { return nil }
        self.value = value
    }

    /// Reads `00-0D-3A-8A-51-8E`, `00:0d:3a:8a:51:8e` or `000D3A8A518E`.
    package init?(_ text: some StringProtocol) {
        let text = Array(text.utf8)
        let separator = text.count == 17 && (text[2] == 0x2d || text[2] == 0x3a) ? text[2] : nil
        guard text.count == (separator == nil ? 12 : 17),
            text.indices.allSatisfy({ separator == nil || $0 % 3 != 2 || text[$0] == separator })
        else { return nil }
        let digits = text.indices.filter { separator == nil || $0 % 3 != 2 }.map { text[$0] }
        guard digits.allSatisfy({ $0 != 0x2b && $0 != 0x2d }),
            let value = UInt64(String(decoding: digits, as: UTF8.self), radix: 16)
        else { return nil }
        self.value = value
    }

    /// What flow logs hold where the address is not known.
    package static let unknown = MACAddress(bits: 0)

    /// Azure's form in flow logs: twelve capital hexadecimal digits.
    package var description: String { bytes.map { hexadecimal($0, uppercase: true) }.joined() }
}

/// A byte as two hexadecimal digits.
package func hexadecimal(_ byte: UInt8, uppercase: Bool = false) -> String {
    let digits = String(byte, radix: 16, uppercase: uppercase)
    return byte < 16 ? "0" + digits : digits
}
