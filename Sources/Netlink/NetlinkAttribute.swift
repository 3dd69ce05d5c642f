/// One attribute; its payload is shared with the message. Layout: `struct nlattr`, <linux/netlink.h>.
package struct NetlinkAttribute: Sendable {
    /// Without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
    package let type: UInt16
    package let payload: ArraySlice<UInt8>

    /// The attributes inside.
    package var nested: NetlinkAttributes { NetlinkAttributes(payload) }

    /// Numbers are read only from a payload of exactly their size. Netfilter sends them in network order.
    package var uint8: UInt8? { payload.count == 1 ? payload.first : nil }
    package var uint16: UInt16? { payload.count == 2 ? payload.hostUInt16(at: 0)?.bigEndian : nil }
    package var uint32: UInt32? { payload.count == 4 ? payload.hostUInt32(at: 0)?.bigEndian : nil }
    package var uint64: UInt64? { payload.count == 8 ? payload.hostUInt64(at: 0)?.bigEndian : nil }

    /// In host order, as route netlink sends them.
    package var hostUInt16: UInt16? { payload.count == 2 ? payload.hostUInt16(at: 0) : nil }
    package var hostUInt32: UInt32? { payload.count == 4 ? payload.hostUInt32(at: 0) : nil }
    package var hostUInt64: UInt64? { payload.count == 8 ? payload.hostUInt64(at: 0) : nil }

    /// Up to the first NUL; bytes that are not UTF-8 are replaced.
    package var string: String {
        String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self)
    }

    package var bytes: [UInt8] { Array(payload) }
}

/// Attributes in order. Ends at the first that is cut or states a wrong length; never reads beyond the bytes.
package struct NetlinkAttributes: Sequence, IteratorProtocol, Sendable {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// After the last attribute: bytes are left that are no attribute.
    package var isDamaged: Bool { !rest.isEmpty }

    package mutating func next() -> NetlinkAttribute? {
        guard let length = rest.hostUInt16(at: 0), length >= 4, length <= rest.count, let type = rest.hostUInt16(at: 2)
        else { return nil }
        let attribute = NetlinkAttribute(type: type & 0x3fff, payload: rest.dropFirst(4).prefix(Int(length) - 4))
        rest = rest.dropFirst(netlinkAligned(Int(length)))
        return attribute
    }

    /// The first of a type. O(n).
    package func first(_ type: UInt16) -> NetlinkAttribute? { first { $0.type == type } }
}

/// Reads of numbers at an offset from the start of the slice; nil beyond its end.
extension ArraySlice<UInt8> {
    package func hostUInt16(at offset: Int) -> UInt16? { load(offset, as: UInt16.self) }
    package func hostUInt32(at offset: Int) -> UInt32? { load(offset, as: UInt32.self) }
    package func hostUInt64(at offset: Int) -> UInt64? { load(offset, as: UInt64.self) }

    private func load<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: Number.Type) -> Number? {
        guard offset >= 0, count >= MemoryLayout<Number>.size, offset <= count - MemoryLayout<Number>.size else {
            return nil
        }
        // Within bounds as just checked, and every bit pattern is a number.
        return unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
}
