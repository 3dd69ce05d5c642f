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

/// Reads expressions from one message after another; keeps the names that they repeat.
struct ExpressionReader {
    var names = NamePool()
    private var expressions: [Expression] = []
    private var scratch: [Expression] = []

    /// The rule of `NFT_MSG_NEWRULE`, from its attributes.
    mutating func rule(in message: borrowing RawSpan, _ attributes: Range<Int>) -> Rule {
        expressions.removeAll(keepingCapacity: true)
        if let list = message.attribute(NFTA_RULE_EXPRESSIONS, in: attributes) {
            var offset = list.lowerBound
            while let element = message.nextAttribute(at: &offset, before: list.upperBound) {
                expressions.append(expression(in: message, element.payload))
            }
        }
        let comment = message.attribute(NFTA_RULE_USERDATA, in: attributes).flatMap { place in
            UserData.value(UserData.ruleComment, in: message.bytes(place)[...])
        }.map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Rule(reading: expressions, comment: comment, scratch: &scratch)
    }

    private mutating func expression(in message: borrowing RawSpan, _ expression: Range<Int>) -> Expression {
        let name = message.string(NFTA_EXPR_NAME, in: expression) ?? "nameless expression"
        let data = message.attribute(NFTA_EXPR_DATA, in: expression)
        let read: Expression? =
            switch name {
            case "immediate": immediate(message, data)
            case "payload": Self.payload(message, data)
            case "cmp": Self.compare(message, data)
            case "meta": Self.meta(message, data)
            case "objref": objectReference(message, data)
            case "ct": Self.conntrack(message, data)
            case "bitwise": Self.bitwise(message, data)
            case "byteorder": Self.byteOrder(message, data)
            case "lookup": lookup(message, data)
            case "log": Self.log(message, data)
            default: nil
            }
        return read ?? .foreign(name)
    }

    private static func usesRegister1(
        _ message: borrowing RawSpan, _ data: Range<Int>?, _ type: some RawRepresentable<UInt32>
    ) -> Bool { message.uint32(type, in: data) == NFT_REG_1.rawValue }

    private static func register(
        _ message: borrowing RawSpan, _ data: Range<Int>?, _ type: some RawRepresentable<UInt32>
    ) -> Register? { message.uint32(type, in: data).flatMap(Register.init(number:)) }

    private static func payload(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        guard let register = register(message, data, NFTA_PAYLOAD_DREG),
            let base = message.uint32(NFTA_PAYLOAD_BASE, in: data),
            let offset = message.uint32(NFTA_PAYLOAD_OFFSET, in: data),
            let length = message.uint32(NFTA_PAYLOAD_LEN, in: data)
        else { return nil }
        return .payload(base: base, offset: offset, length: length, into: register)
    }

    private static func meta(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        guard let register = register(message, data, NFTA_META_DREG), let key = message.uint32(NFTA_META_KEY, in: data)
        else { return nil }
        return .meta(key: key, into: register)
    }

    private static func conntrack(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        guard let key = message.uint32(NFTA_CT_KEY, in: data) else { return nil }
        let direction = message.number(message.attribute(NFTA_CT_DIRECTION, in: data), as: UInt8.self)
        if let register = register(message, data, NFTA_CT_DREG) {
            return .conntrack(key: key, direction: direction, into: register)
        }
        return usesRegister1(message, data, NFTA_CT_SREG) && direction == nil ? .setConntrack(key: key) : nil
    }

    private static func bitwise(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        guard usesRegister1(message, data, NFTA_BITWISE_SREG), usesRegister1(message, data, NFTA_BITWISE_DREG),
            message.uint32(NFTA_BITWISE_OP, in: data) ?? 0 == Expression.maskAndFlip,
            let mask = message.value(in: message.attribute(NFTA_BITWISE_MASK, in: data)),
            message.value(in: message.attribute(NFTA_BITWISE_XOR, in: data))?.value == 0
        else { return nil }
        return .bitwise(mask: mask)
    }

    private static func byteOrder(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        guard usesRegister1(message, data, NFTA_BYTEORDER_SREG), usesRegister1(message, data, NFTA_BYTEORDER_DREG),
            message.uint32(NFTA_BYTEORDER_OP, in: data) == NFT_BYTEORDER_HTON.rawValue,
            let length = message.uint32(NFTA_BYTEORDER_LEN, in: data),
            message.uint32(NFTA_BYTEORDER_SIZE, in: data) == length
        else { return nil }
        return .toNetworkOrder(length: length)
    }

    private static func compare(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        guard usesRegister1(message, data, NFTA_CMP_SREG),
            let relation = message.uint32(NFTA_CMP_OP, in: data).flatMap(Expression.Relation.init(rawValue:)),
            let bytes = message.value(in: message.attribute(NFTA_CMP_DATA, in: data))
        else { return nil }
        return .compare(relation, bytes)
    }

    private mutating func lookup(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        let flags = message.uint32(NFTA_LOOKUP_FLAGS, in: data) ?? 0
        guard let register = Self.register(message, data, NFTA_LOOKUP_SREG),
            let set = names.name(message.attribute(NFTA_LOOKUP_SET, in: data), in: message),
            flags & ~NFT_LOOKUP_F_INV.rawValue == 0
        else { return nil }
        let target = message.attribute(NFTA_LOOKUP_DREG, in: data)
        let yields: Expression.Yield
        switch target.map({ message.number($0, as: UInt32.self) }) {
        case nil: yields = .nothing
        case NFT_REG_VERDICT.rawValue: yields = .verdict
        case let number:
            guard let into = number?.flatMap(Register.init(number:)) else { return nil }
            yields = .number(into: into)
        }
        return .lookup(set: set, from: register, yields: yields, isInverted: flags != 0)
    }

    private mutating func objectReference(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        guard let name = names.name(message.attribute(NFTA_OBJREF_IMM_NAME, in: data), in: message) else { return nil }
        return switch message.uint32(NFTA_OBJREF_IMM_TYPE, in: data) {
        case UInt32(NFT_OBJECT_COUNTER): .counter(name: name)
        case UInt32(NFT_OBJECT_CT_TIMEOUT): .timeout(name: name)
        default: nil
        }
    }

    private static func log(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        let threshold = message.number(message.attribute(NFTA_LOG_QTHRESHOLD, in: data), as: UInt16.self)
        guard let group = message.number(message.attribute(NFTA_LOG_GROUP, in: data), as: UInt16.self),
            message.attribute(NFTA_LOG_LEVEL, in: data) == nil, message.attribute(NFTA_LOG_FLAGS, in: data) == nil,
            threshold ?? 0 == 0
        else { return nil }
        let length = message.uint32(NFTA_LOG_SNAPLEN, in: data) ?? 0
        let prefix = message.string(NFTA_LOG_PREFIX, in: data) ?? ""
        return .log(PacketCopy(group: group, snapLength: length, prefix: prefix))
    }

    private mutating func immediate(_ message: borrowing RawSpan, _ data: Range<Int>?) -> Expression? {
        guard let content = message.attribute(NFTA_IMMEDIATE_DATA, in: data) else { return nil }
        let register = message.uint32(NFTA_IMMEDIATE_DREG, in: data)
        if register == NFT_REG_VERDICT.rawValue { return verdict(in: message, content).map { .verdict($0) } }
        guard let register = register.flatMap(Register.init(number:)), let bytes = message.value(in: content) else {
            return nil
        }
        return .load(bytes, into: register)
    }

    /// From `NFTA_DATA_VERDICT` inside `data`; nil for one that none of our rules gives.
    mutating func verdict(in message: borrowing RawSpan, _ data: Range<Int>?) -> Verdict? {
        guard let verdict = message.attribute(NFTA_DATA_VERDICT, in: data),
            let code = message.uint32(NFTA_VERDICT_CODE, in: verdict)
        else { return nil }
        return Verdict(code: code, chain: names.name(message.attribute(NFTA_VERDICT_CHAIN, in: verdict), in: message))
    }
}
