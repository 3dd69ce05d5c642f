internal import CShims
internal import Glibc
internal import Netlink
internal import NetworkTypes

extension PacketCapture {
    /// What is in force once a group is configured.
    struct Tuning {
        /// Bytes, as `SO_RCVBUF` gives them.
        var receiveBuffer: Int
        /// Whether messages carry their packets' connections.
        var givesConnections: Bool
    }

    /// Enlarges the receive buffer, and has the kernel send messages in batches, numbered, with their packets'
    /// connections. Packets that arrive meanwhile go to `body`, as `read` would hand them over.
    func tune(
        group: UInt16, receiveBuffer: Int, _ body: (RawSpan) -> Void
    ) throws(KernelError) -> Tuning {
        let size = Int(nsgd_socket_receive_buffer(descriptor, Int32(clamping: receiveBuffer)))
        do throws(KernelError) {
            try configure(group, flags: Self.numbered | Self.withConnections, body)
            return Tuning(receiveBuffer: size, givesConnections: true)
        } catch {
            // A kernel without CONFIG_NETFILTER_NETLINK_GLUE_CT.
            guard error.errno == EOPNOTSUPP else { throw error }
        }
        try configure(group, flags: Self.numbered, body)
        return Tuning(receiveBuffer: size, givesConnections: false)
    }

    private func configure(_ group: UInt16, flags: UInt16, _ body: (RawSpan) -> Void) throws(KernelError) {
        let request = Self.configuration(of: group, flags: flags)
        let sent = unsafe send(descriptor, request, request.count, 0)
        let operation = "configure NFLOG group \(group)"
        guard sent == request.count else { throw KernelError(errno: errno, doing: operation) }
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let status = unsafe poll(&ready, 1, 5000)
            if status == 0 { throw KernelError(errno: ETIMEDOUT, doing: operation) }
            let count =
                status < 0
                ? status : unsafe Int32(clamping: recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT)))
            guard count >= 0 else {
                if [EINTR, EAGAIN, ENOBUFS].contains(errno) { continue }
                throw KernelError(errno: errno, doing: operation)
            }
            for message in NetlinkMessages(buffer[..<Int(count)]) {
                if let answer = message.answer, answer.sequence == Self.sequence {
                    if let refusal = answer.error(doing: operation) { throw refusal }
                    return
                }
                // NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET
                if message.type == 0x0400 { message.payload.withRawSpan(body) }
            }
        }
    }

    private static let sequence: UInt32 = 0x6e73_6764
    /// `NFULNL_CFG_F_SEQ`
    private static let numbered: UInt16 = 1
    /// `NFULNL_CFG_F_CONNTRACK`
    private static let withConnections: UInt16 = 4

    /// `NFULNL_MSG_CONFIG` for a group that libpcap has bound. No `PF_BIND`, no `PF_UNBIND`: they would take the place
    /// of other readers.
    private static func configuration(of group: UInt16, flags: UInt16) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.begin(type: 0x0401, flags: 4, sequence: sequence)
        writer.putNetfilterHeader(family: 0, resourceID: group)
        // NFULA_CFG_NLBUFSIZ: a batch, which fits libpcap's buffer four times. With `struct skb_shared_info` behind it,
        // it stays within 64 KiB: the kernel would round up to the double, and half as many fit the receive buffer.
        writer.put(3, UInt32(65536 - 512))
        // NFULA_CFG_TIMEOUT: a batch waits 100 ms at most.
        writer.put(4, UInt32(10))
        // NFULA_CFG_QTHRESH: messages in a batch.
        writer.put(5, UInt32(100))
        // NFULA_CFG_FLAGS
        writer.put(6, flags)
        writer.end()
        return writer.bytes
    }
}
