import NSGModel
import NetworkTypes

/// Packets with whatever addresses a test wants, as bytes from the network header on.
enum RawPackets {
    /// The first packet of a flow. Of ICMP, `destinationPort` is the type.
    static func first(
        _ number: IPProtocol, _ source: String, _ sourcePort: UInt16, _ destination: String, _ destinationPort: UInt16
    ) throws -> [UInt8] {
        let isICMP = number == .icmp || number == .icmpv6
        let flow = FlowTuple(
            protocol: number, source: try address(source), destination: try address(destination),
            sourcePort: number.hasPorts ? sourcePort : nil, destinationPort: number.hasPorts ? destinationPort : nil,
            icmpType: isICMP ? UInt8(destinationPort) : nil)
        // Not a multiple of three: of TCP a SYN.
        return PacketFrame.bytes(of: flow, number: sourcePort % 3 == 0 ? sourcePort + 1 : sourcePort)
    }

    static func udp(
        _ source: String, _ sourcePort: UInt16, _ destination: String, _ destinationPort: UInt16
    ) throws -> [UInt8] {
        try first(.udp, source, sourcePort, destination, destinationPort)
    }

    /// A segment without data, with the flags and numbers that it is to have.
    static func tcp(
        _ source: String, _ sourcePort: UInt16, _ destination: String, _ destinationPort: UInt16, flags: UInt8,
        sequence: UInt32, acknowledgement: UInt32 = 0
    ) throws -> [UInt8] {
        let flow = FlowTuple(
            protocol: .tcp, source: try address(source), destination: try address(destination), sourcePort: sourcePort,
            destinationPort: destinationPort)
        let big = { (value: UInt32) in
            stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
        }
        let ports = big(UInt32(sourcePort) << 16 | UInt32(destinationPort))
        let segment = ports + big(sequence) + big(acknowledgement) + [0x50, flags, 0xff, 0xff, 0, 0, 0, 0]
        return PacketFrame.packet(flow.source, flow.destination, 6, PacketFrame.sealed(segment, flow, at: 16))
    }

    /// Any ICMPv6 message, whole: with its checksum, hop limit 255 as neighbour discovery wants it, and the router
    /// alert that a report of group membership needs.
    static func icmpv6(
        _ source: String, _ destination: String, type: UInt8, code: UInt8 = 0, _ body: [UInt8]
    ) throws -> [UInt8] {
        let (from, to) = (try address(source), try address(destination))
        let flow = FlowTuple(protocol: .icmpv6, source: from, destination: to, icmpType: type)
        let message = PacketFrame.sealed([type, code, 0, 0] + body, flow, at: 2)
        let isReport = (130...132).contains(type) || type == 143
        let options: [UInt8] = isReport ? [58, 0, 5, 2, 0, 0, 1, 0] : []
        var packet = PacketFrame.packet(from, to, isReport ? 0 : 58, options + message)
        packet[7] = isReport ? 1 : 255
        return packet
    }

    /// An error message of `source` about a packet: "fragmentation needed" and "packet too big" for a link of 1280
    /// bytes, "port unreachable" otherwise.
    static func error(_ source: String, about packet: [UInt8], isTooBig: Bool) throws -> [UInt8] {
        let sender = try address(source)
        switch sender.family {
        case .ipv4:
            let target = "\(packet[12]).\(packet[13]).\(packet[14]).\(packet[15])"
            var message: [UInt8] =
                [3, isTooBig ? 4 : 3, 0, 0, 0, 0] + (isTooBig ? [5, 0] : [0, 0]) + packet.prefix(28)
            let sum = PacketFrame.checksum(message)
            message.replaceSubrange(2..<4, with: [UInt8(sum >> 8), UInt8(sum & 0xff)])
            return PacketFrame.packet(sender, try address(target), 1, message)
        case .ipv6:
            let words = stride(from: 8, to: 24, by: 2).map { index in
                hexadecimal(packet[index]) + hexadecimal(packet[index + 1])
            }
            let body: [UInt8] = (isTooBig ? [0, 0, 5, 0] : [0, 0, 0, 0]) + packet
            return try icmpv6(
                source, words.joined(separator: ":"), type: isTooBig ? 2 : 1, code: isTooBig ? 0 : 4, body)
        }
    }

    struct NotAnAddress: Error { var text: String }

    static func address(_ text: String) throws -> IPAddress {
        guard let address = IPAddress(text) else { throw NotAnAddress(text: text) }
        return address
    }
}
