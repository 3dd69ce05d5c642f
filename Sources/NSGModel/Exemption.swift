import NetworkTypes

/// What keeps a link alive passes whatever the rules say (S12): neighbour discovery, group membership, DHCP with the
/// machine at the other end of the link. The compiler's base chains hold the same list; a test holds the two together.
package enum Exemption {
    /// Router solicitation, neighbour solicitation and advertisement, and the messages of multicast listener discovery.
    package static let icmpv6Types: [ClosedRange<UInt8>] = [130...133, 135...136, 143...143]
    /// Only towards the virtual machine: a guest does not announce routers.
    package static let icmpv6RouterAdvertisement: UInt8 = 134
    /// Source and destination ports of DHCP and DHCPv6, both ways.
    package static let dhcpPorts: [(source: UInt16, destination: UInt16)] = [
        (68, 67), (67, 68), (546, 547), (547, 546),
    ]

    package static func covers(_ flow: FlowTuple, _ direction: Direction) -> Bool {
        switch flow.protocol {
        case .igmp: return flow.source.family == .ipv4
        case .udp:
            return dhcpPorts.contains { flow.sourcePort == $0.source && flow.destinationPort == $0.destination }
        case .icmpv6:
            guard let type = flow.icmpType else { return false }
            return icmpv6Types.contains { $0.contains(type) }
                || (type == icmpv6RouterAdvertisement && direction == .inbound)
        default: return false
        }
    }
}
