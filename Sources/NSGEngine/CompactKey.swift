import NetworkTypes

/// A `FlowKey` of one address family, in the bytes that it needs.
protocol CompactKey: Equatable, Sendable {
    init(_ key: FlowKey)
    var key: FlowKey { get }
    func hash(_ seed: FlowHashSeed) -> UInt64
    /// What stands where no connection does.
    static var vacant: Self { get }
}

/// Secret numbers of a table: those who open connections choose most of what is hashed, and must not be able to choose
/// where it goes.
struct FlowHashSeed: Sendable {
    private let words: (UInt64, UInt64, UInt64)

    init(using random: inout some RandomNumberGenerator) {
        // Odd, so that none is zero.
        words = (random.next() | 1, random.next() | 1, random.next() | 1)
    }

    /// Products of 128 bits, folded, as of wyhash.
    func hash(_ first: UInt64, _ second: UInt64, after earlier: UInt64 = 0) -> UInt64 {
        let product = (first ^ words.0).multipliedFullWidth(by: second ^ words.1 ^ earlier)
        let mixed = (product.high ^ product.low ^ words.2).multipliedFullWidth(by: words.0)
        return mixed.high ^ mixed.low
    }
}

/// 19 bytes.
struct IPv4FlowKey: CompactKey {
    private var id: UInt32
    private var source: UInt32
    private var destination: UInt32
    private var sourcePort: UInt16
    private var destinationPort: UInt16
    private var `protocol`: UInt8
    private var icmpType: UInt8
    private var traits: UInt8

    init(_ key: FlowKey) {
        id = key.id
        source = UInt32(truncatingIfNeeded: key.source.low)
        destination = UInt32(truncatingIfNeeded: key.destination.low)
        sourcePort = key.sourcePort
        destinationPort = key.destinationPort
        `protocol` = key.protocol.rawValue
        icmpType = key.icmpType
        traits = key.traits.rawValue
    }

    var key: FlowKey {
        FlowKey(
            id: id, source: .init(high: 0, low: UInt64(source)), destination: .init(high: 0, low: UInt64(destination)),
            sourcePort: sourcePort, destinationPort: destinationPort, protocol: IPProtocol(rawValue: `protocol`),
            icmpType: icmpType, traits: .init(rawValue: traits))
    }

    func hash(_ seed: FlowHashSeed) -> UInt64 {
        seed.hash(
            UInt64(id) << 32 | UInt64(sourcePort) << 16 | UInt64(destinationPort),
            UInt64(source) << 32 | UInt64(destination),
            after: UInt64(`protocol`) << 8 | UInt64(icmpType))
    }

    static let vacant = IPv4FlowKey(.nowhere)
}

/// 43 bytes.
struct IPv6FlowKey: CompactKey {
    private var source: FlowKey.Halves
    private var destination: FlowKey.Halves
    private var id: UInt32
    private var sourcePort: UInt16
    private var destinationPort: UInt16
    private var `protocol`: UInt8
    private var icmpType: UInt8
    private var traits: UInt8

    init(_ key: FlowKey) {
        id = key.id
        source = key.source
        destination = key.destination
        sourcePort = key.sourcePort
        destinationPort = key.destinationPort
        `protocol` = key.protocol.rawValue
        icmpType = key.icmpType
        traits = key.traits.rawValue
    }

    var key: FlowKey {
        FlowKey(
            id: id, source: source, destination: destination, sourcePort: sourcePort,
            destinationPort: destinationPort, protocol: IPProtocol(rawValue: `protocol`), icmpType: icmpType,
            traits: .init(rawValue: traits))
    }

    func hash(_ seed: FlowHashSeed) -> UInt64 {
        let ends = seed.hash(source.low, destination.low, after: seed.hash(source.high, destination.high))
        return seed.hash(
            UInt64(id) << 32 | UInt64(sourcePort) << 16 | UInt64(destinationPort),
            UInt64(`protocol`) << 8 | UInt64(icmpType), after: ends)
    }

    static let vacant = IPv6FlowKey(.nowhere)
}

extension FlowKey {
    fileprivate static let nowhere = FlowKey(
        id: 0, source: Halves(high: 0, low: 0), destination: Halves(high: 0, low: 0), sourcePort: 0,
        destinationPort: 0, protocol: IPProtocol(rawValue: 0), icmpType: 0, traits: [])
}
