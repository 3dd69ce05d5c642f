internal import CNftnl
internal import Netlink
internal import Nftables

// What the kernel dumps of chains, rules and sets. What somebody else made in our table becomes a value that equals
// none of ours and says so, so that a comparison shows it.

extension Chain {
    /// Nil without a name. A base chain that is not of type filter with policy accept has a place unlike any of ours.
    init?(reading attributes: NetlinkAttributes) {
        guard let name = attributes.first(NFTA_CHAIN_NAME)?.string else { return nil }
        guard let hook = attributes.first(NFTA_CHAIN_HOOK)?.nested else {
            self.init(ChainName(name), rules: [])
            return
        }
        let number = hook.first(NFTA_HOOK_HOOKNUM)?.uint32
        let type = attributes.first(NFTA_CHAIN_TYPE)?.string ?? "filter"
        let priority = Int32(bitPattern: hook.first(NFTA_HOOK_PRIORITY)?.uint32 ?? 0)
        let known = number.flatMap(Hook.init(rawValue:))
        let isOurs = type == "filter" && known != nil && attributes.first(NFTA_CHAIN_POLICY)?.uint32 ?? 1 == 1
        let place = Attachpoint(hook: known ?? .prerouting, priority: isOurs ? priority : .max)
        self.init(ChainName(name), at: place, rules: [])
    }
}

extension NamedSet {
    /// Nil without a name, and for a set that belongs to a rule and goes with it (`NFT_SET_ANONYMOUS`). A set that none
    /// of ours can be holds one element that says so.
    init?(reading attributes: NetlinkAttributes) {
        guard let name = attributes.first(NFTA_SET_NAME)?.string else { return nil }
        let flags = attributes.first(NFTA_SET_FLAGS)?.uint32 ?? 0
        if flags & UInt32(NFT_SET_ANONYMOUS.rawValue) != 0 { return nil }
        let isInterval = flags & UInt32(NFT_SET_INTERVAL.rawValue) != 0
        let isMap = flags & UInt32(NFT_SET_MAP.rawValue) != 0
        let expires = flags & UInt32(NFT_SET_TIMEOUT.rawValue) != 0
        let ours = UInt32(NFT_SET_INTERVAL.rawValue | NFT_SET_MAP.rawValue | NFT_SET_TIMEOUT.rawValue)
        let number = attributes.first(NFTA_SET_KEY_TYPE)?.uint32 ?? 0
        let width = attributes.first(NFTA_SET_KEY_LEN)?.uint32 ?? 0
        let values: Values? =
            switch (isMap, attributes.first(NFTA_SET_DATA_TYPE)?.uint32, attributes.first(NFTA_SET_DATA_LEN)?.uint32) {
            case (false, _, _): Values.none
            case (true, UInt32(NFT_DATA_VERDICT.rawValue), _): .verdicts
            case (true, KeyType.integerNumber, UInt32(NamedSet.numberWidth)): .numbers
            default: nil
            }
        // A time-out for all elements is none of ours: each has its own.
        let isOurs =
            flags & ~ours == 0 && values != nil && !(isMap && expires) && attributes.first(NFTA_SET_TIMEOUT) == nil
        let keyType = isOurs ? KeyType(number: number, width: width) : nil
        let stranger = SetElement(.device("not ours: keys of type \(number), flags \(flags)"))
        self.init(
            SetName(name), keyType: keyType ?? .deviceName, isInterval: isInterval, values: values ?? .none,
            expires: expires && keyType != nil, elements: keyType == nil ? [stranger] : [])
        capacity = attributes.first(NFTA_SET_DESC)?.nested.first(NFTA_SET_DESC_SIZE)?.uint32.map { Int($0) }
    }
}

extension ExpressionReader {
    /// An element of `NFTA_SET_ELEM_LIST_ELEMENTS`. Nil for an element that none of ours can be: one with a time-out, a
    /// range in one element, a verdict that we never give.
    mutating func element(
        in message: borrowing RawSpan, _ element: Range<Int>, of values: NamedSet.Values
    ) -> KernelElement? {
        let flags = message.uint32(NFTA_SET_ELEM_FLAGS, in: element) ?? 0
        guard let key = Self.key(in: message, message.attribute(NFTA_SET_ELEM_KEY, in: element), flags),
            message.attribute(NFTA_SET_ELEM_TIMEOUT, in: element) == nil,
            message.attribute(NFTA_SET_ELEM_KEY_END, in: element) == nil,
            message.attribute(NFTA_SET_ELEM_EXPR, in: element) == nil
        else { return nil }
        if flags == NFT_SET_ELEM_INTERVAL_END.rawValue { return KernelElement(key: key, isEnd: true) }
        guard let value = value(in: message, message.attribute(NFTA_SET_ELEM_DATA, in: element), values) else {
            return nil
        }
        return KernelElement(key: key, value: value)
    }

    /// From `NFTA_SET_ELEM_KEY`, which an element that holds all else does not have; nil for flags that we never set.
    private static func key(in message: borrowing RawSpan, _ key: Range<Int>?, _ flags: UInt32) -> KernelKey? {
        if flags == NFT_SET_ELEM_CATCHALL.rawValue { return key == nil ? .catchAll : nil }
        guard flags & ~UInt32(NFT_SET_ELEM_INTERVAL_END.rawValue) == 0,
            let place = message.attribute(NFTA_DATA_VALUE, in: key)
        else { return nil }
        return if let short = message.registerBytes(place) { .short(short) } else { .long(message.bytes(place)) }
    }

    /// From `NFTA_SET_ELEM_DATA`; nil where it is not what the set's elements have.
    private mutating func value(
        in message: borrowing RawSpan, _ data: Range<Int>?, _ values: NamedSet.Values
    ) -> SetElement.Value? {
        switch values {
        case .none: data == nil ? SetElement.Value.none : nil
        case .verdicts: verdict(in: message, data).map { .verdict($0) }
        case .numbers:
            message.number(message.attribute(NFTA_DATA_VALUE, in: data), as: UInt64.self).flatMap {
                UInt32(exactly: $0).map { .number($0) }
            }
        }
    }
}
