import JSONText
import NSGModel
import NetworkTypes

/// An address of a virtual network.
private struct NetworkAddress: Hashable {
    var network: ResourceID
    var address: IPAddress
}

/// Where the addresses of a subnet lie.
private struct SubnetRange {
    let prefixes: [IPPrefix]
    let cover: PrefixCover

    init(prefixes: [IPPrefix]) {
        self.prefixes = prefixes
        cover = PrefixCover(prefixes)
    }
}

extension EstateResolver {
    func networkInterfaces(_ networks: [ResourceID: VirtualNetwork]) -> [ResourceID: NetworkInterface] {
        var subnets: [ResourceID: SubnetRange] = [:]
        for network in networks.values {
            for subnet in network.subnets { subnets[subnet.id] = SubnetRange(prefixes: subnet.prefixes) }
        }
        let machines = virtualMachines()
        var interfaces: [ResourceID: NetworkInterface] = [:]
        var owners: [NetworkAddress: ResourceID] = [:]
        for draft in policy.networkInterfaces {
            let configurations = draft.ipConfigurations.compactMap { ipConfiguration($0, subnets) }
            checkNetworks(of: configurations, draft)
            checkMemberships(of: configurations, draft)
            for configuration in draft.ipConfigurations { claimAddress(of: configuration, draft.id, &owners) }
            interfaces[draft.id] = NetworkInterface(
                id: draft.id, networkSecurityGroup: draft.networkSecurityGroup.flatMap { resolve($0, policy.groups) },
                ipConfigurations: configurations, macAddress: draft.macAddress,
                enableIPForwarding: draft.enableIPForwarding,
                virtualMachine: virtualMachine(of: draft, owners: machines), isPrivateEndpoint: draft.isPrivateEndpoint)
        }
        return interfaces
    }

    private func ipConfiguration(_ draft: IPConfigurationDraft, _ subnets: [ResourceID: SubnetRange])
        -> IPConfiguration?
    {
        let groups = draft.applicationSecurityGroups.compactMap { resolve($0, policy.applicationGroups) }
        guard let reference = draft.subnet, let subnet = resolve(reference, policy.subnets) else { return nil }
        if let address = draft.address, let range = subnets[subnet], !range.cover.isEmpty,
            !range.cover.covers(address.value)
        {
            let list = enumerated(range.prefixes.lazy.map(\.description))
            diagnostics.report(
                .addressNotInSubnet, at: address.place,
                "Private static IP address \(address.value) does not belong to the range of subnet prefix \(list).",
                remedy: "choose an address of subnet \(shown(subnet.name)), or another subnet")
        }
        return IPConfiguration(
            name: draft.name, address: draft.address?.value, subnet: subnet, applicationSecurityGroups: groups)
    }

    private func checkNetworks(of configurations: [IPConfiguration], _ draft: NetworkInterfaceDraft) {
        let networks = Set(configurations.compactMap(\.subnet.parent)).sorted()
        guard networks.count > 1 else { return checkSubnets(of: configurations, draft) }
        diagnostics.report(
            .severalVirtualNetworks, at: draft.place,
            "the IP configurations lie in \(networks.count) virtual networks: \(enumerated(networks.map(\.description)))",
            remedy: "give each virtual network a network interface of its own")
    }

    private func checkSubnets(of configurations: [IPConfiguration], _ draft: NetworkInterfaceDraft) {
        let subnets = Set(configurations.map(\.subnet)).sorted()
        guard subnets.count > 1 else { return }
        diagnostics.report(
            .severalSubnets, at: draft.place,
            """
            the IP configurations lie in \(subnets.count) subnets: \(enumerated(subnets.map(\.description))); a network interface \
            has one, whose security group and routes hold for all its addresses
            """, remedy: "give each subnet a network interface of its own")
    }

    private func checkMemberships(of configurations: [IPConfiguration], _ draft: NetworkInterfaceDraft) {
        let count = Set(configurations.flatMap(\.applicationSecurityGroups)).count
        let limit = limits.applicationSecurityGroupsPerIPConfiguration
        // A configuration that breaks the limit by itself has been reported.
        guard count > limit, configurations.allSatisfy({ $0.applicationSecurityGroups.count <= limit }) else { return }
        diagnostics.report(
            .limitReached, at: draft.place,
            "a network interface is in \(count) application security groups, of at most \(limit)",
            remedy: "remove some, or raise limits.applicationSecurityGroupsPerIPConfiguration in nsgd.json")
    }

    /// Virtual networks may overlap; inside one an address belongs to one configuration.
    private func claimAddress(
        of draft: IPConfigurationDraft, _ interface: ResourceID, _ owners: inout [NetworkAddress: ResourceID]
    ) {
        guard let address = draft.address, let subnet = draft.subnet.flatMap({ policy.subnets.lookUp($0) }),
            let network = subnet.parent
        else { return }
        guard
            let owner = owners.updateValue(interface, forKey: NetworkAddress(network: network, address: address.value))
        else { return }
        diagnostics.report(
            .addressInUse, at: address.place,
            "IP address \(address.value) is already in use by \(shown(owner.description)).",
            remedy: "give each IP configuration of virtual network \(shown(network.name)) an address of its own")
    }

    /// The virtual network of each application security group's members, where it has any (FACTS e).
    func memberNetworks(of interfaces: [ResourceID: NetworkInterface]) -> [ResourceID: ResourceID] {
        var networks: [ResourceID: ResourceID] = [:]
        var counts: [ResourceID: Int] = [:]
        for draft in policy.networkInterfaces {
            for configuration in interfaces[draft.id]?.ipConfigurations ?? [] {
                guard let network = configuration.subnet.parent else { continue }
                for group in configuration.applicationSecurityGroups {
                    counts[group, default: 0] += 1
                    guard let first = networks[group], first != network else {
                        networks[group] = network
                        continue
                    }
                    diagnostics.report(
                        .membersInSeveralVirtualNetworks, at: draft.place,
                        """
                        application security group \(shown(group.name)) has members in virtual networks \(shown(first.name)) \
                        and \(shown(network.name))
                        """, remedy: "make a group for each virtual network")
                }
            }
        }
        let limit = limits.ipConfigurationsPerApplicationSecurityGroup
        for (group, count) in counts where count > limit {
            guard let place = policy.applicationGroups.place(of: group) else { continue }
            diagnostics.report(
                .limitReached, at: place,
                "\(count) IP configurations in an application security group, of at most \(limit)",
                remedy: "split the group, or raise limits.ipConfigurationsPerApplicationSecurityGroup in nsgd.json")
        }
        return networks
    }
}

extension EstateResolver {
    func resolvedBindings(_ interfaces: [ResourceID: NetworkInterface]) -> [Binding] {
        var resolved: [Binding] = []
        var devices: [String: Place] = [:]
        var bound: [ResourceID: Place] = [:]
        var addresses: [IPAddress: ResourceID] = [:]
        for draft in bindings {
            if let other = devices.updateValue(draft.place, forKey: draft.device) {
                diagnostics.report(
                    .duplicateBinding, at: draft.devicePlace, "\(draft.device) is bound already, at line \(other.line)",
                    remedy: "bind each device once")
            }
            guard let id = resolve(draft.networkInterface, policy.interfaces), let interface = interfaces[id] else {
                continue
            }
            if let other = bound.updateValue(draft.place, forKey: id) {
                diagnostics.report(
                    .duplicateBinding, at: draft.place,
                    "\(shown(id.description)) is bound already, at line \(other.line)",
                    remedy: "bind each network interface once")
                continue
            }
            for address in interface.addresses {
                // One table of connections and one of routes cannot hold both (KERNEL 5).
                guard let other = addresses.updateValue(id, forKey: address), other != id else { continue }
                diagnostics.report(
                    .equalAddressesOnHost, at: draft.place,
                    "\(address) is an address of \(shown(other.description)) too, and both are bound on this host",
                    remedy: "bind one of them on another host, or change an address")
            }
            if draft.attachment == .guest, interface.ipConfigurations.contains(where: { $0.address == nil }),
                !interface.enableIPForwarding
            {
                diagnostics.note(
                    at: draft.place,
                    "an IP configuration has no address, so the guest is not held to its own (enableIPForwarding: false)"
                )
            }
            resolved.append(Binding(networkInterface: id, device: draft.device, attachment: draft.attachment))
        }
        return resolved
    }
}
