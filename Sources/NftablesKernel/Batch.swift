internal import CNftnl
internal import Netlink
package import NetworkTypes
package import Nftables

/// The messages of one transaction while it is filled. Only `sealed` gives something that can be sent.
struct Batch: ~Copyable {
    private var bytes: [UInt8]
    private var operations: [Operation] = []
    /// For each message the operation it carries out.
    private var owners: [Int] = []
    private let firstSequence: UInt32

    /// - Parameter firstSequence: number of the batch's first message; each further message has the next.
    init(firstSequence: UInt32) {
        self.firstSequence = firstSequence
        var writer = NetlinkWriter()
        writer.begin(type: UInt16(NFNL_MSG_BATCH_BEGIN), flags: 0, sequence: firstSequence)
        writer.putNetfilterHeader(family: 0, resourceID: UInt16(NFNL_SUBSYS_NFTABLES))
        writer.put(UInt16(NFNL_BATCH_GENID.rawValue), UInt32(0))
        writer.end()
        bytes = writer.bytes
    }

    /// What it would measure with one message of `count` bytes more.
    func byteCount(with count: Int) -> Int { bytes.count + count + Self.endLength }

    var isEmpty: Bool { owners.isEmpty }

    /// Adds one message of an operation; the messages of an operation follow one another.
    mutating func append(_ message: [UInt8], of operation: Operation, isFirst: Bool) {
        if isFirst || operations.isEmpty { operations.append(operation) }
        owners.append(operations.count - 1)
        let start = bytes.count
        bytes += message
        let sequence = firstSequence &+ UInt32(owners.count)
        bytes.replaceSubrange(start + 8..<start + 12, with: UserData.number(sequence))
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    consuming func sealed() -> SealedBatch {
        var writer = NetlinkWriter()
        let sequence = firstSequence &+ UInt32(owners.count + 1)
        writer.begin(type: UInt16(NFNL_MSG_BATCH_END), flags: 0, sequence: sequence)
        writer.putNetfilterHeader(family: 0, resourceID: UInt16(NFNL_SUBSYS_NFTABLES))
        writer.end()
        let all = bytes + writer.bytes
        return SealedBatch(bytes: all, operations: operations, owners: owners, firstSequence: firstSequence)
    }

    private static let endLength = 20
}

/// A whole transaction, to be sent in one piece.
package struct SealedBatch: Sendable {
    package private(set) var bytes: [UInt8]
    package let operations: [Operation]
    let owners: [Int]
    let firstSequence: UInt32

    init(bytes: [UInt8], operations: [Operation], owners: [Int], firstSequence: UInt32) {
        self.bytes = bytes
        self.operations = operations
        self.owners = owners
        self.firstSequence = firstSequence
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
        return owners.indices.contains(index) ? operations[owners[index]] : nil
    }

    /// Each operation as nft writes it, and below it its messages in hexadecimal, 32 bytes a line: for goldens and for
    /// a look at what is sent.
    package var description: String {
        var text = ""
        var lastOwner: Int?
        for (index, message) in NetlinkMessages(bytes[...]).enumerated() {
            let owner = owners.indices.contains(index - 1) ? owners[index - 1] : nil
            if let owner {
                if owner != lastOwner { text += "\(operations[owner])\n" }
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
        var batch = Batch(firstSequence: 0)
        for operation in operations {
            for (index, message) in try encoder.messages(for: operation).enumerated() {
                batch.append(message, of: operation, isFirst: index == 0)
            }
        }
        return batch.sealed()
    }
}

extension SealedBatch: CustomStringConvertible {}
