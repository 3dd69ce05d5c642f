internal import CConntrack
internal import Glibc
internal import Netlink
internal import NetworkTypes

/// An owned `struct nf_conntrack`: the library's form of an entry, between a message and a `ConntrackEntry`.
@safe struct ConntrackObject: ~Copyable {
    private let handle: OpaquePointer

    init?() {
        guard let handle = unsafe nfct_new() else { return nil }
        unsafe self.handle = handle
    }

    deinit { unsafe nfct_destroy(handle) }

    /// Takes over what the message says; false where the library cannot read it.
    func read(_ message: NetlinkMessage) -> Bool {
        // struct nfgenmsg
        guard message.payload.count >= 4 else { return false }
        let handle = unsafe self.handle
        return unsafe message.withUnsafeMessage { header in
            unsafe nfct_nlmsg_parse(header.assumingMemoryBound(to: nlmsghdr.self), handle) == 0
        }
    }

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

    private func has(_ attribute: nf_conntrack_attr) -> Bool { unsafe nfct_attr_is_set(handle, attribute) > 0 }

    private func uint8(_ attribute: nf_conntrack_attr) -> UInt8 { unsafe nfct_get_attr_u8(handle, attribute) }

    private func uint16(_ attribute: nf_conntrack_attr) -> UInt16 { unsafe nfct_get_attr_u16(handle, attribute) }

    private func uint32(_ attribute: nf_conntrack_attr) -> UInt32? {
        has(attribute) ? unsafe nfct_get_attr_u32(handle, attribute) : nil
    }

    private func uint64(_ attribute: nf_conntrack_attr) -> UInt64? {
        has(attribute) ? unsafe nfct_get_attr_u64(handle, attribute) : nil
    }

    private func address(_ v4: nf_conntrack_attr, _ v6: nf_conntrack_attr) -> IPAddress? {
        if has(v4) { return .v4(IPv4Address(unsafe nfct_get_attr_u32(handle, v4).bigEndian)) }
        guard has(v6), let bytes = unsafe nfct_get_attr(handle, v6) else { return nil }
        let (high, low) = unsafe bytes.loadUnaligned(as: (UInt64, UInt64).self)
        return .v6(IPv6Address(UInt128(high.bigEndian) << 64 | UInt128(low.bigEndian)))
    }

    private func counters(_ packets: nf_conntrack_attr, _ bytes: nf_conntrack_attr) -> ConntrackEntry.Counters? {
        guard let packets = uint64(packets), let bytes = uint64(bytes) else { return nil }
        return ConntrackEntry.Counters(packets: packets, bytes: bytes)
    }

    /// Nil where the message had no whole pair of tuples.
    func entry(label: ConnLabel?) -> ConntrackEntry? {
        guard let source = address(ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC),
            let destination = address(ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST),
            let replySource = address(ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC),
            let replyDestination = address(ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST), has(ATTR_ORIG_L4PROTO)
        else { return nil }
        var entry = ConntrackEntry(
            id: uint32(ATTR_ID) ?? 0,
            zone: has(ATTR_ZONE) ? uint16(ATTR_ZONE) : has(ATTR_ORIG_ZONE) ? uint16(ATTR_ORIG_ZONE) : 0,
            protocol: IPProtocol(rawValue: uint8(ATTR_ORIG_L4PROTO)),
            original: ConntrackTuple(source: source, destination: destination),
            reply: ConntrackTuple(source: replySource, destination: replyDestination)
        )
        if has(ATTR_ICMP_TYPE) {
            let icmp = ConntrackTuple.ICMP(
                type: uint8(ATTR_ICMP_TYPE), code: uint8(ATTR_ICMP_CODE), identifier: uint16(ATTR_ICMP_ID).bigEndian
            )
            entry.original.icmp = icmp
            entry.reply.icmp = icmp.reversed(of: source.family)
        } else if has(ATTR_ORIG_PORT_SRC) {
            entry.original.sourcePort = uint16(ATTR_ORIG_PORT_SRC).bigEndian
            entry.original.destinationPort = uint16(ATTR_ORIG_PORT_DST).bigEndian
            entry.reply.sourcePort = uint16(ATTR_REPL_PORT_SRC).bigEndian
            entry.reply.destinationPort = uint16(ATTR_REPL_PORT_DST).bigEndian
        }
        entry.status = ConntrackEntry.Status(rawValue: uint32(ATTR_STATUS) ?? 0)
        if has(ATTR_TCP_STATE) { entry.tcpState = ConntrackEntry.TCPState(rawValue: uint8(ATTR_TCP_STATE)) }
        entry.timeout = uint32(ATTR_TIMEOUT)
        entry.mark = uint32(ATTR_MARK) ?? 0
        entry.originalCounters = counters(ATTR_ORIG_COUNTER_PACKETS, ATTR_ORIG_COUNTER_BYTES)
        entry.replyCounters = counters(ATTR_REPL_COUNTER_PACKETS, ATTR_REPL_COUNTER_BYTES)
        entry.start = uint64(ATTR_TIMESTAMP_START)
        entry.stop = uint64(ATTR_TIMESTAMP_STOP)
        entry.label = label
        return entry
    }
}

extension ConntrackEntry {
    /// Decodes a message of subsystem `NFNL_SUBSYS_CTNETLINK`; nil where it holds no connection.
    init?(_ message: NetlinkMessage) {
        guard message.subsystem == 1 else { return nil }
        // The library gives labels one bit a call, so they are read here: CTA_LABELS.
        let label = message.attributes(after: 4).first(22).flatMap { ConnLabel($0.payload) }
        guard let object = ConntrackObject(), object.read(message), let entry = object.entry(label: label) else {
            return nil
        }
        self = entry
    }
}

extension ConnLabel {
    /// The kernel sends 16 bytes, always; the general initialiser is slow.
    fileprivate init?(_ payload: ArraySlice<UInt8>) {
        if payload.count == 16, let low = payload.hostUInt64(at: 0), let high = payload.hostUInt64(at: 8) {
            self.init(bits: UInt128(UInt64(littleEndian: high)) << 64 | UInt128(UInt64(littleEndian: low)))
        } else {
            self.init(bytes: payload)
        }
    }
}
