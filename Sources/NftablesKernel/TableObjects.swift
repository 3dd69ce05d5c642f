internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// An owned table of libnftnl. Wraps `struct nftnl_table`.
@safe struct TableObject: ~Copyable, MessageBody {
    private let table: OpaquePointer

    /// - Parameter flags: `NFT_TABLE_F_…`
    /// - Parameter flags: nil says nothing of them: none for a table that is made, the old ones for one that is there.
    static func named(_ name: String, flags: UInt32? = nil) throws(KernelError) -> TableObject {
        try requireName(name, of: "table")
        let object = try TableObject()
        try object.define(name, flags: flags)
        return object
    }

    private func define(_ name: String, flags: UInt32?) throws(KernelError) {
        unsafe nftnl_table_set_u32(table, UInt16(NFTNL_TABLE_FAMILY.rawValue), UInt32(NFPROTO_INET))
        try requireStored(unsafe nftnl_table_set_str(table, UInt16(NFTNL_TABLE_NAME.rawValue), name), "name")
        if let flags { unsafe nftnl_table_set_u32(table, UInt16(NFTNL_TABLE_FLAGS.rawValue), flags) }
    }

    private init() throws(KernelError) { unsafe table = try allocated(nftnl_table_alloc(), "table") }

    deinit { unsafe nftnl_table_free(table) }

    func build(into message: UnsafeMutablePointer<nlmsghdr>) { unsafe nftnl_table_nlmsg_build_payload(message, table) }
}

/// An owned chain of libnftnl. Wraps `struct nftnl_chain`.
@safe struct ChainObject: ~Copyable, MessageBody {
    private let chain: OpaquePointer

    static func named(
        _ name: ChainName, table: String, at attachpoint: Attachpoint? = nil
    ) throws(KernelError) -> ChainObject {
        try requireName(name.description, of: "chain")
        let object = try ChainObject()
        try object.define(name, table: table, at: attachpoint)
        return object
    }

    private func define(_ name: ChainName, table: String, at attachpoint: Attachpoint?) throws(KernelError) {
        unsafe nftnl_chain_set_u32(chain, UInt16(NFTNL_CHAIN_FAMILY.rawValue), UInt32(NFPROTO_INET))
        try put(NFTNL_CHAIN_TABLE, table)
        try put(NFTNL_CHAIN_NAME, name.description)
        guard let attachpoint else { return }
        try put(NFTNL_CHAIN_TYPE, "filter")
        unsafe nftnl_chain_set_u32(chain, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue), attachpoint.hook.rawValue)
        unsafe nftnl_chain_set_s32(chain, UInt16(NFTNL_CHAIN_PRIO.rawValue), attachpoint.priority)
        unsafe nftnl_chain_set_u32(chain, UInt16(NFTNL_CHAIN_POLICY.rawValue), 1)  // NF_ACCEPT
    }

    private init() throws(KernelError) { unsafe chain = try allocated(nftnl_chain_alloc(), "chain") }

    deinit { unsafe nftnl_chain_free(chain) }

    func build(into message: UnsafeMutablePointer<nlmsghdr>) { unsafe nftnl_chain_nlmsg_build_payload(message, chain) }

    private func put(_ attribute: nftnl_chain_attr, _ text: String) throws(KernelError) {
        try requireStored(unsafe nftnl_chain_set_str(chain, UInt16(attribute.rawValue), text), "name")
    }
}
