package import ConntrackKernel
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
    /// Of the packet's network and transport headers. Nil where it is cut before its addresses.
    package var header: PacketHeader?
    /// The packet's connection as it was then, in the middle of a first packet's way through the hooks: with its id and
    /// the label that rules have written by then, not yet with source translation. Nil for untracked packets, and on
    /// kernels that attach none (`PacketLogReader.givesConnections`).
    package var connection: ConntrackEntry?
    /// The packet from its network header on, as far as the rule's `snaplen` goes; kept only where somebody asks for it
    /// (`PacketLogReader.keepBytes`).
    package var bytes: [UInt8]?

    /// Decodes what libpcap gives for link type `DLT_NFLOG` (239): `struct nfgenmsg` and attributes. Nil where not even
    /// that header is whole; attributes that are cut or unknown are passed over.
    /// - Parameter keepsBytes: of the packet itself.
    package init?(nflog message: RawSpan, time: UInt64, keepsBytes: Bool = false) {
        guard message.byteCount >= 4, let number = message.byte(at: 0) else { return nil }
        let family: IPFamily? = number == 2 ? .ipv4 : number == 10 ? .ipv6 : nil
        self.time = time
        self.family = family
        prefix = ""
        mark = 0
        message.forEachAttribute(from: 4) { type, payload in
            switch type {
            case 1: hook = payload.byte(at: 2).flatMap { Hook(rawValue: $0) }
            case 2: mark = payload.uint32 ?? 0
            case 4: inputInterface = payload.uint32
            case 5: outputInterface = payload.uint32
            case 8: senderHardwareAddress = Self.hardwareAddress(payload)
            case 9:
                header = PacketHeader(payload)
                if keepsBytes { bytes = payload.array }
            case 10: prefix = payload.string
            case 12: sequence = payload.uint32
            case 18: connection = ConntrackEntry(attributes: payload)
            default: break
            }
        }
        // Tables of family inet log with the family of the packet; bridge and netdev ones do not.
        if family == nil { self.family = header?.source.family }
    }

    /// `struct nfulnl_msg_packet_hw`: length in network order, padding, eight bytes.
    private static func hardwareAddress(_ payload: RawSpan) -> MACAddress? {
        guard payload.uint16(at: 0) == 6, let high = payload.uint16(at: 4), let middle = payload.uint16(at: 6),
            let low = payload.uint16(at: 8)
        else { return nil }
        return MACAddress(bits: UInt64(high) << 32 | UInt64(middle) << 16 | UInt64(low))
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
