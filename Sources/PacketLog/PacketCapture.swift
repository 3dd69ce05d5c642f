internal import CPcap
internal import Glibc
internal import Netlink
internal import NetworkTypes

/// An owned capture of one NFLOG group. Wraps `pcap_t`; used from one queue.
@safe struct PacketCapture: ~Copyable {
    /// libpcap's receive buffer is the snap length and 128 bytes, and must hold a whole batch of messages, or the rest
    /// of it is gone without a trace. Packets are cut by the rule's `snaplen` instead.
    private static let snapLength: CInt = 262_144

    private let handle: OpaquePointer
    let descriptor: Int32

    init(group: UInt16) throws(KernelError) {
        let operation = "open NFLOG group \(group)"
        var reason = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = unsafe pcap_create("nflog:\(group)", &reason) else {
            throw KernelError(errno: EIO, doing: operation, explanation: Self.text(reason))
        }
        var failure: KernelError?
        unsafe pcap_set_snaplen(handle, Self.snapLength)
        let status = unsafe pcap_activate(handle)
        if status < 0 {
            failure = Self.failure(status, unsafe Self.text(of: handle), doing: operation, group)
        } else if unsafe pcap_datalink(handle) != DLT_NFLOG {
            failure = KernelError(errno: EPROTO, doing: operation)
        } else if unsafe pcap_setnonblock(handle, 1, &reason) != 0 {
            failure = KernelError(errno: EIO, doing: operation, explanation: Self.text(reason))
        }
        let descriptor = unsafe pcap_get_selectable_fd(handle)
        if failure == nil, descriptor < 0 { failure = KernelError(errno: EBADF, doing: operation) }
        if let failure {
            unsafe pcap_close(handle)
            throw failure
        }
        // libpcap's socket, and the claim on the group, would outlive the capture in a program started meanwhile.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unsafe self.handle = handle
        self.descriptor = descriptor
    }

    deinit { unsafe pcap_close(handle) }

    private static func failure(_ status: CInt, _ text: String, doing operation: String, _ group: UInt16) -> KernelError
    {
        let refusal = errno
        // The kernel refuses a group that another socket has with EPERM; without CAP_NET_ADMIN libpcap fails a step
        // earlier.
        if text.contains("listen on group index") {
            return KernelError(
                errno: EBUSY, doing: operation,
                object: "group \(group); another program reads it (see /proc/net/netfilter/nfnetlink_log): "
                    + "stop that, or set flowLogs.nflogGroup to a free number"
            )
        }
        let isForbidden = status == PCAP_ERROR_PERM_DENIED || refusal == EPERM
        return KernelError(
            errno: isForbidden ? EPERM : refusal == 0 ? EIO : refusal, doing: operation,
            explanation: text.isEmpty ? nil : text
        )
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func text(of handle: OpaquePointer) -> String {
        unsafe pcap_geterr(handle).map { unsafe String(cString: $0) } ?? ""
    }

    /// Reads one datagram, a batch of messages, if there is one. False when the socket is empty.
    func read(_ body: (_ time: UInt64, _ bytes: RawSpan) -> Void) throws(KernelError) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // In non-blocking mode libpcap calls an empty socket an error, so it is asked only when there is something.
        guard unsafe poll(&request, 1, 0) > 0 else { return false }
        let count = withoutActuallyEscaping(body) { body in
            let receiver = Receiver(body)
            return withExtendedLifetime(receiver) {
                unsafe pcap_dispatch(handle, -1, Receiver.callback, receiver.pointer)
            }
        }
        if count >= 0 { return true }
        // ENOBUFS is counted by libpcap, which then finds the socket empty.
        if errno == EAGAIN || errno == ENOBUFS || errno == EINTR { return false }
        throw KernelError(errno: errno, doing: "read packets", explanation: unsafe Self.text(of: handle))
    }

    /// The C callback's way to a closure.
    private final class Receiver {
        private let body: (UInt64, RawSpan) -> Void

        init(_ body: @escaping (UInt64, RawSpan) -> Void) { self.body = body }

        /// Valid while the receiver lives.
        var pointer: UnsafeMutablePointer<UInt8> {
            unsafe Unmanaged.passUnretained(self).toOpaque().assumingMemoryBound(to: UInt8.self)
        }

        static let callback: pcap_handler = { user, header, bytes in
            guard let user = unsafe user, let header = unsafe header?.pointee, let bytes = unsafe bytes else { return }
            let receiver = unsafe Unmanaged<Receiver>.fromOpaque(user).takeUnretainedValue()
            let time =
                UInt64(clamping: header.ts.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: header.ts.tv_usec) &* 1000
            let buffer = unsafe UnsafeRawBufferPointer(start: bytes, count: Int(header.caplen))
            receiver.body(time, unsafe RawSpan(_unsafeBytes: buffer))
        }
    }

    /// Messages read, and how often the kernel had dropped some (`ps_drop`, which counts occasions and not messages).
    func statistics() -> (received: UInt32, drops: UInt32) {
        var statistics = pcap_stat()
        guard unsafe pcap_stats(handle, &statistics) == 0 else { return (0, 0) }
        return (statistics.ps_recv, statistics.ps_drop)
    }
}
