internal import CNftnl
internal import Nftables

// Where the kernel finds a field, and how its value lies in a register.

extension Field {
    /// What loads the whole field into register 1.
    var load: Expression {
        let network = NFT_PAYLOAD_NETWORK_HEADER.rawValue
        let transport = NFT_PAYLOAD_TRANSPORT_HEADER.rawValue
        return switch self {
        case .family: .meta(key: NFT_META_NFPROTO.rawValue)
        case .protocol: .meta(key: NFT_META_L4PROTO.rawValue)
        case .inputDevice: .meta(key: NFT_META_IIFNAME.rawValue)
        case .outputDevice: .meta(key: NFT_META_OIFNAME.rawValue)
        case .ipSource: .payload(base: network, offset: 12, length: 4)
        case .ipDestination: .payload(base: network, offset: 16, length: 4)
        case .ip6Source: .payload(base: network, offset: 8, length: 16)
        case .ip6Destination: .payload(base: network, offset: 24, length: 16)
        case .sourcePort: .payload(base: transport, offset: 0, length: 2)
        case .destinationPort: .payload(base: transport, offset: 2, length: 2)
        case .icmpType, .icmpv6Type: .payload(base: transport, offset: 0, length: 1)
        case .tcpFlags: .payload(base: transport, offset: 13, length: 1)
        case .connectionState: .conntrack(key: NFT_CT_STATE.rawValue, direction: nil)
        case .connectionDirection: .conntrack(key: NFT_CT_DIRECTION.rawValue, direction: nil)
        case .connectionLabel: .conntrack(key: NFT_CT_LABELS.rawValue, direction: nil)
        case .originalPackets: .conntrack(key: NFT_CT_PKTS.rawValue, direction: 0)
        }
    }

    /// What loads the first `length` bytes of an address.
    func load(first length: Int) -> Expression? {
        guard isAddress, case .payload(let base, let offset, _, _) = load else { return nil }
        return .payload(base: base, offset: offset, length: UInt32(length))
    }

    /// The field that an expression loads, and how many of its bytes.
    /// - Parameter isICMPv6: an ICMP type is read at the same place for both families; what matched before it decides.
    init?(loadedBy expression: Expression, isICMPv6: Bool, length: inout Int) {
        guard let field = Self.candidate(for: expression, isICMPv6: isICMPv6) else { return nil }
        if field.load == expression {
            length = field.width
        } else if case .payload(_, _, let loaded, .first) = expression, loaded > 0, loaded < field.width,
            field.load(first: Int(loaded)) == expression
        {
            length = Int(loaded)
        } else {
            return nil
        }
        self = field
    }

    /// The only field that an expression can load: by its key, or by where it begins.
    private static func candidate(for expression: Expression, isICMPv6: Bool) -> Field? {
        switch expression {
        case .meta(let key, _):
            switch key {
            case NFT_META_NFPROTO.rawValue: .family
            case NFT_META_L4PROTO.rawValue: .protocol
            case NFT_META_IIFNAME.rawValue: .inputDevice
            case NFT_META_OIFNAME.rawValue: .outputDevice
            default: nil
            }
        case .payload(NFT_PAYLOAD_NETWORK_HEADER.rawValue, let offset, _, _):
            switch offset {
            case 12: .ipSource
            case 16: .ipDestination
            case 8: .ip6Source
            case 24: .ip6Destination
            default: nil
            }
        case .payload(NFT_PAYLOAD_TRANSPORT_HEADER.rawValue, let offset, let length, _):
            switch (offset, length) {
            case (0, 2): .sourcePort
            case (0, 1): isICMPv6 ? .icmpv6Type : .icmpType
            case (2, 2): .destinationPort
            case (13, 1): .tcpFlags
            default: nil
            }
        case .conntrack(let key, _, _):
            switch key {
            case NFT_CT_STATE.rawValue: .connectionState
            case NFT_CT_DIRECTION.rawValue: .connectionDirection
            case NFT_CT_LABELS.rawValue: .connectionLabel
            case NFT_CT_PKTS.rawValue: .originalPackets
            default: nil
            }
        default: nil
        }
    }

    var isAddress: Bool {
        switch self {
        case .ipSource, .ipDestination, .ip6Source, .ip6Destination: true
        default: false
        }
    }

    /// Fields that are sets of bits, of which a rule asks for any.
    var isBitmask: Bool { self == .connectionState || self == .connectionLabel || self == .tcpFlags }

    /// Whether less and greater mean something to the kernel, which compares byte by byte.
    var isOrdered: Bool { !isBitmask && !isDevice && self != .connectionDirection }

    private var isInHostOrder: Bool {
        self == .connectionState || self == .connectionLabel || self == .originalPackets
    }

    /// Whether it can be part of a concatenation: keys of sets are in network order.
    var isKey: Bool { !isInHostOrder }

    /// Registers it takes in a concatenation.
    var words: Int { (width + 3) / 4 }

    /// The value as the kernel loads it. Numbers of conntrack are in host order; bit n of a label is bit n % 8 of byte
    /// n / 8; the first character of a device name is the most significant byte.
    func bytes(of value: UInt128) -> RegisterBytes {
        let bytes = networkOrderBytes(of: value)
        return isReversed ? bytes.reversed : bytes
    }

    func networkOrderBytes(of value: UInt128) -> RegisterBytes { RegisterBytes(value, count: width) }

    func value(of bytes: RegisterBytes, inNetworkOrder: Bool = false) -> UInt128 {
        (isInHostOrder && !inNetworkOrder ? bytes.reversed : bytes).value
    }

    private var isReversed: Bool { isInHostOrder && UInt16(1).littleEndian == 1 || self == .connectionLabel }

    /// Whether the value fits the field.
    func holds(_ value: UInt128) -> Bool { width == 16 || value >> UInt128(8 * width) == 0 }
}
