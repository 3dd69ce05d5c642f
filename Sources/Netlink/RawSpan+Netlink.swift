package import NetworkTypes

// Attributes read where they lie, for messages that come by the hundred thousand: `NetlinkAttributes` counts references
// for each attribute it gives.
extension RawSpan {
    /// Hands over the attributes in order, each with its payload. Ends at the first that is cut or of a wrong length.
    package func forEachAttribute(from start: Int = 0, _ body: (_ type: UInt16, _ payload: RawSpan) -> Void) {
        var offset = start
        while let length = hostUInt16(at: offset).map(Int.init), length >= 4, length <= byteCount - offset,
            let type = hostUInt16(at: offset + 2)
        {
            body(type & 0x3fff, extracting(offset + 4..<offset + length))
            offset += netlinkAligned(length)
        }
    }

    /// Numbers are read only from a payload of exactly their size. Netfilter sends them in network order.
    package var uint8: UInt8? { byteCount == 1 ? byte(at: 0) : nil }
    package var uint16: UInt16? { byteCount == 2 ? uint16(at: 0) : nil }
    package var uint32: UInt32? { byteCount == 4 ? load(0, as: UInt32.self)?.bigEndian : nil }
    package var uint64: UInt64? { byteCount == 8 ? load(0, as: UInt64.self)?.bigEndian : nil }

    /// At an offset; nil beyond the end.
    package func byte(at offset: Int) -> UInt8? { load(offset, as: UInt8.self) }
    /// From network order.
    package func uint16(at offset: Int) -> UInt16? { hostUInt16(at: offset)?.bigEndian }
    package func hostUInt16(at offset: Int) -> UInt16? { load(offset, as: UInt16.self) }

    /// Of 4 or 16 bytes in network order.
    package func ipAddress(at offset: Int = 0, length: Int) -> IPAddress? {
        switch length {
        case 4: return load(offset, as: UInt32.self).map { .v4(IPv4Address($0.bigEndian)) }
        case 16:
            guard let high = load(offset, as: UInt64.self), let low = load(offset + 8, as: UInt64.self) else {
                return nil
            }
            return .v6(IPv6Address(UInt128(high.bigEndian) << 64 | UInt128(low.bigEndian)))
        default: return nil
        }
    }

    /// `CTA_LABELS`: 16 bytes, the lowest bits first.
    package var label: ConnLabel? {
        guard byteCount == 16, let low = load(0, as: UInt64.self), let high = load(8, as: UInt64.self) else {
            return nil
        }
        return ConnLabel(bits: UInt128(UInt64(littleEndian: high)) << 64 | UInt128(UInt64(littleEndian: low)))
    }

    /// A copy of all of it.
    package var array: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }

    /// Up to the first NUL; bytes that are not UTF-8 are replaced.
    package var string: String {
        unsafe withUnsafeBytes { bytes in
            let end = unsafe bytes.firstIndex(of: 0) ?? bytes.count
            return unsafe String(decoding: bytes[..<end], as: UTF8.self)
        }
    }

    private func load<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: Number.Type) -> Number? {
        guard offset >= 0, offset <= byteCount - MemoryLayout<Number>.size else { return nil }
        // Within bounds as just checked, and every bit pattern is a number.
        return unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: type)
    }
}

extension ArraySlice<UInt8> {
    /// The bytes as a span, for `body` alone.
    package func withRawSpan<Result>(_ body: (RawSpan) -> Result) -> Result {
        unsafe withUnsafeBytes { body(unsafe RawSpan(_unsafeBytes: $0)) }
    }
}
