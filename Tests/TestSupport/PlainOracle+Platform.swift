package import NSGModel
import NetworkTypes

extension PlainOracle {
    /// What the platform does with an outbound packet before any list (S9, S14).
    package enum Platform: Hashable, Sendable { case dhcp, dns, wireServer, imds, kms, blocksSMTP }

    package func platform(_ flow: FlowTuple, at id: ResourceID, _ direction: Direction) -> Platform? {
        guard direction == .outbound, let interface = estate.networkInterfaces[id] else { return nil }
        let (isTCP, isUDP) = (flow.protocol.rawValue == 6, flow.protocol.rawValue == 17)
        let port = flow.destinationPort ?? 0
        let platform = estate.platform
        let isHost = isIn(flow.destination, platform.wireServer)
        if isHost, isUDP, flow.sourcePort == 68, port == 67 { return .dhcp }
        if isIn(flow.destination, platform.dns), isTCP || isUDP, port == 53,
            !isDenied("azureplatformdns", at: interface)
        {
            return .dns
        }
        if isHost, isTCP, port == 80 || port == 443 || port == 32526 { return .wireServer }
        if isIn(flow.destination, platform.imds), isTCP, port == 80, !isDenied("azureplatformimds", at: interface) {
            return .imds
        }
        if isIn(flow.destination, platform.kms), isTCP, port == 1688, !isDenied("azureplatformlkm", at: interface),
            place(of: interface)?.subnet.divertsDefaultRoute != true
        {
            return .kms
        }
        guard estate.blocksOutboundSMTP, isTCP, port == 25, isIn(flow.destination, Self.internet) else { return nil }
        // Space of the interface's own network or of its peers is no Internet, be it public.
        if let network = place(of: interface)?.network, holds(flow.destination, tag: "VirtualNetwork", network) {
            return nil
        }
        return .blocksSMTP
    }

    /// Whether an outbound Deny that names the tag is asked at the interface: of a group, for others than members of an
    /// application security group it has as source, it is not (S11).
    private func isDenied(_ tag: String, at interface: NetworkInterface) -> Bool {
        guard let subnet = place(of: interface)?.subnet,
            !interface.isPrivateEndpoint || subnet.filtersPrivateEndpoints
        else { return false }
        for id in [interface.networkSecurityGroup, subnet.networkSecurityGroup] {
            for rule in id.flatMap({ estate.networkSecurityGroups[$0] })?.securityRules ?? []
            where rule.direction == .outbound && rule.access == .deny && isMember(interface, ofOwnSideOf: rule) {
                if case .serviceTag(let named) = rule.destination, named.description.lowercased() == tag { return true }
            }
        }
        guard subnet.takesAdminRules, !interface.isPrivateEndpoint, let network = place(of: interface)?.network else {
            return false
        }
        for manager in estate.networkManagers.values where reaches(manager, network) {
            for (rule, _) in rules(of: manager, for: network) where rule.direction == .outbound && rule.access == .deny
            {
                var items = [rule.destination]
                if case .either(let several) = rule.destination { items = several }
                for case .serviceTag(let named) in items where named.description.lowercased() == tag { return true }
            }
        }
        return false
    }

    /// What passes between neighbours whatever the rules say (S12): discovery and group membership, DHCP with the
    /// virtual machine as the client, announcements of routers to it.
    package func keepsLinkAlive(_ flow: FlowTuple, _ direction: Direction) -> Bool {
        switch (flow.protocol.rawValue, flow.destination) {
        case (2, .v4(let group)): return 224...239 ~= group.value >> 24
        case (17, _):
            let ports = (flow.sourcePort ?? 0, flow.destinationPort ?? 0)
            return direction == .inbound
                ? ports == (67, 68) || ports == (547, 546) : ports == (68, 67) || ports == (546, 547)
        case (58, _):
            guard let type = flow.icmpType else { return false }
            return [130, 131, 132, 133, 135, 136, 143].contains(type) || type == 134 && direction == .inbound
        default: return false
        }
    }

    /// S13: what a guest that does not route sends as another, and what is for another.
    package func isForeign(_ flow: FlowTuple, at binding: Binding, _ direction: Direction) -> Bool {
        guard binding.attachment == .guest, let interface = estate.networkInterfaces[binding.networkInterface],
            !interface.enableIPForwarding
        else { return false }
        let own = interface.ipConfigurations.compactMap(\.address)
        if own.count < interface.ipConfigurations.count { return false }
        if direction == .inbound { return !own.contains(flow.destination) }
        if own.contains(flow.source) { return false }
        let (number, type) = (flow.protocol.rawValue, flow.icmpType ?? 0)
        switch flow.source {
        case .v4(let source):
            let isDHCP = number == 17 && flow.sourcePort == 68 && flow.destinationPort == 67
            return !(source.value == 0 && (isDHCP || number == 2))
        case .v6(let source) where source.value == 0:
            return !(number == 58 && [131, 133, 135, 143].contains(type))
        case .v6(let source):
            let isLinkLocal = source.value >> 112 >= 0xfe80 && source.value >> 112 <= 0xfebf
            let isDHCP = number == 17 && flow.sourcePort == 546 && flow.destinationPort == 547
            return !(isLinkLocal && (isDHCP || number == 58 && (130...133 ~= type || [135, 136, 143].contains(type))))
        }
    }
}
