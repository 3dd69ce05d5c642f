import NSGModel
package import NetworkTypes

extension PlainOracle {
    func matches(_ rule: SecurityRule, _ flow: FlowTuple, _ network: VirtualNetwork) -> Bool {
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
    func holds(_ address: IPAddress, tag: String, _ network: VirtualNetwork) -> Bool {
        let platform = estate.platform
        switch tag.lowercased() {
        case "virtualnetwork", "virtual_network":
            for peering in network.peerings where peering.isOpen && isIn(address, peering.remotePrefixes) {
                return true
            }
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

    func isIn(_ address: IPAddress, _ prefixes: [IPPrefix]) -> Bool {
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
