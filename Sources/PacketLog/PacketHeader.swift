internal import Netlink
package import NetworkTypes

/// The network and transport headers of a packet, as far as its bytes go.
package struct PacketHeader: Hashable, Sendable {
    /// The bits of the TCP header's flag byte.
    package struct TCPFlags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let fin = Self(rawValue: 1)
        package static let syn = Self(rawValue: 2)
        package static let rst = Self(rawValue: 4)
        package static let ack = Self(rawValue: 16)
    }

    package var source: IPAddress
    package var destination: IPAddress
    /// What follows the last header that could be read: of IPv6, extension headers are passed over.
    package var `protocol`: IPProtocol
    /// Of TCP, UDP, SCTP, DCCP and UDP-Lite; nil where the bytes end first, and in later fragments.
    package var sourcePort: UInt16?
    package var destinationPort: UInt16?
    /// Of ICMP and ICMPv6.
    package var icmpType: UInt8?
    package var icmpCode: UInt8?
    /// Of ICMP messages that are answered.
    package var icmpIdentifier: UInt16?
    package var tcpFlags: TCPFlags?
    /// Bytes of the packet on the wire by its own header, which counts itself; a logged packet may be cut.
    package var totalLength: Int
    /// Part of a packet that was not reassembled.
    package var isFragment: Bool
    /// An authentication header of IPv6 was passed over. nftables does not look behind it and takes the protocol for AH
    /// (`IP6_FH_F_AUTH` in `nft_set_pktinfo_ipv6`), conntrack does. Of IPv4, AH is the protocol.
    package var isAuthenticated = false

    /// Nil where the bytes end before both addresses, or are neither IPv4 nor IPv6.
    package init?(_ packet: RawSpan) {
        switch packet.byte(at: 0).map({ $0 >> 4 }) {
        case 4: self.init(v4: packet)
        case 6: self.init(v6: packet)
        default: return nil
        }
    }

    private init?(v4 packet: RawSpan) {
        guard let source = packet.ipAddress(at: 12, length: 4), let destination = packet.ipAddress(at: 16, length: 4),
            let number = packet.byte(at: 9), let length = packet.uint16(at: 2), let fragment = packet.uint16(at: 6),
            let version = packet.byte(at: 0)
        else { return nil }
        (self.source, self.destination) = (source, destination)
        `protocol` = IPProtocol(rawValue: number)
        totalLength = Int(length)
        isFragment = fragment & 0x3fff != 0
        let headerLength = Int(version & 15) * 4
        guard headerLength >= 20, fragment & 0x1fff == 0 else { return }
        readTransport(packet, at: headerLength)
    }

    private init?(v6 packet: RawSpan) {
        guard let source = packet.ipAddress(at: 8, length: 16), let destination = packet.ipAddress(at: 24, length: 16),
            var next = packet.byte(at: 6), let length = packet.uint16(at: 4)
        else { return nil }
        (self.source, self.destination) = (source, destination)
        `protocol` = IPProtocol(rawValue: next)
        totalLength = 40 + Int(length)
        isFragment = false
        var offset = 40
        // No honest packet has more extension headers; a crafted one may.
        for _ in 0..<8 where Self.isExtension(next) {
            guard let following = packet.byte(at: offset), let size = Self.size(of: next, packet, at: offset) else {
                return
            }
            if next == 44 { isFragment = true }
            if next == 51 { isAuthenticated = true }
            let isLaterFragment = next == 44 && (packet.uint16(at: offset + 2).map { $0 & 0xfff8 != 0 } ?? true)
            next = following
            `protocol` = IPProtocol(rawValue: next)
            if isLaterFragment { return }
            offset += size
        }
        if !Self.isExtension(next) { readTransport(packet, at: offset) }
    }

    /// Hop-by-hop options, routing, fragment, authentication, destination options.
    private static func isExtension(_ number: UInt8) -> Bool {
        switch number {
        case 0, 43, 44, 51, 60: true
        default: false
        }
    }

    /// Bytes of an extension header, which states them in units of its own.
    private static func size(of number: UInt8, _ packet: RawSpan, at offset: Int) -> Int? {
        switch number {
        case 44: 8
        case 51: packet.byte(at: offset + 1).map { (Int($0) + 2) * 4 }
        default: packet.byte(at: offset + 1).map { (Int($0) + 1) * 8 }
        }
    }

    private mutating func readTransport(_ packet: RawSpan, at offset: Int) {
        if `protocol`.hasPorts {
            sourcePort = packet.uint16(at: offset)
            destinationPort = packet.uint16(at: offset + 2)
            if `protocol` == .tcp { tcpFlags = packet.byte(at: offset + 13).map { TCPFlags(rawValue: $0) } }
        } else if `protocol` == .icmp || `protocol` == .icmpv6 {
            icmpType = packet.byte(at: offset)
            icmpCode = packet.byte(at: offset + 1)
            icmpIdentifier = packet.uint16(at: offset + 4)
        }
    }
}
