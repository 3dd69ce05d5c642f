import FlowLog
package import NSGModel
import NetworkTypes

/// What the connections have in common that the same rules allowed on the same way. There are few of these, and of
/// connections up to a million.
final class FlowWay: Sendable {
    /// What records say; none of a connection whose packet has not come: nothing is recorded of it (F2).
    let sides: [LoggedSide]
    let label: UInt128?

    init(sides: [LoggedSide], label: UInt128?) {
        self.sides = sides
        self.label = label
    }
}

/// A connection that every list allowed, from its first packet until the kernel forgets it.
struct TrackedFlow: Sendable {
    var way: FlowWay
    /// The last dump that had it, or before which it came, by a number that goes round.
    var dump: UInt8
    /// Connections of the same key before it, whose ends have yet to come: packets and ends come by different ways.
    var predecessors: UInt8 = 0
}

/// A connection's identity: its id and its flow, this in as few bytes as it needs. The id alone is none: it comes again
/// after the connection, with another flow or, where the kernel happens to give that the same memory, with the same;
/// and of a million connections a hundred share theirs with another.
package struct FlowKey: Hashable, Sendable {
    package let id: UInt32
    private let sourcePort: UInt16
    private let destinationPort: UInt16
    private let `protocol`: IPProtocol
    private let icmpType: UInt8
    private let traits: Traits
    private let source: (high: UInt64, low: UInt64)
    private let destination: (high: UInt64, low: UInt64)

    private struct Traits: OptionSet, Hashable {
        let rawValue: UInt8
        static let isIPv6 = Self(rawValue: 1)
        static let hasSourcePort = Self(rawValue: 2)
        static let hasDestinationPort = Self(rawValue: 4)
        static let hasType = Self(rawValue: 8)
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
        source = Self.halves(of: flow.source)
        destination = Self.halves(of: flow.destination)
    }

    package var flow: FlowTuple {
        FlowTuple(
            protocol: `protocol`, source: address(source), destination: address(destination),
            sourcePort: traits.contains(.hasSourcePort) ? sourcePort : nil,
            destinationPort: traits.contains(.hasDestinationPort) ? destinationPort : nil,
            icmpType: traits.contains(.hasType) ? icmpType : nil)
    }

    private static func halves(of address: IPAddress) -> (high: UInt64, low: UInt64) {
        switch address {
        case .v4(let address): (0, UInt64(address.value))
        case .v6(let address):
            (UInt64(truncatingIfNeeded: address.value >> 64), UInt64(truncatingIfNeeded: address.value))
        }
    }

    private func address(_ halves: (high: UInt64, low: UInt64)) -> IPAddress {
        traits.contains(.isIPv6)
            ? .v6(IPv6Address(UInt128(halves.high) << 64 | UInt128(halves.low)))
            : .v4(IPv4Address(UInt32(truncatingIfNeeded: halves.low)))
    }

    package static func == (left: FlowKey, right: FlowKey) -> Bool {
        left.id == right.id && left.source == right.source && left.destination == right.destination
            && left.sourcePort == right.sourcePort && left.destinationPort == right.destinationPort
            && left.protocol == right.protocol && left.icmpType == right.icmpType && left.traits == right.traits
    }

    /// The id is the kernel's own hash of the connection, keyed.
    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
