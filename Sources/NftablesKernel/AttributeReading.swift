internal import CNftnl
internal import Netlink
internal import Nftables

// Attributes of a message by their places in it, so that tens of thousands of messages are read without a copy of
// theirs. Nothing is read beyond a range, and no range goes beyond the one it was found in.

extension RawSpan {
    /// The attribute at `offset`, which then is behind it; nil at the end, and where a length is wrong.
    func nextAttribute(at offset: inout Int, before end: Int) -> (type: UInt16, payload: Range<Int>)? {
        guard offset >= 0, end <= byteCount, end - offset >= 4 else { return nil }
        let header = unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian
        let length = Int(header & 0xffff)
        guard length >= 4, length <= end - offset else { return nil }
        let payload = offset + 4..<offset + length
        offset += (length + 3) & ~3
        return (UInt16(truncatingIfNeeded: header >> 16) & 0x3fff, payload)
    }

    /// The payload of the first attribute of a type of one of the kernel's enumerations.
    @inline(__always)
    func attribute(_ type: some RawRepresentable<UInt32>, in range: Range<Int>?) -> Range<Int>? {
        guard let range else { return nil }
        let wanted = UInt16(truncatingIfNeeded: type.rawValue)
        var offset = range.lowerBound
        while let next = nextAttribute(at: &offset, before: range.upperBound) {
            if next.type == wanted { return next.payload }
        }
        return nil
    }

    /// In network order; nil unless the payload has exactly its size.
    @inline(__always)
    func number<Number: FixedWidthInteger & BitwiseCopyable>(_ range: Range<Int>?, as type: Number.Type) -> Number? {
        guard let range, range.count == MemoryLayout<Number>.size, range.upperBound <= byteCount else { return nil }
        return unsafe unsafeLoadUnaligned(fromByteOffset: range.lowerBound, as: type).bigEndian
    }

    func uint32(_ type: some RawRepresentable<UInt32>, in range: Range<Int>?) -> UInt32? {
        number(attribute(type, in: range), as: UInt32.self)
    }

    func octet(at offset: Int) -> UInt8 { unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self) }

    /// Nil for more than 16 bytes.
    func registerBytes(_ range: Range<Int>?) -> RegisterBytes? {
        guard let range, range.count <= 16, range.upperBound <= byteCount else { return nil }
        var value: UInt128 = 0
        for offset in range { value = value << 8 | UInt128(octet(at: offset)) }
        return RegisterBytes(value, count: range.count)
    }

    /// `NFTA_DATA_VALUE` of an attribute.
    func value(in range: Range<Int>?) -> RegisterBytes? { registerBytes(attribute(NFTA_DATA_VALUE, in: range)) }

    func bytes(_ range: Range<Int>) -> [UInt8] { range.map { octet(at: $0) } }

    /// Up to the first NUL; bytes that are not UTF-8 are replaced.
    func string(_ range: Range<Int>?) -> String? {
        guard let range, range.upperBound <= byteCount else { return nil }
        let text = extracting(range)
        return unsafe text.withUnsafeBytes { bytes in
            let end = unsafe bytes.firstIndex(of: 0) ?? bytes.count
            return unsafe String(decoding: UnsafeRawBufferPointer(rebasing: bytes[..<end]), as: UTF8.self)
        }
    }

    func string(_ type: some RawRepresentable<UInt32>, in range: Range<Int>?) -> String? {
        string(attribute(type, in: range))
    }
}

/// Names that a dump repeats (a chain's in its rules and in what leads to it), each stored once.
struct NamePool {
    private var names: [String] = []
    /// Index of a name plus one, by hash; 0 is free. A power of two long, at most half full.
    private var slots = [Int32](repeating: 0, count: 1 << 12)

    init() {}

    mutating func name(_ range: Range<Int>?, in message: borrowing RawSpan) -> String? {
        guard let range, range.upperBound <= message.byteCount else { return nil }
        var length = 0
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for offset in range {
            let byte = message.octet(at: offset)
            if byte == 0 { break }
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
            length += 1
        }
        // Up to 15 bytes a string lies in itself.
        if length <= 15 { return message.string(range) }
        let place = range.lowerBound..<range.lowerBound + length
        var slot = Int(truncatingIfNeeded: hash ^ hash >> 29) & (slots.count - 1)
        while slots[slot] != 0 {
            let known = names[Int(slots[slot]) - 1]
            if Self.isEqual(known, message, place) { return known }
            slot = (slot + 1) & (slots.count - 1)
        }
        let name = message.string(place) ?? ""
        names.append(name)
        slots[slot] = Int32(names.count)
        if names.count * 2 > slots.count { grow() }
        return name
    }

    private static func isEqual(_ name: String, _ message: borrowing RawSpan, _ place: Range<Int>) -> Bool {
        var name = name
        return name.withUTF8 { text in
            guard text.count == place.count else { return false }
            for index in 0..<place.count {
                if unsafe text[index] != message.octet(at: place.lowerBound + index) { return false }
            }
            return true
        }
    }

    private mutating func grow() {
        slots = [Int32](repeating: 0, count: slots.count * 2)
        for (index, name) in names.enumerated() {
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
            var slot = Int(truncatingIfNeeded: hash ^ hash >> 29) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(index + 1)
        }
    }
}
