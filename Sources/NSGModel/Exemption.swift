package import NetworkTypes

/// What keeps a link alive passes whatever the rules say (S12): neighbour discovery, group membership, DHCP with the
/// machine at the other end of the link. The compiler's base chains hold the same list; a test holds the two together.
package enum Exemption {
    /// Router solicitation, neighbour solicitation and advertisement, and the messages of multicast listener discovery.
    package static let icmpv6Types: [ClosedRange<UInt8>] = [130...133, 135...136, 143...143]
    /// Only towards the virtual machine: a guest does not announce routers.
    package static let icmpv6RouterAdvertisement: UInt8 = 134
    /// Source and destination ports of DHCP and DHCPv6: the virtual machine is the client.
    package static func dhcpPorts(_ direction: Direction) -> [(source: UInt16, destination: UInt16)] {
        direction == .inbound ? [(67, 68), (547, 546)] : [(68, 67), (546, 547)]
    }
    /// Where messages of group membership go: 224.0.0.0/4.
    package static func isMulticast(_ address: IPv4Address) -> Bool { address.value >> 28 == 0xe }

    package static func covers(_ flow: FlowTuple, _ direction: Direction) -> Bool {
        switch flow.protocol {
        case .igmp:
            guard case .v4(let destination) = flow.destination else { return false }
            return isMulticast(destination)
        case .udp:
            return dhcpPorts(direction).contains {
                flow.sourcePort == $0.source && flow.destinationPort == $0.destination
            }
        case .icmpv6:
            guard let type = flow.icmpType else { return false }
            return icmpv6Types.contains { $0.contains(type) }
                || (type == icmpv6RouterAdvertisement && direction == .inbound)
        default: return false
        }
    }
}
