package import NetworkTypes

/// `enableIPForwarding: false` on a guest: it neither sends with an address that is not its own nor receives what is for
/// another (S13). What keeps a link alive is exempt: DHCP, duplicate address detection, neighbour discovery and group
/// membership.
package enum AddressGuard {
    /// ICMPv6 messages that a machine sends from its link-local address: neighbour discovery and group membership, but no
    /// announcements of routers.
    package static let linkLocalICMPv6Types: [ClosedRange<UInt8>] = [130...133, 135...136, 143...143]
    /// Those it sends from `::`, before it has an address: solicitations of routers and, to detect duplicates, of
    /// neighbours; reports of group membership.
    package static let unspecifiedICMPv6Types: [ClosedRange<UInt8>] = [131...131, 133...133, 135...135, 143...143]

    /// Whether a packet with a source that is not the guest's may leave it all the same.
    package static func exempts(_ flow: FlowTuple) -> Bool {
        switch flow.source {
        case .v4(let source):
            guard source.value == 0 else { return false }
            return flow.protocol == .igmp
                || flow.protocol == .udp && flow.sourcePort == 68 && flow.destinationPort == 67
        case .v6(let source):
            let types = { (allowed: [ClosedRange<UInt8>]) in
                flow.protocol == .icmpv6
                    && flow.icmpType.map { type in allowed.contains { $0.contains(type) } } ?? false
            }
            if source.value == 0 { return types(unspecifiedICMPv6Types) }
            guard source.value >> 118 == 0x3fa else { return false }
            return types(linkLocalICMPv6Types)
                || flow.protocol == .udp && flow.sourcePort == 546 && flow.destinationPort == 547
        }
    }
}

extension Estate {
    /// The addresses that a binding holds its guest to; nil where it does not: on a `host`, where the machine routes, and
    /// where the document leaves an address open.
    package func guardedAddresses(of binding: Binding) -> [IPAddress]? {
        guard binding.attachment == .guest, let interface = networkInterfaces[binding.networkInterface],
            !interface.enableIPForwarding, interface.ipConfigurations.allSatisfy({ $0.address != nil })
        else { return nil }
        return interface.addresses
    }

    /// Whether a packet is dropped for an address that is not the guest's (S13).
    package func dropsAsForeign(_ flow: FlowTuple, at binding: Binding, _ direction: Direction) -> Bool {
        guard let own = guardedAddresses(of: binding) else { return false }
        switch direction {
        case .outbound: return !own.contains(flow.source) && !AddressGuard.exempts(flow)
        case .inbound: return !own.contains(flow.destination)
        }
    }
}
