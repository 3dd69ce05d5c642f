internal import CShims
internal import Glibc
internal import Netlink
internal import NetworkTypes

extension PacketCapture {
    /// Enlarges the receive buffer, and has the kernel send messages in batches, numbered. Packets that arrive
    /// meanwhile go to `body`, as `read` would hand them over.
    /// - Returns: bytes of the receive buffer in force.
    func tune(
        group: UInt16, receiveBuffer: Int, _ body: (ArraySlice<UInt8>) -> Void
    ) throws(KernelError) -> Int {
        let size = nsgd_socket_receive_buffer(descriptor, Int32(clamping: receiveBuffer))
        let request = Self.configuration(of: group)
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
                    return Int(size)
                }
                // NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET
                if message.type == 0x0400 { body(message.payload) }
            }
        }
    }

    private static let sequence: UInt32 = 0x6e73_6764

    /// `NFULNL_MSG_CONFIG` for a group that libpcap has bound. No `PF_BIND`, no `PF_UNBIND`: they would take the place
    /// of other readers.
    private static func configuration(of group: UInt16) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.begin(type: 0x0401, flags: 4, sequence: sequence)
        writer.putNetfilterHeader(family: 0, resourceID: group)
        // NFULA_CFG_NLBUFSIZ: a batch, which fits libpcap's buffer four times.
        writer.put(3, UInt32(65536))
        // NFULA_CFG_TIMEOUT: a batch waits 100 ms at most.
        writer.put(4, UInt32(10))
        // NFULA_CFG_QTHRESH: messages in a batch.
        writer.put(5, UInt32(100))
        // NFULA_CFG_FLAGS: NFULNL_CFG_F_SEQ
        writer.put(6, UInt16(1))
        writer.end()
        return writer.bytes
    }
}
