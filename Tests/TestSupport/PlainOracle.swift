package import NSGModel
package import NetworkTypes

/// A second reading of the contract (S1, S2, S8–S11, S13, S14), straight from the documents and as plain as can be: no
/// list is built beforehand, nothing is resolved, sorted or remembered; each question walks the estate again. It shares
/// with what it checks the values of the model and the types of addresses and ports, and no code that decides.
package struct PlainOracle: Sendable {
    package let estate: Estate

    package init(_ estate: Estate) { self.estate = estate }

    /// What one list said.
    package struct Stage: Hashable, Sendable, CustomStringConvertible {
        package var level: PolicyLevel
        /// The security group or the network manager.
        package var list: ResourceID
        /// The security group or the collection of admin rules; the manager where none of its rules matched.
        package var owner: ResourceID
        package var rule: String
        package var access: Access

        package init(level: PolicyLevel, list: ResourceID, owner: ResourceID, rule: String, access: Access) {
            self.level = level
            self.list = list
            self.owner = owner
            self.rule = rule
            self.access = access
        }

        package var description: String { "\(level) \(list.name) \(owner.name)/\(rule) \(access)" }
    }

    /// What the lists say about a first packet, in their order; none behind an AlwaysAllow (S2, S8).
    package func stages(_ flow: FlowTuple, at id: ResourceID, _ direction: Direction) -> [Stage] {
        guard let interface = estate.networkInterfaces[id], let place = place(of: interface) else { return [] }
        var stages: [Stage] = []
        if !interface.isPrivateEndpoint, place.subnet.takesAdminRules,
            let admin = adminStage(flow, in: place.network, direction)
        {
            stages.append(admin)
            if admin.access == .alwaysAllow { return stages }
        }
        if interface.isPrivateEndpoint && !place.subnet.filtersPrivateEndpoints { return stages }
        let subnetGroup = (PolicyLevel.subnet, place.subnet.networkSecurityGroup)
        let ownGroup = (PolicyLevel.nic, interface.networkSecurityGroup)
        for (level, id) in direction == .inbound ? [subnetGroup, ownGroup] : [ownGroup, subnetGroup] {
            guard let id, let group = estate.networkSecurityGroups[id] else { continue }
            stages.append(stage(of: group, level, flow, at: interface, in: place.network, direction))
        }
        return stages
    }

    /// Where an interface is: its first IP configuration says.
    private func place(of interface: NetworkInterface) -> (network: VirtualNetwork, subnet: Subnet)? {
        guard let configuration = interface.ipConfigurations.first else { return nil }
        for network in estate.virtualNetworks.values {
            for subnet in network.subnets where subnet.id == configuration.subnet { return (network, subnet) }
        }
        return nil
    }

    // MARK: Lists

    /// The matching rule with the lowest number, default rules included.
    private func stage(
        of group: NetworkSecurityGroup, _ level: PolicyLevel, _ flow: FlowTuple, at interface: NetworkInterface,
        in network: VirtualNetwork, _ direction: Direction
    ) -> Stage {
        var best: SecurityRule?
        for rule in group.securityRules where rule.direction == direction {
            if let best, best.priority.value <= rule.priority.value { continue }
            if isMember(interface, ofOwnSideOf: rule), matches(rule, flow, network) { best = rule }
        }
        let answer = best.map { ($0.name, $0.access) } ?? defaultRule(flow, network, direction)
        return Stage(level: level, list: group.id, owner: group.id, rule: answer.0, access: answer.1)
    }

    /// S11: a rule with application security groups on the interface's own side is for their members alone.
    private func isMember(_ interface: NetworkInterface, ofOwnSideOf rule: SecurityRule) -> Bool {
        guard case .applicationSecurityGroups(let groups) = rule.direction == .inbound ? rule.destination : rule.source
        else { return true }
        for configuration in interface.ipConfigurations {
            for group in configuration.applicationSecurityGroups where groups.contains(group) { return true }
        }
        return false
    }

    private func defaultRule(
        _ flow: FlowTuple, _ network: VirtualNetwork, _ direction: Direction
    ) -> (String, Access) {
        let isInternal =
            holds(flow.source, tag: "VirtualNetwork", network) && holds(flow.destination, tag: "VirtualNetwork", network)
        if direction == .inbound {
            if isInternal { return ("AllowVnetInBound", .allow) }
            if holds(flow.source, tag: "AzureLoadBalancer", network) {
                return ("AllowAzureLoadBalancerInBound", .allow)
            }
            return ("DenyAllInBound", .deny)
        }
        if isInternal { return ("AllowVnetOutBound", .allow) }
        if holds(flow.destination, tag: "Internet", network) { return ("AllowInternetOutBound", .allow) }
        return ("DenyAllOutBound", .deny)
    }

    // MARK: Admin rules

    /// S8: manager by manager, management groups before subscriptions; in one the lowest number of all its collections.
    /// Nil where no admin rule reaches the network in this direction.
    private func adminStage(_ flow: FlowTuple, in network: VirtualNetwork, _ direction: Direction) -> Stage? {
        var first: ResourceID?
        var hasRules = false
        for scope in [NetworkManager.Scope.managementGroup, .subscription] {
            let managers = estate.networkManagers.values.filter { $0.scope == scope }.sorted { $0.id < $1.id }
            for manager in managers where reaches(manager, network) {
                first = first ?? manager.id
                var best: (rule: SecurityRule, collection: ResourceID)?
                for (rule, collection) in rules(of: manager, for: network) where rule.direction == direction {
                    hasRules = true
                    if let best, (best.rule.priority.value, best.rule.id) <= (rule.priority.value, rule.id) { continue }
                    if matches(rule, flow, network) { best = (rule, collection) }
                }
                if let best {
                    return Stage(
                        level: .admin, list: manager.id, owner: best.collection, rule: best.rule.name,
                        access: best.rule.access)
                }
            }
        }
        guard hasRules, let first else { return nil }
        return Stage(level: .admin, list: first, owner: first, rule: "", access: .allow)
    }

    private func reaches(_ manager: NetworkManager, _ network: VirtualNetwork) -> Bool {
        for group in manager.networkGroups where group.members.contains(network.id) { return true }
        return false
    }

    private func rules(
        of manager: NetworkManager, for network: VirtualNetwork
    ) -> [(SecurityRule, collection: ResourceID)] {
        var found: [(SecurityRule, collection: ResourceID)] = []
        for configuration in manager.configurations {
            for collection in configuration.collections {
                var applies = false
                for group in manager.networkGroups
                where collection.appliesTo.contains(group.id) && group.members.contains(network.id) { applies = true }
                guard applies else { continue }
                for rule in collection.rules {
                    if network.hostsIntentPolicyServices {
                        if configuration.intentPolicyServices == .none { continue }
                        if configuration.intentPolicyServices == .allowRulesOnly, rule.access != .allow { continue }
                    }
                    found.append((rule, collection.id))
                }
            }
        }
        return found
    }
}

// MARK: - Rules

extension PlainOracle {
    private func matches(_ rule: SecurityRule, _ flow: FlowTuple, _ network: VirtualNetwork) -> Bool {
        let number = flow.protocol.rawValue
        switch rule.protocol {
        case .any: break
        case .tcp: guard number == 6 else { return false }
        case .udp: guard number == 17 else { return false }
        case .icmp: guard number == 1, case .v4 = flow.source else { return false }
        case .esp: guard number == 50 else { return false }
        case .ah: guard number == 51 else { return false }
        }
        let type = flow.icmpType.map { UInt16($0) }
        // TCP, UDP, DCCP, SCTP and UDP-Lite have ports.
        let hasPorts = [6, 17, 33, 132, 136].contains(number)
        let source = rule.protocol == .icmp ? type : hasPorts ? flow.sourcePort : nil
        let destination = rule.protocol == .icmp ? type : hasPorts ? flow.destinationPort : nil
        guard admits(source, rule.sourcePorts), admits(destination, rule.destinationPorts) else { return false }
        // The tag stands for port 53 of its addresses.
        if case .serviceTag(let tag) = rule.destination, tag.description.lowercased() == "azureplatformdns",
            !hasPorts || flow.destinationPort != 53
        {
            return false
        }
        return holds(flow.source, rule.source, network) && holds(flow.destination, rule.destination, network)
    }

    /// S1: ports that are not "any" need a port, or with `Icmp` a type.
    private func admits(_ port: UInt16?, _ ranges: [PortRange]) -> Bool {
        if let port {
            for range in ranges where range.bounds.lowerBound <= port && port <= range.bounds.upperBound { return true }
            return false
        }
        // Ranges may be "any" together.
        var next = 0
        while next <= 65535 {
            var last = -1
            for range in ranges where Int(range.bounds.lowerBound) <= next && next <= Int(range.bounds.upperBound) {
                last = Int(range.bounds.upperBound)
            }
            if last < 0 { return false }
            next = last + 1
        }
        return true
    }

    // MARK: Addresses

    private func holds(_ address: IPAddress, _ scope: AddressScope, _ network: VirtualNetwork) -> Bool {
        switch scope {
        case .any: return true
        case .prefixes(let prefixes): return isIn(address, prefixes)
        case .serviceTag(let tag): return holds(address, tag: tag.description, network)
        case .applicationSecurityGroups(let groups):
            for interface in estate.networkInterfaces.values {
                for configuration in interface.ipConfigurations where configuration.address == address {
                    for group in configuration.applicationSecurityGroups where groups.contains(group) { return true }
                }
            }
            return false
        case .networkGroup(let id):
            for manager in estate.networkManagers.values {
                for group in manager.networkGroups where group.id == id {
                    for member in estate.virtualNetworks.values
                    where group.members.contains(member.id) && isIn(address, member.addressSpace) { return true }
                }
            }
            return false
        case .either(let scopes):
            for scope in scopes where holds(address, scope, network) { return true }
            return false
        }
    }

    /// S10.
    private func holds(_ address: IPAddress, tag: String, _ network: VirtualNetwork) -> Bool {
        let platform = estate.platform
        switch tag.lowercased() {
        case "virtualnetwork", "virtual_network":
            for peering in network.peerings where peering.isOpen && isIn(address, peering.remotePrefixes) { return true }
            return isIn(address, network.addressSpace) || isIn(address, network.furtherPrefixes)
                || isIn(address, platform.probe)
        case "internet": return isIn(address, Self.internet)
        case "azureloadbalancer", "azure_loadbalancer": return isIn(address, platform.probe)
        case "azureplatformdns": return isIn(address, platform.dns)
        case "azureplatformimds": return isIn(address, platform.imds)
        case "azureplatformlkm": return isIn(address, platform.kms)
        case let name:
            for (key, prefixes) in estate.serviceTags where key.lowercased() == name && isIn(address, prefixes) {
                return true
            }
            return false
        }
    }

    private func isIn(_ address: IPAddress, _ prefixes: [IPPrefix]) -> Bool {
        for prefix in prefixes {
            switch (address, prefix.address) {
            case (.v4(let address), .v4(let first)):
                if (address.value ^ first.value) >> UInt32(32 - prefix.length) == 0 { return true }
            case (.v6(let address), .v6(let first)):
                if (address.value ^ first.value) >> UInt128(128 - prefix.length) == 0 { return true }
            default: break
            }
        }
        return false
    }

    /// The 76 prefixes as recorded from Azure, in Azure's order, and the global unicast addresses of IPv6.
    package static let internet: [IPPrefix] = """
        1.0.0.0/8 2.0.0.0/7 4.0.0.0/6 8.0.0.0/7 11.0.0.0/8 12.0.0.0/6 16.0.0.0/5 24.0.0.0/8 26.0.0.0/7 28.0.0.0/6
        32.0.0.0/3 64.0.0.0/3 96.0.0.0/6 100.0.0.0/10 100.128.0.0/9 101.0.0.0/8 102.0.0.0/7 104.0.0.0/5 112.0.0.0/5
        120.0.0.0/6 124.0.0.0/7 126.0.0.0/8 128.0.0.0/3 160.0.0.0/5 168.0.0.0/8 169.0.0.0/9 169.128.0.0/10
        169.192.0.0/11 169.224.0.0/12 169.240.0.0/13 169.248.0.0/14 169.252.0.0/15 169.255.0.0/16 170.0.0.0/7
        172.0.0.0/12 172.32.0.0/11 172.64.0.0/10 172.128.0.0/9 173.0.0.0/8 174.0.0.0/7 176.0.0.0/4 192.0.0.0/23
        192.0.3.0/24 192.0.4.0/22 192.0.8.0/21 192.0.16.0/20 192.0.32.0/19 192.0.64.0/18 192.0.128.0/17 192.1.0.0/16
        192.2.0.0/15 192.4.0.0/14 192.8.0.0/13 192.16.0.0/12 192.32.0.0/11 192.64.0.0/10 192.128.0.0/11 192.160.0.0/13
        192.169.0.0/16 192.170.0.0/15 192.172.0.0/14 192.176.0.0/12 192.192.0.0/10 193.0.0.0/8 194.0.0.0/7 196.0.0.0/7
        198.0.0.0/12 198.16.0.0/15 198.20.0.0/14 198.24.0.0/13 198.32.0.0/11 198.64.0.0/10 198.128.0.0/9 199.0.0.0/8
        200.0.0.0/5 208.0.0.0/4 2000::/3
        """.split(whereSeparator: \.isWhitespace).compactMap { IPPrefix($0) }
}

// MARK: - Platform

extension PlainOracle {
    /// What the platform does with an outbound packet before any list (S9, S14).
    package enum Platform: Hashable, Sendable { case dhcp, dns, wireServer, imds, kms, blocksSMTP }

    package func platform(_ flow: FlowTuple, at id: ResourceID, _ direction: Direction) -> Platform? {
        guard direction == .outbound, let interface = estate.networkInterfaces[id] else { return nil }
        let (isTCP, isUDP) = (flow.protocol.rawValue == 6, flow.protocol.rawValue == 17)
        let port = flow.destinationPort ?? 0
        let platform = estate.platform
        let isHost = isIn(flow.destination, platform.wireServer)
        if isHost, isUDP, port == 67 { return .dhcp }
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
        let isMail = isTCP && port == 25 && isIn(flow.destination, Self.internet)
        return estate.blocksOutboundSMTP && isMail ? .blocksSMTP : nil
    }

    /// Whether an outbound Deny of a group that is asked at the interface names the tag.
    private func isDenied(_ tag: String, at interface: NetworkInterface) -> Bool {
        guard let subnet = place(of: interface)?.subnet,
            !interface.isPrivateEndpoint || subnet.filtersPrivateEndpoints
        else { return false }
        for id in [interface.networkSecurityGroup, subnet.networkSecurityGroup] {
            for rule in id.flatMap({ estate.networkSecurityGroups[$0] })?.securityRules ?? []
            where rule.direction == .outbound && rule.access == .deny {
                if case .serviceTag(let named) = rule.destination, named.description.lowercased() == tag { return true }
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
        if own.isEmpty { return false }
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
            return !(isLinkLocal && (isDHCP || number == 58 && (130...136 ~= type || type == 143)))
        }
    }
}
