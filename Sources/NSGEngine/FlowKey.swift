package import NSGModel
import NetworkTypes

/// A connection's identity: its id and its flow, this in as few bytes as it needs. The id alone is none: it comes again
/// after the connection, with another flow or, where the kernel happens to give that the same memory, with the same;
/// and of a million connections a hundred share theirs with another.
package struct FlowKey: Hashable, Sendable {
    package let id: UInt32
    let sourcePort: UInt16
    let destinationPort: UInt16
    let `protocol`: IPProtocol
    let icmpType: UInt8
    let traits: Traits
    let source: Halves
    let destination: Halves

    struct Traits: OptionSet, Hashable {
        let rawValue: UInt8
        static let isIPv6 = Self(rawValue: 1)
        static let hasSourcePort = Self(rawValue: 2)
        static let hasDestinationPort = Self(rawValue: 4)
        static let hasType = Self(rawValue: 8)
    }

    /// Of an address: of IPv4 the low 32 bits.
    struct Halves: Hashable {
        var high: UInt64
        var low: UInt64
    }

    package init(id: UInt32, flow: FlowTuple) {
        self.id = id
        `protocol` = flow.protocol
        sourcePort = flow.sourcePort ?? 0
        destinationPort = flow.destinationPort ?? 0
        icmpType = flow.icmpType ?? 0
        var traits: Traits = []
        if flow.source.family == .ipv6 { traits.insert(.isIPv6) }
        if flow.sourcePort != nil { traits.insert(.hasSourcePort) }
        if flow.destinationPort != nil { traits.insert(.hasDestinationPort) }
        if flow.icmpType != nil { traits.insert(.hasType) }
        self.traits = traits
        source = Halves(flow.source)
        destination = Halves(flow.destination)
    }

    init(
        id: UInt32, source: Halves, destination: Halves, sourcePort: UInt16, destinationPort: UInt16,
        protocol: IPProtocol, icmpType: UInt8, traits: Traits
    ) {
        self.id = id
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.protocol = `protocol`
        self.icmpType = icmpType
        self.traits = traits
    }

    package var flow: FlowTuple {
        FlowTuple(
            protocol: `protocol`, source: address(source), destination: address(destination),
            sourcePort: traits.contains(.hasSourcePort) ? sourcePort : nil,
            destinationPort: traits.contains(.hasDestinationPort) ? destinationPort : nil,
            icmpType: traits.contains(.hasType) ? icmpType : nil)
    }

    private func address(_ halves: Halves) -> IPAddress {
        traits.contains(.isIPv6)
            ? .v6(IPv6Address(UInt128(halves.high) << 64 | UInt128(halves.low)))
            : .v4(IPv4Address(UInt32(truncatingIfNeeded: halves.low)))
    }

    /// The id is the kernel's own hash of the connection, keyed.
    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension FlowKey.Halves {
    fileprivate init(_ address: IPAddress) {
        switch address {
        case .v4(let address): self.init(high: 0, low: UInt64(address.value))
        case .v6(let address):
            self.init(
                high: UInt64(truncatingIfNeeded: address.value >> 64), low: UInt64(truncatingIfNeeded: address.value))
        }
    }
}
