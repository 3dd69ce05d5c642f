internal import CConntrack
internal import Glibc
internal import Netlink
internal import NetworkTypes

/// An owned `struct nf_conntrack`: the library's form of an entry, which it writes requests from.
@safe struct ConntrackObject: ~Copyable {
    private let handle: OpaquePointer

    init?() {
        guard let handle = unsafe nfct_new() else { return nil }
        unsafe self.handle = handle
    }

    deinit { unsafe nfct_destroy(handle) }

    /// Becomes the original direction of a connection, to ask for it or to delete it. Both addresses are of one family.
    func set(_ tuple: ConntrackTuple, protocol: IPProtocol, zone: UInt16) {
        switch tuple.source.family {
        case .ipv4:
            unsafe nfct_set_attr_u8(handle, ATTR_ORIG_L3PROTO, UInt8(AF_INET))
            set(ATTR_ORIG_IPV4_SRC, tuple.source)
            set(ATTR_ORIG_IPV4_DST, tuple.destination)
        case .ipv6:
            unsafe nfct_set_attr_u8(handle, ATTR_ORIG_L3PROTO, UInt8(AF_INET6))
            set(ATTR_ORIG_IPV6_SRC, tuple.source)
            set(ATTR_ORIG_IPV6_DST, tuple.destination)
        }
        unsafe nfct_set_attr_u8(handle, ATTR_ORIG_L4PROTO, `protocol`.rawValue)
        if let icmp = tuple.icmp {
            unsafe nfct_set_attr_u8(handle, ATTR_ICMP_TYPE, icmp.type)
            unsafe nfct_set_attr_u8(handle, ATTR_ICMP_CODE, icmp.code)
            unsafe nfct_set_attr_u16(handle, ATTR_ICMP_ID, icmp.identifier.bigEndian)
        } else if `protocol`.hasPorts || `protocol` == .gre {
            // Of GRE the keys of PPTP; the kernel wants them of every flow.
            unsafe nfct_set_attr_u16(handle, ATTR_ORIG_PORT_SRC, tuple.sourcePort.bigEndian)
            unsafe nfct_set_attr_u16(handle, ATTR_ORIG_PORT_DST, tuple.destinationPort.bigEndian)
        }
        if zone != 0 { unsafe nfct_set_attr_u16(handle, ATTR_ZONE, zone) }
    }

    private func set(_ attribute: nf_conntrack_attr, _ address: IPAddress) {
        // The library copies 4 or 16 bytes in network order, as the attribute says.
        unsafe address.bytes.withUnsafeBytes { unsafe nfct_set_attr(handle, attribute, $0.baseAddress) }
    }

    /// The message with the attributes of the entry behind its family header.
    func appended(to message: [UInt8]) -> [UInt8]? {
        // An entry without extensions takes less than 200 bytes.
        var bytes = message + [UInt8](repeating: 0, count: 4096)
        let status = unsafe bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return CInt(-1) }
            return unsafe nfct_nlmsg_build(base.assumingMemoryBound(to: nlmsghdr.self), handle)
        }
        guard status == 0, let length = bytes[...].hostUInt32(at: 0), length <= bytes.count else { return nil }
        return Array(bytes.prefix(Int(length)))
    }
}
