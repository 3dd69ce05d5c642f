internal import CNftnl
internal import Netlink
package import NetworkTypes
package import Nftables

#if _endian(big)
    #error("attributes are put together for little-endian machines")
#endif

/// The messages of one transaction while it is filled: one growing buffer. Only `sealed` gives something that can be
/// sent.
struct Batch {
    private var bytes: [UInt8] = []
    /// Of which each message carries one out.
    private let operations: [Operation]
    /// For each message the operation it carries out.
    private var owners: [Int32] = []
    private let firstSequence: UInt32
    /// Where the message that is open, or else the last one, begins.
    private var messageStart = 0

    /// - Parameter firstSequence: number of the batch's first message; each further message has the next.
    init(of operations: [Operation], firstSequence: UInt32) {
        self.operations = operations
        self.firstSequence = firstSequence
        open(type: UInt16(NFNL_MSG_BATCH_BEGIN), flags: 1, sequence: firstSequence, family: 0)
        bytes[bytes.count - 1] = UInt8(NFNL_SUBSYS_NFTABLES)
        put(NFNL_BATCH_GENID.rawValue, UInt32(0))
        patchLength()
    }

    /// With the message that ends it.
    var byteCount: Int { bytes.count + Self.endLength }
    var isEmpty: Bool { owners.isEmpty }
    var messageCount: Int { owners.count }

    // MARK: Messages

    /// Opens a message of family inet that carries out an operation, by its index.
    mutating func begin(_ type: nf_tables_msg_types, flags: Int32, of operation: Int) {
        owners.append(Int32(truncatingIfNeeded: operation))
        open(
            type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(truncatingIfNeeded: type.rawValue),
            flags: UInt16(truncatingIfNeeded: flags) | 1, sequence: firstSequence &+ UInt32(owners.count),
            family: UInt8(NFPROTO_INET))
    }

    mutating func end() { patchLength() }

    /// Adds a message that is complete but for its number.
    mutating func append(_ message: [UInt8], of operation: Int) {
        owners.append(Int32(truncatingIfNeeded: operation))
        messageStart = bytes.count
        bytes += message
        let sequence = firstSequence &+ UInt32(owners.count)
        store(sequence, at: messageStart + 8)
        pad()
    }

    /// Takes the last message away, and gives a batch that begins with it and is numbered from behind this one's end.
    /// The batch that is left must not be empty.
    mutating func splitOffLast() -> Batch {
        precondition(owners.count > 1, "nothing would be left")
        let owner = owners.removeLast()
        var rest = Batch(of: operations, firstSequence: firstSequence &+ UInt32(owners.count + 2))
        rest.append(Array(bytes[messageStart...]), of: Int(owner))
        bytes.removeSubrange(messageStart...)
        return rest
    }

    consuming func sealed() -> SealedBatch {
        open(
            type: UInt16(NFNL_MSG_BATCH_END), flags: 1, sequence: firstSequence &+ UInt32(owners.count + 1), family: 0)
        bytes[bytes.count - 1] = UInt8(NFNL_SUBSYS_NFTABLES)
        patchLength()
        return SealedBatch(bytes: bytes, operations: operations, owners: owners, firstSequence: firstSequence)
    }

    private static let endLength = 20

    /// `struct nlmsghdr` and `struct nfgenmsg`, the length to come.
    private mutating func open(type: UInt16, flags: UInt16, sequence: UInt32, family: UInt8) {
        messageStart = bytes.count
        appendNative(UInt64(type) << 32 | UInt64(flags) << 48)
        appendNative(UInt64(sequence))
        appendNative(UInt32(family))
    }

    private mutating func patchLength() {
        store(UInt32(truncatingIfNeeded: bytes.count - messageStart), at: messageStart)
    }

    // MARK: Attributes

    /// A number in network order.
    mutating func put(_ type: UInt32, _ value: UInt32) {
        appendNative(UInt64(value.bigEndian) << 32 | UInt64(type & 0xffff) << 16 | 8)
    }

    mutating func put(_ type: UInt32, _ value: UInt64) {
        appendNative(UInt32(type & 0xffff) << 16 | 12)
        appendNative(value.bigEndian)
    }

    mutating func put(_ type: UInt32, _ value: UInt16) {
        appendNative(UInt64(value.bigEndian) << 32 | UInt64(type & 0xffff) << 16 | 6)
    }

    mutating func put(_ type: UInt32, _ value: UInt8) {
        appendNative(UInt64(value) << 32 | UInt64(type & 0xffff) << 16 | 5)
    }

    /// With the NUL that the kernel's strings end in. At most 255 bytes (`requireName`).
    mutating func put(_ type: UInt32, string: String) {
        var string = string
        string.withUTF8 { text in
            appendNative(UInt32(type & 0xffff) << 16 | UInt32(truncatingIfNeeded: text.count + 5))
            unsafe bytes.append(contentsOf: text)
        }
        bytes.append(0)
        pad()
    }

    mutating func put(_ type: UInt32, bytes payload: [UInt8]) {
        appendNative(UInt32(type & 0xffff) << 16 | UInt32(truncatingIfNeeded: payload.count + 4))
        bytes += payload
        pad()
    }

    mutating func put(_ type: UInt32, _ value: RegisterBytes) {
        appendNative(UInt32(type & 0xffff) << 16 | UInt32(value.count + 4))
        // To the front of 16 bytes, of which as many as there are stay.
        let front = value.count == 0 ? 0 : (value.value << UInt128(8 * (16 - value.count))).bigEndian
        appendNative(front)
        bytes.removeLast(16 - (value.count + 3) / 4 * 4)
    }

    /// Opens an attribute that holds attributes (`NLA_F_NESTED`); its place is for `endNested`.
    mutating func beginNested(_ type: UInt32) -> Int {
        appendNative(UInt32(type & 0x3fff | 0x8000) << 16)
        return bytes.count - 4
    }

    /// - Returns: the attribute's length, which its 16 bits must hold.
    @discardableResult
    mutating func endNested(_ start: Int) -> Int {
        let length = bytes.count - start
        precondition(length <= Int(UInt16.max), "an attribute outgrew 64 KiB")
        bytes[start] = UInt8(truncatingIfNeeded: UInt16(length).littleEndian)
        bytes[start + 1] = UInt8(truncatingIfNeeded: UInt16(length).littleEndian >> 8)
        return length
    }

    /// Bytes since a place that `beginNested` gave.
    func length(since start: Int) -> Int { bytes.count - start }

    private mutating func pad() {
        while bytes.count & 3 != 0 { bytes.append(0) }
    }

    private mutating func appendNative<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number) {
        unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func store(_ value: UInt32, at offset: Int) {
        unsafe bytes.withUnsafeMutableBytes {
            unsafe $0.storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
        }
    }
}

/// A whole transaction, to be sent in one piece.
package struct SealedBatch: Sendable {
    package private(set) var bytes: [UInt8]
    private let all: [Operation]
    let owners: [Int32]
    let firstSequence: UInt32

    init(bytes: [UInt8], operations: [Operation], owners: [Int32], firstSequence: UInt32) {
        self.bytes = bytes
        self.all = operations
        self.owners = owners
        self.firstSequence = firstSequence
    }

    /// Those that it carries out, at least in part.
    var operations: ArraySlice<Operation> {
        guard let first = owners.first, let last = owners.last else { return [] }
        return all[Int(first)...Int(last)]
    }

    /// The kernel will refuse the batch with `ERESTART` unless the ruleset has this number (`NFNL_BATCH_GENID`; 0 is
    /// any).
    mutating func expect(_ generation: Generation) {
        // Behind nlmsghdr, nfgenmsg and the header of the only attribute.
        bytes.replaceSubrange(24..<28, with: generation.number.bigEndianBytes)
    }

    /// Whether an answer is to one of the batch's messages.
    func holds(_ sequence: UInt32) -> Bool { sequence &- firstSequence <= UInt32(owners.count + 1) }

    /// The operation a message carries out; nil for the first and the last message.
    func operation(at sequence: UInt32) -> Operation? {
        let index = Int(sequence &- firstSequence) - 1
        return owners.indices.contains(index) ? all[Int(owners[index])] : nil
    }

    /// Each operation as nft writes it, and below it its messages in hexadecimal, 32 bytes a line: for goldens and for
    /// a look at what is sent.
    package var description: String {
        var text = ""
        var lastOwner: Int32?
        for (index, message) in NetlinkMessages(bytes[...]).enumerated() {
            let owner = owners.indices.contains(index - 1) ? owners[index - 1] : nil
            if let owner {
                if owner != lastOwner { text += "\(all[Int(owner)])\n" }
            } else {
                text += index == 0 ? "begin\n" : "end\n"
            }
            lastOwner = owner
            let bytes = Array(message.bytes)
            for start in stride(from: 0, to: bytes.count, by: 32) {
                let line = bytes[start..<min(start + 32, bytes.count)]
                text += "    " + line.map { hexadecimal($0) }.joined() + "\n"
            }
        }
        return text
    }

    /// One transaction of all operations, without a kernel: numbered from 0, each `replaceRule` of handle 0.
    package static func encoding(_ operations: [Operation], table: String) throws(KernelError) -> SealedBatch {
        var encoder = try OperationEncoder(table: table, tableFlags: 0)
        var batch = Batch(of: operations, firstSequence: 0)
        for index in operations.indices { try encoder.encode(operations[index], index, into: &batch) }
        return batch.sealed()
    }
}

extension SealedBatch: CustomStringConvertible {}
