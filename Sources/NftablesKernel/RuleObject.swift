internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// An owned rule of libnftnl. Wraps `struct nftnl_rule`.
@safe struct RuleObject: ~Copyable, MessageBody {
    private let rule: OpaquePointer

    /// Which rule of the chain a message is about, by its handle.
    enum Place {
        case of(UInt64)
        case before(UInt64)
    }

    static func encoding(
        _ contents: Rule, table: String, chain: ChainName, place: Place? = nil
    ) throws(KernelError) -> RuleObject {
        try requireName(chain.description, of: "chain")
        let expressions = try contents.expressions()
        let object = try RuleObject()
        try object.put(in: chain, of: table, place)
        if let comment = contents.comment { try object.setComment(comment) }
        for expression in expressions { try object.append(expression) }
        return object
    }

    private func put(in chain: ChainName, of table: String, _ place: Place?) throws(KernelError) {
        unsafe nftnl_rule_set_u32(rule, UInt16(NFTNL_RULE_FAMILY.rawValue), UInt32(NFPROTO_INET))
        try requireStored(unsafe nftnl_rule_set_str(rule, UInt16(NFTNL_RULE_TABLE.rawValue), table), "name")
        try requireStored(unsafe nftnl_rule_set_str(rule, UInt16(NFTNL_RULE_CHAIN.rawValue), chain.description), "name")
        switch place {
        case .of(let handle): unsafe nftnl_rule_set_u64(rule, UInt16(NFTNL_RULE_HANDLE.rawValue), handle)
        case .before(let handle): unsafe nftnl_rule_set_u64(rule, UInt16(NFTNL_RULE_POSITION.rawValue), handle)
        case nil: break
        }
    }

    private func append(_ expression: Expression) throws(KernelError) {
        let object = unsafe try ExpressionObject.encoding(expression).released()
        unsafe nftnl_rule_add_expr(rule, object)  // and owns it from now on
    }

    private init() throws(KernelError) { unsafe rule = try allocated(nftnl_rule_alloc(), "rule") }

    deinit { unsafe nftnl_rule_free(rule) }

    func build(into message: UnsafeMutablePointer<nlmsghdr>) { unsafe nftnl_rule_nlmsg_build_payload(message, rule) }

    private func setComment(_ comment: String) throws(KernelError) {
        try requireName(comment, of: "comment", limit: 127)
        let data = UserData.encoding([(UserData.ruleComment, Array(comment.utf8) + [0])])
        let status = unsafe data.withUnsafeBytes {
            unsafe nftnl_rule_set_data(rule, UInt16(NFTNL_RULE_USERDATA.rawValue), $0.baseAddress, UInt32($0.count))
        }
        try requireStored(status, "comment")
    }
}

/// An owned expression of libnftnl until a rule takes it over. Wraps `struct nftnl_expr`.
@safe private struct ExpressionObject: ~Copyable {
    private let object: OpaquePointer

    static func encoding(_ expression: Expression) throws(KernelError) -> ExpressionObject {
        let object = try ExpressionObject(named: name(of: expression))
        try object.fill(expression)
        return object
    }

    private static func name(of expression: Expression) -> String {
        switch expression {
        case .payload: "payload"
        case .meta: "meta"
        case .conntrack, .setConntrack: "ct"
        case .bitwise: "bitwise"
        case .toNetworkOrder: "byteorder"
        case .compare: "cmp"
        case .lookup: "lookup"
        case .counter, .timeout: "objref"
        case .log: "log"
        case .load, .verdict: "immediate"
        case .foreign(let text): preconditionFailure("nothing of ours encodes to \(text)")
        }
    }

    private init(named name: String) throws(KernelError) {
        unsafe object = try allocated(nftnl_expr_alloc(name), "expression")
    }

    deinit { unsafe nftnl_expr_free(object) }

    consuming func released() -> OpaquePointer {
        let object = unsafe object
        discard self
        return unsafe object
    }

    private func fill(_ expression: Expression) throws(KernelError) {
        let register = NFT_REG_1.rawValue
        switch expression {
        case .payload(let base, let offset, let length, let register):
            set(NFTNL_EXPR_PAYLOAD_DREG, register.number)
            set(NFTNL_EXPR_PAYLOAD_BASE, base)
            set(NFTNL_EXPR_PAYLOAD_OFFSET, offset)
            set(NFTNL_EXPR_PAYLOAD_LEN, length)
        case .meta(let key, let register):
            set(NFTNL_EXPR_META_KEY, key)
            set(NFTNL_EXPR_META_DREG, register.number)
        case .conntrack(let key, let direction, let register):
            set(NFTNL_EXPR_CT_KEY, key)
            set(NFTNL_EXPR_CT_DREG, register.number)
            if let direction { unsafe nftnl_expr_set_u8(object, UInt16(NFTNL_EXPR_CT_DIR), direction) }
        case .setConntrack(let key):
            set(NFTNL_EXPR_CT_KEY, key)
            set(NFTNL_EXPR_CT_SREG, register)
        case .bitwise(let mask):
            set(NFTNL_EXPR_BITWISE_SREG, register)
            set(NFTNL_EXPR_BITWISE_DREG, register)
            set(NFTNL_EXPR_BITWISE_OP, Expression.maskAndFlip)
            set(NFTNL_EXPR_BITWISE_LEN, UInt32(mask.count))
            try set(NFTNL_EXPR_BITWISE_MASK, mask)
            try set(NFTNL_EXPR_BITWISE_XOR, Array(repeating: 0, count: mask.count))
        case .toNetworkOrder(let length):
            set(NFTNL_EXPR_BYTEORDER_SREG, register)
            set(NFTNL_EXPR_BYTEORDER_DREG, register)
            set(NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON.rawValue)
            set(NFTNL_EXPR_BYTEORDER_LEN, length)
            set(NFTNL_EXPR_BYTEORDER_SIZE, length)
        case .compare(let relation, let bytes):
            set(NFTNL_EXPR_CMP_SREG, register)
            set(NFTNL_EXPR_CMP_OP, relation.rawValue)
            try set(NFTNL_EXPR_CMP_DATA, bytes)
        case .lookup(let name, let yieldsVerdict, let isInverted):
            try requireName(name, of: "set")
            set(NFTNL_EXPR_LOOKUP_SREG, register)
            try set(NFTNL_EXPR_LOOKUP_SET, name)
            if yieldsVerdict { set(NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT.rawValue) }
            if isInverted { set(NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV.rawValue) }
        case .counter(let name):
            try requireName(name, of: "counter")
            set(NFTNL_EXPR_OBJREF_IMM_TYPE, UInt32(NFT_OBJECT_COUNTER))
            try set(NFTNL_EXPR_OBJREF_IMM_NAME, name)
        case .timeout(let name):
            try requireName(name, of: "ct timeout")
            set(NFTNL_EXPR_OBJREF_IMM_TYPE, UInt32(NFT_OBJECT_CT_TIMEOUT))
            try set(NFTNL_EXPR_OBJREF_IMM_NAME, name)
        case .log(let copy):
            unsafe nftnl_expr_set_u16(object, UInt16(NFTNL_EXPR_LOG_GROUP), copy.group)
            if copy.snapLength != 0 { set(NFTNL_EXPR_LOG_SNAPLEN, copy.snapLength) }
            if !copy.prefix.isEmpty {
                try requireName(copy.prefix, of: "log prefix", limit: 127)
                try set(NFTNL_EXPR_LOG_PREFIX, copy.prefix)
            }
        case .load(let bytes):
            set(NFTNL_EXPR_IMM_DREG, register)
            try set(NFTNL_EXPR_IMM_DATA, bytes)
        case .verdict(let verdict):
            set(NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT.rawValue)
            set(NFTNL_EXPR_IMM_VERDICT, UInt32(bitPattern: verdict.code))
            if let target = verdict.target {
                try requireName(target.description, of: "chain")
                try set(NFTNL_EXPR_IMM_CHAIN, target.description)
            }
        case .foreign:
            break
        }
    }

    private func set(_ attribute: Int, _ value: UInt32) {
        unsafe nftnl_expr_set_u32(object, UInt16(attribute), value)
    }

    private func set(_ attribute: Int, _ text: String) throws(KernelError) {
        try requireStored(unsafe nftnl_expr_set_str(object, UInt16(attribute), text), "name")
    }

    /// At most 16 bytes: a register.
    private func set(_ attribute: Int, _ bytes: [UInt8]) throws(KernelError) {
        precondition(bytes.count <= 16, "wider than a register")
        let status = unsafe bytes.withUnsafeBytes {
            unsafe nftnl_expr_set(object, UInt16(attribute), $0.baseAddress, UInt32($0.count))
        }
        try requireStored(status, "value")
    }
}
