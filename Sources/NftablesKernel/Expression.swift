internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// One instruction of the kernel's rule machine, as far as our rules use it; data goes through register 1. Prints as
/// `nft --debug=netlink` does. Bytes are as they lie in the register.
enum Expression: Hashable, Sendable {
    /// `base` is `NFT_PAYLOAD_NETWORK_HEADER` or `NFT_PAYLOAD_TRANSPORT_HEADER`.
    case payload(base: UInt32, offset: UInt32, length: UInt32)
    /// `NFT_META_…`
    case meta(key: UInt32)
    /// `NFT_CT_…`; `direction` is `IP_CT_DIR_…` where the key has one.
    case conntrack(key: UInt32, direction: UInt8?)
    /// And with the mask; nothing is flipped.
    case bitwise(mask: [UInt8])
    /// A number of so many bytes from host to network order, so that it compares byte by byte.
    case toNetworkOrder(length: UInt32)
    case compare(Relation, [UInt8])
    case lookup(set: String, yieldsVerdict: Bool)
    /// `NFT_OBJECT_COUNTER`
    case counter(name: String)
    case log(PacketCopy)
    case load([UInt8])
    case setConntrack(key: UInt32)
    case verdict(Verdict)
    /// What none of our rules contains.
    case foreign(String)

    /// `NFT_BITWISE_BOOL`, in later headers `NFT_BITWISE_MASK_XOR`.
    static let maskAndFlip: UInt32 = 0

    /// `enum nft_cmp_ops`
    enum Relation: UInt32, Sendable {
        case equal = 0
        case notEqual, less, atMost, greater, atLeast
    }
}

extension Expression: CustomStringConvertible {
    var description: String {
        switch self {
        case .payload(let base, let offset, let length):
            let header = base == NFT_PAYLOAD_NETWORK_HEADER.rawValue ? "network" : "transport"
            return "payload load \(length)b @ \(header) header + \(offset) => reg 1"
        case .meta(let key): return "meta load \(key) => reg 1"
        case .conntrack(let key, let direction):
            return "ct load \(key) => reg 1" + (direction.map { ", dir \($0 == 0 ? "original" : "reply")" } ?? "")
        case .bitwise(let mask): return "bitwise reg 1 = reg 1 & 0x\(Self.text(of: mask))"
        case .toNetworkOrder(let length): return "byteorder reg 1 = hton(reg 1, \(length))"
        case .compare(let relation, let bytes): return "cmp \(relation) reg 1 0x\(Self.text(of: bytes))"
        case .lookup(let set, let yieldsVerdict): return "lookup reg 1 set \(set)" + (yieldsVerdict ? " dreg 0" : "")
        case .counter(let name): return "objref type 1 name \(name)"
        case .log(let copy): return "log prefix \(copy.prefix) group \(copy.group) snaplen \(copy.snapLength)"
        case .load(let bytes): return "immediate reg 1 0x\(Self.text(of: bytes))"
        case .setConntrack(let key): return "ct set \(key) with reg 1"
        case .verdict(let verdict): return "immediate reg 0 \(verdict)"
        case .foreign(let name): return name
        }
    }

    private static func text(of bytes: [UInt8]) -> String { bytes.map { hexadecimal($0) }.joined() }
}

extension Verdict {
    /// `NF_ACCEPT`, `NF_DROP`, or a number of `enum nft_verdicts`.
    var code: Int32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .jump: -3
        case .goto: -4
        case .return: -5
        }
    }

    /// Nil for a verdict that none of our rules gives.
    init?(code: UInt32, chain: String?) {
        switch (Int32(bitPattern: code), chain) {
        case (0, nil): self = .drop
        case (1, nil): self = .accept
        case (-3, let chain?): self = .jump(ChainName(chain))
        case (-4, let chain?): self = .goto(ChainName(chain))
        case (-5, nil): self = .return
        default: return nil
        }
    }
}
