internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// What the messages of one operation on elements have in common.
struct ElementHeader {
    /// `NFT_MSG_NEWSETELEM` or `NFT_MSG_DELSETELEM`
    let type: nf_tables_msg_types
    let flags: Int32
    /// Of the operation in the batch's list.
    let index: Int
    let table: String
}

extension NamedSet {
    /// Writes elements, in as many messages as keep each attribute below 64 KiB. The start of an interval and its end
    /// are in one message, so that they are never in two transactions.
    /// - Parameter isFirst: the interval elements before the first value begin with an end at 0, as nft has it. Not for
    ///   elements that join others, among which one may begin at 0.
    func write(
        _ elements: [SetElement], isFirst: Bool, _ header: ElementHeader, into batch: inout Batch,
        afterEach: (inout Batch) throws(KernelError) -> Void
    ) throws(KernelError) {
        try requireName(name.description, of: "set")
        var encoded: [KernelElement] = []
        var next = 0
        while next < elements.count {
            batch.begin(header.type, flags: header.flags, of: header.index)
            batch.put(NFTA_SET_ELEM_LIST_TABLE.rawValue, string: header.table)
            batch.put(NFTA_SET_ELEM_LIST_SET.rawValue, string: name.description)
            let list = batch.beginNested(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue)
            while next < elements.count, batch.length(since: list) < Self.fullMessage {
                encoded.removeAll(keepingCapacity: true)
                try append(elements[next], isFirst: isFirst && next == 0, to: &encoded)
                for element in encoded { try batch.put(element) }
                next += 1
            }
            batch.endNested(list)
            batch.end()
            try afterEach(&batch)
        }
    }

    /// Beyond so many bytes no further element goes into a message; none takes 1,500 bytes.
    private static let fullMessage = 62_000
}

extension Batch {
    /// One element of `NFTA_SET_ELEM_LIST_ELEMENTS`.
    fileprivate mutating func put(_ element: KernelElement) throws(KernelError) {
        if case .verdict(let verdict) = element.value, let target = verdict.target {
            try requireName(target.description, of: "chain")
        }
        let item = beginNested(NFTA_LIST_ELEM.rawValue)
        if element.isEnd { put(NFTA_SET_ELEM_FLAGS.rawValue, UInt32(NFT_SET_ELEM_INTERVAL_END.rawValue)) }
        if case .timeout(let timeout) = element.value { put(NFTA_SET_ELEM_TIMEOUT.rawValue, timeout) }
        switch element.key {
        case .short(let bytes): putValue(bytes, in: NFTA_SET_ELEM_KEY.rawValue)
        case .long(let bytes):
            let key = beginNested(NFTA_SET_ELEM_KEY.rawValue)
            put(NFTA_DATA_VALUE.rawValue, bytes: bytes)
            endNested(key)
        case .catchAll: put(NFTA_SET_ELEM_FLAGS.rawValue, UInt32(NFT_SET_ELEM_CATCHALL.rawValue))
        }
        switch element.value {
        case .none, .timeout: break
        case .verdict(let verdict): put(verdict, in: NFTA_SET_ELEM_DATA.rawValue)
        case .number(let number):
            putValue(
                RegisterBytes(UInt128(number), count: NamedSet.numberWidth), in: NFTA_SET_ELEM_DATA.rawValue)
        }
        if element.isOpen {
            let record = (UserData.elementFlags, UserData.number(UserData.isOpenInterval))
            put(NFTA_SET_ELEM_USERDATA.rawValue, bytes: UserData.encoding([record]))
        }
        endNested(item)
    }
}
