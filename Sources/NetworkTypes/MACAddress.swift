/// A link-layer address of six bytes, in transmission order.
package struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    package init?(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 6 else { return nil }
        self.bytes = bytes
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
        bytes = Array(value.bigEndianBytes.dropFirst(2))
    }

    /// What flow logs hold where the address is not known.
    package static let unknown = MACAddress(zero: ())
    private init(zero: ()) { bytes = [0, 0, 0, 0, 0, 0] }

    /// Azure's form in flow logs: twelve capital hexadecimal digits.
    package var description: String { bytes.map { hexadecimal($0, uppercase: true) }.joined() }
}

/// A byte as two hexadecimal digits.
package func hexadecimal(_ byte: UInt8, uppercase: Bool = false) -> String {
    let digits = String(byte, radix: 16, uppercase: uppercase)
    return byte < 16 ? "0" + digits : digits
}
