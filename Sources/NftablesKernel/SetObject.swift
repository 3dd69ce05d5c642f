internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// An owned set of libnftnl, without elements. Wraps `struct nftnl_set`.
@safe struct SetObject: ~Copyable, MessageBody {
    private let set: OpaquePointer

    /// Names the set only: for deletion.
    static func named(_ name: SetName, table: String) throws(KernelError) -> SetObject {
        try requireName(name.description, of: "set")
        let object = try SetObject()
        object.put(NFTNL_SET_FAMILY, UInt32(NFPROTO_INET))
        try object.put(NFTNL_SET_TABLE, table)
        try object.put(NFTNL_SET_NAME, name.description)
        return object
    }

    private init() throws(KernelError) { unsafe set = try allocated(nftnl_set_alloc(), "set") }

    deinit { unsafe nftnl_set_free(set) }

    /// - Parameter id: `NFTNL_SET_ID`, a number that no other set of the transaction has; the kernel wants one.
    mutating func define(as definition: NamedSet, id: UInt32) throws(KernelError) {
        guard definition.keyType.isStorable else {
            throw KernelError(
                errno: 95, doing: "encode set \(definition.name)", object: definition.keyType.nftName,
                explanation: "a concatenation has 2 to 5 simple types and 64 bytes at most, an integer 1 to 16 bytes")
        }
        var flags: UInt32 = 0
        var records = [(UserData.keyByteOrder, UserData.number(definition.keyType.byteOrder))]
        put(NFTNL_SET_KEY_TYPE, definition.keyType.number)
        put(NFTNL_SET_KEY_LEN, UInt32(definition.keyType.width))
        if definition.isInterval { flags |= UInt32(NFT_SET_INTERVAL.rawValue) }
        if definition.expires { flags |= UInt32(NFT_SET_TIMEOUT.rawValue) }
        if definition.isMap {
            flags |= UInt32(NFT_SET_MAP.rawValue)
            let isVerdictMap = definition.isVerdictMap
            put(NFTNL_SET_DATA_TYPE, isVerdictMap ? UInt32(NFT_DATA_VERDICT.rawValue) : KeyType.integerNumber)
            put(NFTNL_SET_DATA_LEN, isVerdictMap ? 0 : UInt32(NamedSet.numberWidth))
            let order = isVerdictMap ? 0 : KeyType.integer(width: NamedSet.numberWidth).byteOrder
            records.append((UserData.dataByteOrder, UserData.number(order)))
            records.append((UserData.dataInterval, UserData.number(0)))
        }
        if let capacity = definition.capacity { put(NFTNL_SET_DESC_SIZE, UInt32(clamping: capacity)) }
        put(NFTNL_SET_FLAGS, flags)
        put(NFTNL_SET_ID, id)
        let data = UserData.encoding(records)
        let status = unsafe data.withUnsafeBytes {
            unsafe nftnl_set_set_data(set, UInt16(NFTNL_SET_USERDATA.rawValue), $0.baseAddress, UInt32($0.count))
        }
        try requireStored(status, "set")
    }

    func build(into message: UnsafeMutablePointer<nlmsghdr>) { unsafe nftnl_set_nlmsg_build_payload(message, set) }

    private func put(_ attribute: nftnl_set_attr, _ value: UInt32) {
        unsafe nftnl_set_set_u32(set, UInt16(attribute.rawValue), value)
    }

    private func put(_ attribute: nftnl_set_attr, _ text: String) throws(KernelError) {
        try requireStored(unsafe nftnl_set_set_str(set, UInt16(attribute.rawValue), text), "name")
    }
}
