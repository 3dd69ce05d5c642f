package import NetworkTypes

/// Builds messages by hand, for what libmnl, libnftnl and libnetfilter_conntrack do not cover. Lengths are patched when
/// a message or a nested attribute ends; everything is padded to 4 bytes.
package struct NetlinkWriter: Sendable {
    /// The finished messages, ready to send as one datagram.
    package private(set) var bytes: [UInt8] = []
    /// Offset of the header of the message that is open.
    private var messageStart: Int?

    /// An attribute that is open; give it to `endNested`.
    package struct Mark: Sendable {
        fileprivate let start: Int
    }

    package init() {}

    /// Opens a message. `flags` are `NLM_F_…`; `NLM_F_REQUEST` is added.
    package mutating func begin(type: UInt16, flags: UInt16, sequence: UInt32 = 0) {
        precondition(messageStart == nil, "the message before has not ended")
        messageStart = bytes.count
        append(native: UInt32(0))
        append(native: type)
        append(native: flags | 1)
        append(native: sequence)
        append(native: UInt32(0))
    }

    /// Closes the message and states its length.
    package mutating func end() {
        guard let start = messageStart else { preconditionFailure("no message is open") }
        patch(UInt32(truncatingIfNeeded: bytes.count - start), at: start)
        messageStart = nil
    }

    /// `struct nfgenmsg`: `NFPROTO_…`, version 0, resource id (a queue or NFLOG group).
    package mutating func putNetfilterHeader(family: UInt8, resourceID: UInt16 = 0) {
        bytes += [family, 0]
        bytes += resourceID.bigEndianBytes
    }

    /// A family header or the like, as it is; padded.
    package mutating func putRaw(_ content: some Collection<UInt8>) {
        bytes += content
        pad()
    }

    /// Throws `EMSGSIZE` where the payload does not fit the 16-bit length of an attribute.
    package mutating func put(_ type: UInt16, bytes payload: some Collection<UInt8>) throws(KernelError) {
        guard payload.count <= Int(UInt16.max) - 4 else { throw Self.tooLong(type, payload.count) }
        append(native: UInt16(truncatingIfNeeded: payload.count + 4))
        append(native: type)
        bytes += payload
        pad()
    }

    /// In network order.
    package mutating func put(_ type: UInt16, _ value: some FixedWidthInteger) {
        putNumber(type, value.bigEndian)
    }

    /// In host order.
    package mutating func put(_ type: UInt16, native value: some FixedWidthInteger) {
        putNumber(type, value)
    }

    /// With the NUL that the kernel's strings end in.
    package mutating func put(_ type: UInt16, string: String) throws(KernelError) {
        try put(type, bytes: Array(string.utf8) + [0])
    }

    /// Opens an attribute that holds attributes; sets `NLA_F_NESTED`.
    package mutating func beginNested(_ type: UInt16) -> Mark {
        let mark = Mark(start: bytes.count)
        append(native: UInt16(0))
        append(native: type | 0x8000)
        return mark
    }

    /// Throws `EMSGSIZE` where the attribute has grown beyond 64 KiB; the message is then of no use.
    package mutating func endNested(_ mark: Mark) throws(KernelError) {
        let length = bytes.count - mark.start
        guard length <= Int(UInt16.max) else {
            let type = UInt16(bytes[mark.start + 2]) | UInt16(bytes[mark.start + 3]) << 8
            throw Self.tooLong(type & 0x3fff, length)
        }
        bytes.replaceSubrange(mark.start..<mark.start + 2, with: UInt16(length).hostBytes)
    }

    private static func tooLong(_ type: UInt16, _ length: Int) -> KernelError {
        KernelError(
            errno: 90, doing: "build a netlink message",
            object: "attribute \(type) of \(length) bytes, where 65531 fit; split its content over several messages"
        )
    }

    private mutating func putNumber(_ type: UInt16, _ value: some FixedWidthInteger) {
        append(native: UInt16(truncatingIfNeeded: 4 + value.bitWidth / 8))
        append(native: type)
        append(native: value)
        pad()
    }

    private mutating func append(native value: some FixedWidthInteger) {
        // Of the caller's type, which the compiler does not know here: a byte at a time would be a call each.
        unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func patch(_ value: UInt32, at offset: Int) {
        bytes.replaceSubrange(offset..<offset + 4, with: value.hostBytes)
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }
}

extension FixedWidthInteger {
    /// The bytes of the value as they lie in memory.
    var hostBytes: [UInt8] { bigEndian.bigEndianBytes }
}
