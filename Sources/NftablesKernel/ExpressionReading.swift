internal import CNftnl
internal import Netlink
internal import Nftables

// What the kernel dumps of a rule, as expressions. Whatever is not fully understood is `.foreign`: never a guess, never
// a trap.

extension NetlinkAttributes {
    /// The first of a type of one of the kernel's enumerations.
    func first(_ type: some RawRepresentable<UInt32>) -> NetlinkAttribute? {
        first(UInt16(truncatingIfNeeded: type.rawValue))
    }
}

extension Expression {
    /// The expressions of `NFTA_RULE_EXPRESSIONS`, in order.
    static func list(in attribute: NetlinkAttribute) -> [Expression] {
        attribute.nested.map { Expression(reading: $0.nested) }
    }

    private init(reading expression: NetlinkAttributes) {
        let name = expression.first(NFTA_EXPR_NAME)?.string ?? "nameless expression"
        let data = expression.first(NFTA_EXPR_DATA)?.nested ?? NetlinkAttributes([])
        let read: Expression? =
            switch name {
            case "payload": Self.payload(data)
            case "meta": Self.meta(data)
            case "ct": Self.conntrack(data)
            case "bitwise": Self.bitwise(data)
            case "byteorder": Self.byteOrder(data)
            case "cmp": Self.compare(data)
            case "lookup": Self.lookup(data)
            case "objref": Self.objectReference(data)
            case "log": Self.log(data)
            case "immediate": Self.immediate(data)
            default: nil
            }
        self = read ?? .foreign(name)
    }

    private static func usesRegister1(_ data: NetlinkAttributes, _ types: any RawRepresentable<UInt32>...) -> Bool {
        types.allSatisfy { data.first(UInt16(truncatingIfNeeded: $0.rawValue))?.uint32 == NFT_REG_1.rawValue }
    }

    private static func register(_ data: NetlinkAttributes, _ type: some RawRepresentable<UInt32>) -> Register? {
        data.first(type)?.uint32.flatMap(Register.init(number:))
    }

    private static func payload(_ data: NetlinkAttributes) -> Expression? {
        guard let register = register(data, NFTA_PAYLOAD_DREG), let base = data.first(NFTA_PAYLOAD_BASE)?.uint32,
            let offset = data.first(NFTA_PAYLOAD_OFFSET)?.uint32, let length = data.first(NFTA_PAYLOAD_LEN)?.uint32
        else { return nil }
        return .payload(base: base, offset: offset, length: length, into: register)
    }

    private static func meta(_ data: NetlinkAttributes) -> Expression? {
        guard let register = register(data, NFTA_META_DREG), let key = data.first(NFTA_META_KEY)?.uint32 else {
            return nil
        }
        return .meta(key: key, into: register)
    }

    private static func conntrack(_ data: NetlinkAttributes) -> Expression? {
        guard let key = data.first(NFTA_CT_KEY)?.uint32 else { return nil }
        let direction = data.first(NFTA_CT_DIRECTION)?.uint8
        if let register = register(data, NFTA_CT_DREG) {
            return .conntrack(key: key, direction: direction, into: register)
        }
        return usesRegister1(data, NFTA_CT_SREG) && direction == nil ? .setConntrack(key: key) : nil
    }

    private static func bitwise(_ data: NetlinkAttributes) -> Expression? {
        guard usesRegister1(data, NFTA_BITWISE_SREG, NFTA_BITWISE_DREG),
            data.first(NFTA_BITWISE_OP)?.uint32 ?? 0 == Expression.maskAndFlip,
            let mask = data.first(NFTA_BITWISE_MASK)?.nested.first(NFTA_DATA_VALUE)?.bytes,
            let flip = data.first(NFTA_BITWISE_XOR)?.nested.first(NFTA_DATA_VALUE)?.bytes,
            flip.allSatisfy({ $0 == 0 })
        else { return nil }
        return .bitwise(mask: mask)
    }

    private static func byteOrder(_ data: NetlinkAttributes) -> Expression? {
        guard usesRegister1(data, NFTA_BYTEORDER_SREG, NFTA_BYTEORDER_DREG),
            data.first(NFTA_BYTEORDER_OP)?.uint32 == NFT_BYTEORDER_HTON.rawValue,
            let length = data.first(NFTA_BYTEORDER_LEN)?.uint32, data.first(NFTA_BYTEORDER_SIZE)?.uint32 == length
        else { return nil }
        return .toNetworkOrder(length: length)
    }

    private static func compare(_ data: NetlinkAttributes) -> Expression? {
        guard usesRegister1(data, NFTA_CMP_SREG),
            let relation = data.first(NFTA_CMP_OP)?.uint32.flatMap(Relation.init(rawValue:)),
            let bytes = data.first(NFTA_CMP_DATA)?.nested.first(NFTA_DATA_VALUE)?.bytes, bytes.count <= 16
        else { return nil }
        return .compare(relation, bytes)
    }

    private static func lookup(_ data: NetlinkAttributes) -> Expression? {
        let flags = data.first(NFTA_LOOKUP_FLAGS)?.uint32 ?? 0
        guard usesRegister1(data, NFTA_LOOKUP_SREG), let set = data.first(NFTA_LOOKUP_SET)?.string,
            flags & ~NFT_LOOKUP_F_INV.rawValue == 0
        else { return nil }
        let target = data.first(NFTA_LOOKUP_DREG)
        guard target == nil || target?.uint32 == NFT_REG_VERDICT.rawValue else { return nil }
        return .lookup(set: set, yieldsVerdict: target != nil, isInverted: flags != 0)
    }

    private static func objectReference(_ data: NetlinkAttributes) -> Expression? {
        guard let name = data.first(NFTA_OBJREF_IMM_NAME)?.string else { return nil }
        return switch data.first(NFTA_OBJREF_IMM_TYPE)?.uint32 {
        case UInt32(NFT_OBJECT_COUNTER): .counter(name: name)
        case UInt32(NFT_OBJECT_CT_TIMEOUT): .timeout(name: name)
        default: nil
        }
    }

    private static func log(_ data: NetlinkAttributes) -> Expression? {
        guard let group = data.first(NFTA_LOG_GROUP)?.uint16, data.first(NFTA_LOG_LEVEL) == nil,
            data.first(NFTA_LOG_FLAGS) == nil, data.first(NFTA_LOG_QTHRESHOLD)?.uint16 ?? 0 == 0
        else { return nil }
        let length = data.first(NFTA_LOG_SNAPLEN)?.uint32 ?? 0
        return .log(PacketCopy(group: group, snapLength: length, prefix: data.first(NFTA_LOG_PREFIX)?.string ?? ""))
    }

    private static func immediate(_ data: NetlinkAttributes) -> Expression? {
        guard let content = data.first(NFTA_IMMEDIATE_DATA)?.nested else { return nil }
        if data.first(NFTA_IMMEDIATE_DREG)?.uint32 == NFT_REG_VERDICT.rawValue {
            return Verdict(reading: content).map { .verdict($0) }
        }
        guard usesRegister1(data, NFTA_IMMEDIATE_DREG), let bytes = content.first(NFTA_DATA_VALUE)?.bytes,
            bytes.count == 16
        else { return nil }
        return .load(bytes)
    }
}

extension Verdict {
    /// From `NFTA_DATA_VERDICT` inside `data`; nil for one that none of our rules gives.
    init?(reading data: NetlinkAttributes) {
        guard let verdict = data.first(NFTA_DATA_VERDICT)?.nested, let code = verdict.first(NFTA_VERDICT_CODE)?.uint32
        else { return nil }
        self.init(code: code, chain: verdict.first(NFTA_VERDICT_CHAIN)?.string)
    }
}
