package import NetworkTypes

/// `enableIPForwarding: false` on a guest: it neither sends with an address that is not its own nor receives what is
/// for another (S13). What keeps a link alive is exempt: DHCP, duplicate address detection, neighbour discovery and
/// group membership.
package enum AddressGuard {
    /// Messages that a guest may send though their source is not one of its addresses.
    package struct LinkMessages: Hashable, Sendable {
        package enum Kind: Hashable, Sendable {
            case all
            case ports(source: UInt16, destination: UInt16)
            /// Types of ICMPv6.
            case types([ClosedRange<UInt8>])
        }

        package var source: IPPrefix
        package var `protocol`: IPProtocol
        package var kind: Kind
    }

    /// From no address: the client of DHCP; reports of group membership; solicitations of routers and, to detect
    /// duplicates, of neighbours. From the link-local address: the client of DHCPv6, neighbour discovery and group
    /// membership, but no announcements of routers. Both the evaluator and the compiler read this list.
    package static let exemptions: [LinkMessages] = {
        let list: [(source: String, IPProtocol, LinkMessages.Kind)] = [
            ("0.0.0.0/32", .udp, .ports(source: 68, destination: 67)), ("0.0.0.0/32", .igmp, .all),
            ("fe80::/10", .udp, .ports(source: 546, destination: 547)),
            ("::/128", .icmpv6, .types([131...131, 133...133, 135...135, 143...143])),
            ("fe80::/10", .icmpv6, .types([130...133, 135...136, 143...143])),
        ]
        return list.map { source, number, kind in
            guard let prefix = IPPrefix(source) else { preconditionFailure("\(source) is no prefix") }
            return LinkMessages(source: prefix, protocol: number, kind: kind)
        }
    }()

    /// Whether a packet with a source that is not the guest's may leave it all the same.
    package static func exempts(_ flow: FlowTuple) -> Bool { exemptions.contains { $0.cover(flow) } }
}

extension AddressGuard.LinkMessages {
    fileprivate func cover(_ flow: FlowTuple) -> Bool {
        guard flow.protocol == self.protocol, source.contains(flow.source) else { return false }
        switch kind {
        case .all: return true
        case .ports(let source, let destination):
            return flow.sourcePort == source && flow.destinationPort == destination
        case .types(let allowed):
            return flow.icmpType.map { type in allowed.contains { $0.contains(type) } } ?? false
        }
    }
}

extension Estate {
    /// The addresses that a binding holds its guest to; nil where it does not: on a `host`, where the machine routes,
    /// and where the document leaves an address open.
    package func guardedAddresses(of binding: Binding) -> [IPAddress]? {
        guard binding.attachment == .guest, let interface = networkInterfaces[binding.networkInterface],
            !interface.enableIPForwarding, interface.ipConfigurations.allSatisfy({ $0.address != nil })
        else { return nil }
        return interface.addresses
    }

    /// The destinations of the packets that the rules of an inbound list are asked about at a binding: all others are
    /// dropped before. Nil where there are no others.
    package func destinationsAtRules(of binding: Binding) -> AddressSet? {
        guardedAddresses(of: binding).map { AddressSet($0.map { IPPrefix($0) }) }
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
