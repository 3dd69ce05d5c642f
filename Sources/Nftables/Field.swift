/// What a rule can look at. Values of a field are numbers in host order (only the encoder swaps), device names text.
package enum Field: Hashable, Sendable, CaseIterable {
    /// `NFT_META_NFPROTO`: 2 for IPv4, 10 for IPv6.
    case family
    /// `NFT_META_L4PROTO`.
    case `protocol`
    /// `NFT_META_IIFNAME`, `NFT_META_OIFNAME`: names, so that a device that comes back is matched again.
    case inputDevice, outputDevice
    case ipSource, ipDestination
    case ip6Source, ip6Destination
    /// The first and second 16 bits of the transport header.
    case sourcePort, destinationPort
    case icmpType, icmpv6Type
    /// The flags of a TCP header, 8 bits: SYN is 2.
    case tcpFlags
    /// `NFT_CT_STATE`: bits of `ConnectionState`.
    case connectionState
    /// `NFT_CT_DIRECTION`: 0 on the way of the connection's first packet, 1 on that of its answers.
    case connectionDirection
    /// `NFT_CT_LABELS`: 128 bits.
    case connectionLabel
    /// `NFT_CT_PKTS`, original direction; loading it turns conntrack accounting on.
    case originalPackets

    /// Bytes of a value in a register; device names are padded with zeros.
    package var width: Int {
        switch self {
        case .family, .protocol, .icmpType, .icmpv6Type, .tcpFlags, .connectionDirection: 1
        case .sourcePort, .destinationPort: 2
        case .ipSource, .ipDestination, .connectionState: 4
        case .originalPackets: 8
        case .inputDevice, .outputDevice, .ip6Source, .ip6Destination, .connectionLabel: 16
        }
    }

    package var isDevice: Bool { self == .inputDevice || self == .outputDevice }
}

/// Bits of `ct state` (`NF_CT_STATE_…`).
package struct ConnectionState: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let invalid = Self(rawValue: 1)
    package static let established = Self(rawValue: 2)
    package static let related = Self(rawValue: 4)
    package static let new = Self(rawValue: 8)
    package static let untracked = Self(rawValue: 64)
}

package enum Comparison: Hashable, Sendable {
    case equals(UInt128)
    case isNot(UInt128)
    /// The first `length` bits are those of the value.
    case prefix(UInt128, length: Int)
    case range(ClosedRange<UInt128>)
    /// At least one of these bits is set.
    case hasAny(UInt128)
    /// None of these bits is set.
    case hasNone(UInt128)
    case isGreater(than: UInt128)
}
