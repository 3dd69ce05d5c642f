internal import CMnl
internal import CShims
internal import Glibc
package import NetworkTypes

/// An owned netlink socket: bound when created, closed when the value dies, used from one executor. Wraps `struct
/// mnl_socket`.
@safe package struct NetlinkSocket: ~Copyable {
    package enum Family: Int32, Sendable, CustomStringConvertible {
        /// `NETLINK_ROUTE`
        case route = 0
        /// `NETLINK_NETFILTER`
        case netfilter = 12

        package var description: String {
            switch self {
            case .route: "route netlink"
            case .netfilter: "netfilter netlink"
            }
        }
    }

    /// Groups 1...32 as a mask for `bind`; `join(_:)` takes the higher ones.
    package struct MulticastGroups: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }

        /// The mask of one group as `enum nfnetlink_groups` and `enum rtnetlink_groups` number them.
        package static func group(_ number: UInt32) -> Self {
            precondition((1...32).contains(number), "only groups 1...32 fit the mask of bind")
            return Self(rawValue: 1 << (number - 1))
        }
    }

    /// How long `receive` waits for a datagram.
    package enum Wait: Sendable {
        case none
        case forever
        case milliseconds(Int32)
    }

    /// What `receive` found.
    package enum Reception: Hashable, Sendable {
        /// The first so many bytes of the buffer are one datagram from the kernel.
        case datagram(Int)
        /// Nothing has arrived in the time allowed (`EAGAIN`).
        case nothing
        /// The kernel dropped messages because the receive buffer was full (`ENOBUFS`). What was sent to the kernel may
        /// have been done all the same; what follows is readable.
        case overrun
        /// One datagram of so many bytes did not fit the buffer and is gone.
        case truncated(Int)
    }

    private let handle: OpaquePointer
    private var lastSequence: UInt32
    /// What answers are read into, between two requests.
    var dumpBuffer: [UInt8] = []

    package init(_ family: Family, groups: MulticastGroups = []) throws(KernelError) {
        guard let handle = unsafe mnl_socket_open2(family.rawValue, CInt(SOCK_CLOEXEC.rawValue)) else {
            throw KernelError(errno: errno, doing: "open a \(family) socket")
        }
        guard unsafe mnl_socket_bind(handle, groups.rawValue, 0) == 0 else {
            let failure = KernelError(errno: errno, doing: "bind a \(family) socket")
            _ = unsafe mnl_socket_close(handle)
            throw failure
        }
        unsafe self.handle = handle
        lastSequence = UInt32(truncatingIfNeeded: time(nil))
    }

    /// Takes over a socket that is already bound, from the service manager's descriptor store. Closes `descriptor` with
    /// the value.
    package init(adopting descriptor: Int32) throws(KernelError) {
        guard let handle = unsafe mnl_socket_fdopen(descriptor) else {
            throw KernelError(errno: errno, doing: "take over netlink socket \(descriptor)")
        }
        unsafe self.handle = handle
        lastSequence = UInt32(truncatingIfNeeded: time(nil))
    }

    deinit { _ = unsafe mnl_socket_close(handle) }

    mutating func takeBuffer() -> [UInt8] {
        var buffer: [UInt8] = []
        swap(&buffer, &dumpBuffer)
        return buffer.isEmpty ? [UInt8](repeating: 0, count: 65536) : buffer
    }

    /// For `poll` and Dispatch; the socket keeps it.
    package var descriptor: Int32 { unsafe mnl_socket_get_fd(handle) }

    /// The address of the socket in netlink, which is also the owner of tables with `NFT_TABLE_F_OWNER`.
    package var portID: UInt32 { unsafe mnl_socket_get_portid(handle) }

    /// A number that no request of this socket has used lately.
    package mutating func nextSequence() -> UInt32 {
        lastSequence &+= 1
        if lastSequence == 0 { lastSequence = 1 }
        return lastSequence
    }

    /// Sends one datagram; the kernel takes all of it or none. `EMSGSIZE`: enlarge the send buffer beyond its size.
    package mutating func send(_ datagram: RawSpan) throws(KernelError) {
        while true {
            let sent = unsafe datagram.withUnsafeBytes {
                unsafe mnl_socket_sendto(handle, $0.baseAddress, $0.count)
            }
            if sent == datagram.byteCount { return }
            let failure = sent < 0 ? errno : EIO
            if failure == EINTR { continue }
            throw KernelError(errno: failure, doing: "send \(datagram.byteCount) bytes over netlink")
        }
    }

    package mutating func send(_ datagram: [UInt8]) throws(KernelError) {
        try unsafe send(datagram.span.bytes)
    }

    /// Reads one datagram into the front of `buffer`. 64 KiB is enough for whatever the kernel sends here. Datagrams of
    /// other processes are passed over.
    package mutating func receive(into buffer: inout [UInt8], waiting: Wait = .forever) throws(KernelError) -> Reception
    {
        while true {
            guard try isReadable(within: waiting) else { return .nothing }
            var sender = sockaddr_nl()
            let received = Self.read(descriptor, into: &buffer, from: &sender)
            guard received >= 0 else {
                switch Int32(clamping: -received) {
                case EINTR: continue
                case EAGAIN: if case .none = waiting { return .nothing } else { continue }
                case ENOBUFS: return .overrun
                case let failure: throw KernelError(errno: failure, doing: "receive over netlink")
                }
            }
            if sender.nl_pid != 0 { continue }
            return received > buffer.count ? .truncated(received) : .datagram(received)
        }
    }

    /// The true length of the datagram, or the negative errno.
    private static func read(_ descriptor: Int32, into buffer: inout [UInt8], from sender: inout sockaddr_nl) -> Int {
        unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe withUnsafeMutableBytes(of: &sender) { address in
                var vector = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return unsafe withUnsafeMutablePointer(to: &vector) { vectors in
                    var header = unsafe msghdr()
                    unsafe header.msg_name = address.baseAddress
                    unsafe header.msg_namelen = socklen_t(address.count)
                    unsafe header.msg_iov = vectors
                    unsafe header.msg_iovlen = 1
                    let count = unsafe recvmsg(descriptor, &header, CInt(MSG_DONTWAIT | MSG_TRUNC))
                    return count < 0 ? -Int(errno) : count
                }
            }
        }
    }

    private func isReadable(within wait: Wait) throws(KernelError) -> Bool {
        let timeout: Int32
        switch wait {
        case .none: return true
        case .forever: timeout = -1
        case .milliseconds(let milliseconds): timeout = max(milliseconds, 0)
        }
        // A signal starts the wait anew: longer than asked is harmless here, shorter is not.
        while true {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = unsafe poll(&request, 1, timeout)
            if ready >= 0 { return ready > 0 }
            if errno != EINTR { throw KernelError(errno: errno, doing: "wait for netlink") }
        }
    }

    /// Asks for buffers of so many bytes: beyond `net.core.rmem_max` where the process may (CAP_NET_ADMIN in the first
    /// user namespace), else up to it. Nil leaves one as it is. Returns what is in force; the kernel counts its own
    /// overhead, so that is twice what was granted.
    @discardableResult
    package mutating func enlargeBuffers(send: Int? = nil, receive: Int? = nil) -> (send: Int, receive: Int) {
        let limit = Int(Int32.max / 2)
        return (
            Int(nsgd_socket_send_buffer(descriptor, Int32(clamping: min(send ?? 0, limit)))),
            Int(nsgd_socket_receive_buffer(descriptor, Int32(clamping: min(receive ?? 0, limit))))
        )
    }

    /// Error answers then carry the kernel's words and the offset of the attribute at fault, not the whole request back
    /// (`NETLINK_EXT_ACK`, `NETLINK_CAP_ACK`).
    package mutating func setExtendedAcknowledgement(_ isOn: Bool) throws(KernelError) {
        try set(NETLINK_EXT_ACK, to: isOn ? 1 : 0, doing: "ask for extended netlink errors")
        try set(NETLINK_CAP_ACK, to: isOn ? 1 : 0, doing: "ask for short netlink errors")
    }

    /// Subscribes to a group by its number (`NETLINK_ADD_MEMBERSHIP`).
    package mutating func join(_ group: UInt32) throws(KernelError) {
        try set(NETLINK_ADD_MEMBERSHIP, to: CInt(bitPattern: group), doing: "join netlink group \(group)")
    }

    private func set(_ option: CInt, to value: CInt, doing operation: String) throws(KernelError) {
        var value = value
        let status = unsafe mnl_socket_setsockopt(handle, option, &value, socklen_t(MemoryLayout<CInt>.size))
        guard status == 0 else { throw KernelError(errno: errno, doing: operation) }
    }
}
