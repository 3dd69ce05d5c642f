internal import CNftnl
internal import Netlink
internal import NetworkTypes
internal import Nftables

// `ct timeout` objects to messages and back. By hand: libnftnl 1.2.4 sends a zero for each time-out that is not set,
// where leaving it out gives the object the kernel's own.

extension TimeoutObject.Transport {
    /// Which of the protocol's time-outs an object sets (`CTA_TIMEOUT_TCP_ESTABLISHED`; `CTA_TIMEOUT_UDP_UNREPLIED`,
    /// `…_REPLIED`, of <linux/netfilter/nfnetlink_cttimeout.h>).
    fileprivate var attributes: [UInt16] {
        switch self {
        case .tcp: [3]
        case .udp: [1, 2]
        }
    }
}

extension TimeoutObject {
    /// `NFT_MSG_NEWOBJ`. The family inet serves both families: rules compare an object's transport protocol alone with
    /// that of a packet (`nft_ct_timeout_obj_eval`).
    func message(table: String) throws(KernelError) -> [UInt8] {
        guard seconds > 0 else {
            throw KernelError(
                errno: 22, doing: "encode a ct timeout", object: "\(name)", explanation: "it has at least a second")
        }
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_NEWOBJ, flags: UInt16(NLM_F_CREATE | NLM_F_EXCL))
        try writer.put(name, of: table)
        let data = writer.beginNested(UInt16(NFTA_OBJ_DATA.rawValue))
        writer.put(UInt16(NFTA_CT_TIMEOUT_L3PROTO.rawValue), UInt16(NFPROTO_INET))
        writer.put(UInt16(NFTA_CT_TIMEOUT_L4PROTO.rawValue), transport.rawValue)
        let policy = writer.beginNested(UInt16(NFTA_CT_TIMEOUT_DATA.rawValue))
        for attribute in transport.attributes { writer.put(attribute, seconds) }
        try writer.endNested(policy)
        try writer.endNested(data)
        writer.end()
        return writer.bytes
    }

    /// From `NFT_MSG_NEWOBJ` of type `NFT_OBJECT_CT_TIMEOUT`; nil without a name. What none of ours can be has 0
    /// seconds, which none of ours has.
    init?(reading attributes: NetlinkAttributes) {
        guard let name = attributes.first(NFTA_OBJ_NAME)?.string else { return nil }
        let data = attributes.first(NFTA_OBJ_DATA)?.nested ?? NetlinkAttributes([])
        let transport = data.first(NFTA_CT_TIMEOUT_L4PROTO)?.uint8.flatMap(Transport.init(rawValue:))
        let policy = data.first(NFTA_CT_TIMEOUT_DATA)?.nested ?? NetlinkAttributes([])
        let seconds = Set((transport?.attributes ?? []).map { policy.first($0)?.uint32 ?? 0 })
        let isOurs = data.first(NFTA_CT_TIMEOUT_L3PROTO)?.uint16 == UInt16(NFPROTO_INET) && seconds.count == 1
        self.init(TimeoutName(name), transport: transport ?? .tcp, seconds: isOurs ? seconds.first ?? 0 : 0)
    }
}

extension TimeoutName {
    /// `NFT_MSG_DELOBJ`
    func deletion(table: String) throws(KernelError) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_DELOBJ, flags: 0)
        try writer.put(self, of: table)
        writer.end()
        return writer.bytes
    }
}

extension NetlinkWriter {
    fileprivate mutating func put(_ name: TimeoutName, of table: String) throws(KernelError) {
        try requireName(name.description, of: "ct timeout")
        try put(UInt16(NFTA_OBJ_TABLE.rawValue), string: table)
        try put(UInt16(NFTA_OBJ_NAME.rawValue), string: name.description)
        put(UInt16(NFTA_OBJ_TYPE.rawValue), UInt32(NFT_OBJECT_CT_TIMEOUT))
    }
}
