internal import CNftnl
internal import NetworkTypes
internal import Nftables

// Rules to messages, with the attributes in libnftnl's order.

/// Which rule of the chain a message is about, by its handle.
private enum RulePlace {
    case of(UInt64)
    case before(UInt64)
}

extension OperationEncoder {
    /// An operation on rules. Without `NLM_F_APPEND` a rule goes before the one it is placed by; a deletion without a
    /// handle is of all rules of the chain.
    mutating func encodeRule(
        _ operation: Operation, _ index: Int, at handle: UInt64?, into batch: inout Batch
    ) throws(KernelError) {
        switch operation {
        case .addRule(let rule, let chain):
            try write(rule, of: chain, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, index, nil, into: &batch)
        case .insertRule(let rule, _, let chain):
            let flags = NLM_F_CREATE | (handle == nil ? NLM_F_APPEND : 0)
            try write(rule, of: chain, NFT_MSG_NEWRULE, flags, index, handle.map { .before($0) }, into: &batch)
        case .replaceRule(_, let chain, let rule):
            try write(rule, of: chain, NFT_MSG_NEWRULE, NLM_F_REPLACE, index, .of(handle ?? 0), into: &batch)
        case .deleteRule(_, let chain):
            try write(nil, of: chain, NFT_MSG_DELRULE, 0, index, .of(handle ?? 0), into: &batch)
        case .flushChain(let chain):
            try write(nil, of: chain, NFT_MSG_DELRULE, 0, index, nil, into: &batch)
        default: preconditionFailure("no operation on rules")
        }
    }

    private mutating func write(
        _ rule: Rule?, of chain: ChainName, _ type: nf_tables_msg_types, _ flags: Int32, _ index: Int,
        _ place: RulePlace?, into batch: inout Batch
    ) throws(KernelError) {
        try requireName(chain.description, of: "chain")
        expressions.removeAll(keepingCapacity: true)
        // All that may be refused comes before the message is open.
        try rule?.append(to: &expressions)
        for expression in expressions { try expression.check() }
        if let comment = rule?.comment { try requireName(comment, of: "comment", limit: 127) }
        batch.begin(type, flags: flags, of: index)
        batch.put(NFTA_RULE_TABLE.rawValue, string: table)
        batch.put(NFTA_RULE_CHAIN.rawValue, string: chain.description)
        switch place {
        case .of(let handle): batch.put(NFTA_RULE_HANDLE.rawValue, handle)
        case .before(let handle): batch.put(NFTA_RULE_POSITION.rawValue, handle)
        case nil: break
        }
        if let comment = rule?.comment {
            let data = UserData.encoding([(UserData.ruleComment, Array(comment.utf8) + [0])])
            batch.put(NFTA_RULE_USERDATA.rawValue, bytes: data)
        }
        if !expressions.isEmpty {
            let list = batch.beginNested(NFTA_RULE_EXPRESSIONS.rawValue)
            for expression in expressions { batch.put(expression) }
            batch.endNested(list)
        }
        batch.end()
    }
}

extension Expression {
    /// Names that the kernel would cut or refuse, and what none of ours contains.
    fileprivate func check() throws(KernelError) {
        switch self {
        case .lookup(let set, _, _, _): try requireName(set, of: "set")
        case .counter(let name): try requireName(name, of: "counter")
        case .timeout(let name): try requireName(name, of: "ct timeout")
        case .log(let copy): if !copy.prefix.isEmpty { try requireName(copy.prefix, of: "log prefix", limit: 127) }
        case .verdict(let verdict):
            if let target = verdict.target { try requireName(target.description, of: "chain") }
        case .foreign(let text): preconditionFailure("nothing of ours encodes to \(text)")
        case .payload, .meta, .conntrack, .setConntrack, .bitwise, .toNetworkOrder, .compare, .load: break
        }
    }

    fileprivate var name: String {
        switch self {
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
        case .foreign: ""
        }
    }
}

extension Batch {
    /// One element of `NFTA_RULE_EXPRESSIONS`.
    fileprivate mutating func put(_ expression: Expression) {
        let element = beginNested(NFTA_LIST_ELEM.rawValue)
        put(NFTA_EXPR_NAME.rawValue, string: expression.name)
        let data = beginNested(NFTA_EXPR_DATA.rawValue)
        putData(of: expression)
        endNested(data)
        endNested(element)
    }

    private mutating func putData(of expression: Expression) {
        let register = NFT_REG_1.rawValue
        switch expression {
        case .payload(let base, let offset, let length, let register):
            put(NFTA_PAYLOAD_DREG.rawValue, register.number)
            put(NFTA_PAYLOAD_BASE.rawValue, base)
            put(NFTA_PAYLOAD_OFFSET.rawValue, offset)
            put(NFTA_PAYLOAD_LEN.rawValue, length)
        case .meta(let key, let register):
            put(NFTA_META_KEY.rawValue, key)
            put(NFTA_META_DREG.rawValue, register.number)
        case .conntrack(let key, let direction, let register):
            put(NFTA_CT_KEY.rawValue, key)
            put(NFTA_CT_DREG.rawValue, register.number)
            if let direction { put(NFTA_CT_DIRECTION.rawValue, direction) }
        case .setConntrack(let key):
            put(NFTA_CT_KEY.rawValue, key)
            put(NFTA_CT_SREG.rawValue, register)
        case .bitwise(let mask):
            put(NFTA_BITWISE_SREG.rawValue, register)
            put(NFTA_BITWISE_DREG.rawValue, register)
            put(NFTA_BITWISE_OP.rawValue, Expression.maskAndFlip)
            put(NFTA_BITWISE_LEN.rawValue, UInt32(mask.count))
            putValue(mask, in: NFTA_BITWISE_MASK.rawValue)
            putValue(RegisterBytes(0, count: mask.count), in: NFTA_BITWISE_XOR.rawValue)
        case .toNetworkOrder(let length):
            put(NFTA_BYTEORDER_SREG.rawValue, register)
            put(NFTA_BYTEORDER_DREG.rawValue, register)
            put(NFTA_BYTEORDER_OP.rawValue, NFT_BYTEORDER_HTON.rawValue)
            put(NFTA_BYTEORDER_LEN.rawValue, length)
            put(NFTA_BYTEORDER_SIZE.rawValue, length)
        case .compare(let relation, let bytes):
            put(NFTA_CMP_SREG.rawValue, register)
            put(NFTA_CMP_OP.rawValue, relation.rawValue)
            putValue(bytes, in: NFTA_CMP_DATA.rawValue)
        case .lookup(let name, let register, let yields, let isInverted):
            put(NFTA_LOOKUP_SREG.rawValue, register.number)
            switch yields {
            case .nothing: break
            case .verdict: put(NFTA_LOOKUP_DREG.rawValue, NFT_REG_VERDICT.rawValue)
            case .number(let register): put(NFTA_LOOKUP_DREG.rawValue, register.number)
            }
            put(NFTA_LOOKUP_SET.rawValue, string: name)
            if isInverted { put(NFTA_LOOKUP_FLAGS.rawValue, NFT_LOOKUP_F_INV.rawValue) }
        case .counter(let name):
            put(NFTA_OBJREF_IMM_TYPE.rawValue, UInt32(NFT_OBJECT_COUNTER))
            put(NFTA_OBJREF_IMM_NAME.rawValue, string: name)
        case .timeout(let name):
            put(NFTA_OBJREF_IMM_TYPE.rawValue, UInt32(NFT_OBJECT_CT_TIMEOUT))
            put(NFTA_OBJREF_IMM_NAME.rawValue, string: name)
        case .log(let copy):
            if !copy.prefix.isEmpty { put(NFTA_LOG_PREFIX.rawValue, string: copy.prefix) }
            put(NFTA_LOG_GROUP.rawValue, copy.group)
            if copy.snapLength != 0 { put(NFTA_LOG_SNAPLEN.rawValue, copy.snapLength) }
        case .load(let bytes, let register):
            put(NFTA_IMMEDIATE_DREG.rawValue, register.number)
            putValue(bytes, in: NFTA_IMMEDIATE_DATA.rawValue)
        case .verdict(let verdict):
            put(NFTA_IMMEDIATE_DREG.rawValue, NFT_REG_VERDICT.rawValue)
            put(verdict, in: NFTA_IMMEDIATE_DATA.rawValue)
        case .foreign: break
        }
    }

    /// `NFTA_DATA_VALUE` inside an attribute.
    mutating func putValue(_ value: RegisterBytes, in type: UInt32) {
        let data = beginNested(type)
        put(NFTA_DATA_VALUE.rawValue, value)
        endNested(data)
    }

    /// `NFTA_DATA_VERDICT` inside an attribute.
    mutating func put(_ verdict: Verdict, in type: UInt32) {
        let data = beginNested(type)
        let content = beginNested(NFTA_DATA_VERDICT.rawValue)
        put(NFTA_VERDICT_CODE.rawValue, UInt32(bitPattern: verdict.code))
        if let target = verdict.target { put(NFTA_VERDICT_CHAIN.rawValue, string: target.description) }
        endNested(content)
        endNested(data)
    }
}
