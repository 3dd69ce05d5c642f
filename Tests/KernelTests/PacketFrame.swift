import NSGModel
import NetworkTypes

/// Bytes of a flow's first packet, from the network header on, whole enough for conntrack to take it: right lengths and
/// checksums, INIT, REQUEST, and of TCP a SYN or, every third, what is in the middle of a connection (S4).
enum PacketFrame {
    /// - Parameter number: tells packets apart in what rules do not look at: identifiers, sequence numbers, tags.
    static func bytes(of flow: FlowTuple, number: UInt16) -> [UInt8] {
        packet(flow.source, flow.destination, flow.protocol.rawValue, transport(flow, number), identification: number)
    }

    /// A network header before whatever follows.
    ///
    /// - Parameters:
    ///   - fragment: flags and offset of IPv4, in units of eight bytes.
    ///   - options: of IPv4, a multiple of four bytes.
    static func packet(
        _ source: IPAddress, _ destination: IPAddress, _ next: UInt8, _ rest: [UInt8], identification: UInt16 = 1,
        fragment: UInt16 = 0, options: [UInt8] = []
    ) -> [UInt8] {
        switch (source, destination) {
        case (.v4(let source), .v4(let destination)):
            var header: [UInt8] = [0x45 + UInt8(options.count / 4), 0] + big(UInt16(20 + options.count + rest.count))
            header +=
                big(identification) + big(fragment) + [64, next, 0, 0] + big(source.value) + big(destination.value)
            header += options
            header.replaceSubrange(10..<12, with: big(checksum(header)))
            return header + rest
        case (.v6(let source), .v6(let destination)):
            return [0x60, 0, 0, 0] + big(UInt16(rest.count)) + [next, 64] + big(source.value) + big(destination.value)
                + rest
        default: return []
        }
    }

    static func transport(_ flow: FlowTuple, _ number: UInt16) -> [UInt8] {
        let ports = big(flow.sourcePort ?? 0) + big(flow.destinationPort ?? 0)
        let text = Array("nsgd".utf8)
        switch flow.protocol {
        case .tcp:
            let flags: UInt8 = number % 3 == 0 ? 0x10 : 0x02
            let rest = big(UInt32(number)) + big(UInt32(0)) + [0x50, flags, 0xff, 0xff, 0, 0, 0, 0]
            return sealed(ports + rest, flow, at: 16)
        case .udp: return sealed(ports + big(UInt16(8 + text.count)) + [0, 0] + text, flow, at: 6)
        // A coverage of 0 is the whole packet.
        case .udplite: return sealed(ports + [0, 0, 0, 0] + text, flow, at: 6)
        case .dccp:
            let request: [UInt8] = [5, 0, 0, 0, 0x01, 0, 0, 0] + big(UInt32(number)) + [0, 0, 0, 1]
            return sealed(ports + request, flow, at: 6)
        case .sctp: return sctp(ports, number)
        case .icmp:
            var message: [UInt8] = [flow.icmpType ?? 8, 0, 0, 0] + big(number) + [0, 1] + text
            message.replaceSubrange(2..<4, with: big(checksum(message)))
            return message
        case .icmpv6: return sealed([flow.icmpType ?? 128, 0, 0, 0] + big(number) + [0, 1] + text, flow, at: 2)
        case .gre: return [0, 0, 8, 0] + text
        // Next header UDP, 24 bytes long.
        case .ah: return [17, 4, 0, 0] + big(UInt32(number) + 256) + big(UInt32(1)) + Array(repeating: 7, count: 20)
        default: return big(UInt32(number) + 256) + big(UInt32(1)) + text
        }
    }

    /// A header with one INIT chunk, under CRC32c.
    private static func sctp(_ ports: [UInt8], _ number: UInt16) -> [UInt8] {
        var packet = ports + big(UInt32(0)) + big(UInt32(0)) + [1, 0, 0, 20]
        packet += big(UInt32(number) + 1) + big(UInt32(0x10000)) + [0, 1, 0, 1] + big(UInt32(1))
        var remainder = UInt32.max
        for byte in packet {
            remainder ^= UInt32(byte)
            for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1 == 1 ? 0x82f6_3b78 : 0) }
        }
        packet.replaceSubrange(8..<12, with: big((~remainder).byteSwapped))
        return packet
    }

    // MARK: Checksums

    /// With the checksum over pseudo-header and packet at an offset.
    static func sealed(_ packet: [UInt8], _ flow: FlowTuple, at offset: Int) -> [UInt8] {
        let addresses: [UInt8] =
            switch (flow.source, flow.destination) {
            case (.v4(let source), .v4(let destination)): big(source.value) + big(destination.value)
            case (.v6(let source), .v6(let destination)): big(source.value) + big(destination.value)
            default: []
            }
        let pseudo = addresses + [0, flow.protocol.rawValue] + big(UInt16(packet.count))
        let sum = checksum(pseudo + packet)
        var packet = packet
        packet.replaceSubrange(offset..<offset + 2, with: big(sum == 0 ? .max : sum))
        return packet
    }

    /// RFC 1071. The length is even.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count - 1, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum > 0xffff { sum = (sum >> 16) + (sum & 0xffff) }
        return ~UInt16(sum)
    }

    private static func big(_ value: some FixedWidthInteger) -> [UInt8] {
        stride(from: value.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
