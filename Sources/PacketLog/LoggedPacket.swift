internal import Netlink
package import NetworkTypes

/// A packet that a rule has copied to an NFLOG group.
package struct LoggedPacket: Hashable, Sendable {
    /// `enum nf_inet_hooks`
    package enum Hook: UInt8, Hashable, Sendable {
        case prerouting = 0
        case input, forward, output, postrouting, ingress
    }

    /// Nanoseconds since 1970, when the packet was read: up to the group's time-out later than it was logged.
    package var time: UInt64
    /// Nil for families other than the two.
    package var family: IPFamily?
    package var hook: Hook?
    /// The rule's `log prefix`.
    package var prefix: String
    /// Interface indexes.
    package var inputInterface: UInt32?
    package var outputInterface: UInt32?
    /// The sender on the last link; only where the packet came in through one with such addresses.
    package var senderHardwareAddress: MACAddress?
    /// `NFULA_SEQ`: counts the messages of the group.
    package var sequence: UInt32?
    /// The packet's mark (`meta mark`).
    package var mark: UInt32
    /// From the network header on, cut at the rule's `snaplen`.
    package var payload: [UInt8]
    /// Nil where the packet is cut before its addresses.
    package var header: PacketHeader?

    /// Decodes what libpcap gives for link type `DLT_NFLOG` (239): `struct nfgenmsg` and attributes. Nil where not even
    /// that header is whole; attributes that are cut or unknown are passed over.
    package init?(nflog bytes: ArraySlice<UInt8>, time: UInt64) {
        guard bytes.count >= 4, let family = bytes.first else { return nil }
        self.time = time
        self.family = family == 2 ? .ipv4 : family == 10 ? .ipv6 : nil
        prefix = ""
        mark = 0
        payload = []
        for attribute in NetlinkAttributes(bytes.dropFirst(4)) {
            switch attribute.type {
            case 1: hook = attribute.payload.dropFirst(2).first.flatMap { Hook(rawValue: $0) }
            case 2: mark = attribute.uint32 ?? 0
            case 4: inputInterface = attribute.uint32
            case 5: outputInterface = attribute.uint32
            case 8: senderHardwareAddress = Self.hardwareAddress(attribute)
            case 9:
                payload = attribute.bytes
                header = PacketHeader(attribute.payload)
            case 10: prefix = attribute.string
            case 12: sequence = attribute.uint32
            default: break
            }
        }
        // Tables of family inet log with the family of the packet; bridge and netdev ones do not.
        if self.family == nil { self.family = header?.source.family }
    }

    /// `struct nfulnl_msg_packet_hw`: length in network order, padding, eight bytes.
    private static func hardwareAddress(_ attribute: NetlinkAttribute) -> MACAddress? {
        guard attribute.payload.starts(with: [0, 6]) else { return nil }
        return MACAddress(bytes: attribute.payload.dropFirst(4).prefix(6))
    }
}

/// Counts exactly what is missing between messages of one group.
package struct SequenceGaps: Sendable {
    private var expected: UInt32 = 0

    package init() {}

    /// How many messages are missing before this one. The numbers begin at 0 when the group is configured, and wrap.
    package mutating func missing(before sequence: UInt32) -> Int {
        let gap = sequence &- expected
        expected = sequence &+ 1
        // A number from the past is a group that was configured anew, not a loss of two thousand million.
        return gap < 1 << 31 ? Int(gap) : 0
    }
}
