internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// An owned set of libnftnl, with elements or without. Wraps `struct nftnl_set`.
@safe struct SetObject: ~Copyable, MessageBody {
    fileprivate let set: OpaquePointer

    /// Names the set only: for deletion and for its elements.
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
                explanation: "a concatenation has 2 to 5 simple types and 64 bytes at most")
        }
        var flags: UInt32 = 0
        var records = [(UserData.keyByteOrder, UserData.number(definition.keyType.byteOrder))]
        put(NFTNL_SET_KEY_TYPE, definition.keyType.number)
        put(NFTNL_SET_KEY_LEN, UInt32(definition.keyType.width))
        if definition.isInterval { flags |= UInt32(NFT_SET_INTERVAL.rawValue) }
        if definition.expires { flags |= UInt32(NFT_SET_TIMEOUT.rawValue) }
        if definition.isVerdictMap {
            flags |= UInt32(NFT_SET_MAP.rawValue)
            put(NFTNL_SET_DATA_TYPE, UInt32(NFT_DATA_VERDICT.rawValue))
            put(NFTNL_SET_DATA_LEN, 0)
            records.append((UserData.dataByteOrder, UserData.number(0)))
            records.append((UserData.dataInterval, UserData.number(0)))
        }
        put(NFTNL_SET_FLAGS, flags)
        put(NFTNL_SET_ID, id)
        let data = UserData.encoding(records)
        let status = unsafe data.withUnsafeBytes {
            unsafe nftnl_set_set_data(set, UInt16(NFTNL_SET_USERDATA.rawValue), $0.baseAddress, UInt32($0.count))
        }
        try requireStored(status, "set")
    }

    mutating func append(_ elements: some Sequence<KernelElement>) throws(KernelError) {
        for element in elements {
            let object = unsafe try ElementObject.encoding(element).released()
            unsafe nftnl_set_elem_add(set, object)  // and owns it from now on
        }
    }

    func build(into message: UnsafeMutablePointer<nlmsghdr>) { unsafe nftnl_set_nlmsg_build_payload(message, set) }

    /// The elements in as many messages as keep each attribute below 64 KiB.
    /// - Parameter type: `NFT_MSG_NEWSETELEM` or `NFT_MSG_DELSETELEM`
    func elementMessages(
        _ type: nf_tables_msg_types, flags: Int32, in scratch: inout MessageScratch
    ) throws(KernelError) -> [[UInt8]] {
        let position = try ElementPosition(in: self)
        var messages: [[UInt8]] = []
        repeat {
            messages.append(scratch.message(type, flags: flags, position))
        } while position.hasMore
        return messages
    }

    private func put(_ attribute: nftnl_set_attr, _ value: UInt32) {
        unsafe nftnl_set_set_u32(set, UInt16(attribute.rawValue), value)
    }

    private func put(_ attribute: nftnl_set_attr, _ text: String) throws(KernelError) {
        try requireStored(unsafe nftnl_set_set_str(set, UInt16(attribute.rawValue), text), "name")
    }
}

/// How far a set's elements have been written. Wraps `struct nftnl_set_elems_iter`.
@safe private final class ElementPosition: MessageBody {
    private let iterator: OpaquePointer
    private(set) var hasMore = true

    /// The set must outlive it.
    init(in set: borrowing SetObject) throws(KernelError) {
        unsafe iterator = try allocated(nftnl_set_elems_iter_create(set.set), "list of elements")
    }

    deinit { unsafe nftnl_set_elems_iter_destroy(iterator) }

    func build(into message: UnsafeMutablePointer<nlmsghdr>) {
        hasMore = unsafe nftnl_set_elems_nlmsg_build_payload_iter(message, iterator) == 1
    }
}

/// An owned element of libnftnl until a set takes it over. Wraps `struct nftnl_set_elem`.
@safe private struct ElementObject: ~Copyable {
    private let object: OpaquePointer

    static func encoding(_ element: KernelElement) throws(KernelError) -> ElementObject {
        let object = try ElementObject()
        try object.define(element)
        return object
    }

    private func define(_ element: KernelElement) throws(KernelError) {
        try put(NFTNL_SET_ELEM_KEY, element.key)
        if element.isEnd {
            unsafe nftnl_set_elem_set_u32(
                object, UInt16(NFTNL_SET_ELEM_FLAGS), UInt32(NFT_SET_ELEM_INTERVAL_END.rawValue))
        }
        if element.isOpen {
            let record = (UserData.elementFlags, UserData.number(UserData.isOpenInterval))
            try put(NFTNL_SET_ELEM_USERDATA, UserData.encoding([record]))
        }
        if let timeout = element.timeout {
            unsafe nftnl_set_elem_set_u64(object, UInt16(NFTNL_SET_ELEM_TIMEOUT), timeout)
        }
        if let verdict = element.verdict {
            unsafe nftnl_set_elem_set_u32(object, UInt16(NFTNL_SET_ELEM_VERDICT), UInt32(bitPattern: verdict.code))
            if let target = verdict.target {
                try requireName(target.description, of: "chain")
                try requireStored(
                    unsafe nftnl_set_elem_set_str(object, UInt16(NFTNL_SET_ELEM_CHAIN), target.description), "name")
            }
        }
    }

    private init() throws(KernelError) { unsafe object = try allocated(nftnl_set_elem_alloc(), "set element") }

    deinit { unsafe nftnl_set_elem_free(object) }

    consuming func released() -> OpaquePointer {
        let object = unsafe object
        discard self
        return unsafe object
    }

    private func put(_ attribute: Int, _ bytes: [UInt8]) throws(KernelError) {
        let status = unsafe bytes.withUnsafeBytes {
            unsafe nftnl_set_elem_set(object, UInt16(attribute), $0.baseAddress, UInt32($0.count))
        }
        try requireStored(status, "set element")
    }
}
