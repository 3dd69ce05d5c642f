internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// 32 bits of what the kernel's rule machine computes with; values that are wider take several of them.
struct Register: Hashable, Sendable {
    /// 0...15 (`NFT_REG32_00` …).
    let word: Int

    static let first = Register(word: 0)
    static let count = 16

    init(word: Int) { self.word = word }

    /// As the kernel gives it back, however it was sent: the 128-bit register where one begins here (`NFT_REG_1` …).
    var number: UInt32 {
        UInt32(word % 4 == 0 ? Int(NFT_REG_1.rawValue) + word / 4 : Int(NFT_REG32_00.rawValue) + word)
    }

    init?(number: UInt32) {
        switch number {
        case NFT_REG_1.rawValue...NFT_REG_4.rawValue: word = 4 * Int(number - NFT_REG_1.rawValue)
        case NFT_REG32_00.rawValue...NFT_REG32_15.rawValue: word = Int(number - NFT_REG32_00.rawValue)
        default: return nil
        }
    }
}

/// One instruction of the kernel's rule machine, as far as our rules use it. Data goes through register 1, but for the
/// fields of a concatenation, which lie one behind the other from there on, and for those of a `Classification`. Prints
/// as `nft --debug=netlink` does. Bytes are as they lie in the register.
enum Expression: Hashable, Sendable {
    /// `base` is `NFT_PAYLOAD_NETWORK_HEADER` or `NFT_PAYLOAD_TRANSPORT_HEADER`.
    case payload(base: UInt32, offset: UInt32, length: UInt32, into: Register = .first)
    /// `NFT_META_…`
    case meta(key: UInt32, into: Register = .first)
    /// `NFT_CT_…`; `direction` is `IP_CT_DIR_…` where the key has one.
    case conntrack(key: UInt32, direction: UInt8?, into: Register = .first)
    /// And with the mask; nothing is flipped.
    case bitwise(mask: RegisterBytes)
    /// A number of so many bytes from host to network order, so that it compares byte by byte.
    case toNetworkOrder(length: UInt32)
    case compare(Relation, RegisterBytes)
    /// `isInverted`: `NFT_LOOKUP_F_INV`, goes on where the set does not hold it.
    case lookup(set: String, from: Register = .first, yields: Yield = .nothing, isInverted: Bool = false)
    /// `NFT_OBJECT_COUNTER`
    case counter(name: String)
    /// `NFT_OBJECT_CT_TIMEOUT`
    case timeout(name: String)
    case log(PacketCopy)
    case load(RegisterBytes, into: Register = .first)
    case setConntrack(key: UInt32)
    case verdict(Verdict)
    /// What none of our rules contains.
    case foreign(String)

    /// `NFT_BITWISE_BOOL`, in later headers `NFT_BITWISE_MASK_XOR`.
    static let maskAndFlip: UInt32 = 0

    /// Where a load puts what it loads; nil for what loads nothing of the packet.
    var loadedRegister: Register? {
        switch self {
        case .payload(_, _, _, let register), .meta(_, let register), .conntrack(_, _, let register): register
        default: nil
        }
    }

    /// The same load into another register.
    func loading(into register: Register) -> Expression {
        switch self {
        case .payload(let base, let offset, let length, _):
            .payload(base: base, offset: offset, length: length, into: register)
        case .meta(let key, _): .meta(key: key, into: register)
        case .conntrack(let key, let direction, _): .conntrack(key: key, direction: direction, into: register)
        default: self
        }
    }

    /// What a look-up gives beside whether there is such an element.
    enum Yield: Hashable, Sendable {
        case nothing, verdict
        /// Into the two registers from this one on.
        case number(into: Register)
    }

    /// `enum nft_cmp_ops`
    enum Relation: UInt32, Sendable {
        case equal = 0
        case notEqual, less, atMost, greater, atLeast
    }
}

extension Expression: CustomStringConvertible {
    var description: String {
        switch self {
        case .payload(let base, let offset, let length, let register):
            let header = base == NFT_PAYLOAD_NETWORK_HEADER.rawValue ? "network" : "transport"
            return "payload load \(length)b @ \(header) header + \(offset) => reg \(register.number)"
        case .meta(let key, let register): return "meta load \(key) => reg \(register.number)"
        case .conntrack(let key, let direction, let register):
            return "ct load \(key) => reg \(register.number)"
                + (direction.map { ", dir \($0 == 0 ? "original" : "reply")" } ?? "")
        case .bitwise(let mask): return "bitwise reg 1 = reg 1 & 0x\(mask.text)"
        case .toNetworkOrder(let length): return "byteorder reg 1 = hton(reg 1, \(length))"
        case .compare(let relation, let bytes): return "cmp \(relation) reg 1 0x\(bytes.text)"
        case .lookup(let set, let register, let yields, let isInverted):
            let target =
                switch yields {
                case .nothing: ""
                case .verdict: " dreg 0"
                case .number(let register): " dreg \(register.number)"
                }
            return "lookup reg \(register.number) set \(set)" + target + (isInverted ? " 0x1" : "")
        case .counter(let name): return "objref type \(NFT_OBJECT_COUNTER) name \(name)"
        case .timeout(let name): return "objref type \(NFT_OBJECT_CT_TIMEOUT) name \(name)"
        case .log(let copy): return "log prefix \(copy.prefix) group \(copy.group) snaplen \(copy.snapLength)"
        case .load(let bytes, let register): return "immediate reg \(register.number) 0x\(bytes.text)"
        case .setConntrack(let key): return "ct set \(key) with reg 1"
        case .verdict(let verdict): return "immediate reg 0 \(verdict)"
        case .foreign(let name): return name
        }
    }
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
