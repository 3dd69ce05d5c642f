package import NSGModel
package import NetworkTypes

/// Who has an address, as traffic analytics names it. Empty texts where nobody is known.
package struct TrafficEndpoint: Hashable, Sendable {
    /// `rg/vnet/subnet`
    package var subnet = ""
    /// `rg/name`
    package var virtualMachine = ""
    package var networkInterface = ""

    package init(subnet: String = "", virtualMachine: String = "", networkInterface: String = "") {
        self.subnet = subnet
        self.virtualMachine = virtualMachine
        self.networkInterface = networkInterface
    }
}

/// Where the addresses of an estate lie. Virtual networks may overlap as long as they are not peered, so that the
/// answer depends on the network that asks.
package struct AddressAtlas: Sendable {
    private struct Network: Sendable {
        var own: AddressSet
        /// Of open peerings alone.
        var peers: [(id: ResourceID, space: AddressSet)]
        var further: AddressSet
        var subnets: [(prefixes: [IPPrefix], name: String)]
        var holders: [IPAddress: TrafficEndpoint]
    }

    private let networks: [ResourceID: Network]
    /// In the order of their ids.
    private let spaces: [(id: ResourceID, space: AddressSet)]
    private let azure: AddressSet

    /// O(prefixes of the networks and of `AzureCloud` + interfaces).
    package init(_ estate: Estate) {
        var holders: [ResourceID: [IPAddress: TrafficEndpoint]] = [:]
        for interface in estate.networkInterfaces.values {
            let machine = interface.virtualMachine.map(\.groupAndName) ?? ""
            for configuration in interface.ipConfigurations {
                guard let address = configuration.address, let network = configuration.subnet.parent else { continue }
                holders[network, default: [:]][address] = TrafficEndpoint(
                    subnet: configuration.subnet.subnetName, virtualMachine: machine,
                    networkInterface: interface.id.groupAndName)
            }
        }
        networks = Dictionary(
            uniqueKeysWithValues: estate.virtualNetworks.values.map { network in
                let peers = network.peerings.filter(\.isOpen).compactMap { peering in
                    peering.remoteNetwork.map { ($0, AddressSet(peering.remotePrefixes)) }
                }
                return (
                    network.id,
                    Network(
                        own: AddressSet(network.addressSpace), peers: peers,
                        further: AddressSet(network.furtherPrefixes),
                        subnets: network.subnets.map { ($0.prefixes, $0.id.subnetName) },
                        holders: holders[network.id] ?? [:])
                )
            })
        spaces = networks.sorted { $0.key < $1.key }.map { ($0.key, $0.value.own) }
        let platform = estate.platform
        azure = AddressSet(
            (estate.serviceTags[ServiceTag("AzureCloud").key] ?? []) + platform.dns + platform.imds
                + platform.wireServer + platform.probe + platform.kms)
    }

    /// Its own space goes before that of its peers, that before what lies behind gateways, and that before networks it
    /// has nothing to do with.
    package func place(of address: IPAddress, seenFrom network: ResourceID?) -> AddressPlace {
        if let network, let near = networks[network] {
            if near.own.contains(address) { return .network(network) }
            if let peer = near.peers.first(where: { $0.space.contains(address) }) { return .network(peer.id) }
            if near.further.contains(address) { return .site }
        }
        if let far = spaces.first(where: { $0.space.contains(address) }) { return .network(far.id) }
        if azure.contains(address) { return .azure }
        if InternetPrefixes.addresses.contains(address) { return .internet }
        return Self.privateSpace.contains(address) ? .privateSpace : .elsewhere
    }

    package func endpoint(of address: IPAddress, at place: AddressPlace) -> TrafficEndpoint {
        guard case .network(let id) = place, let network = networks[id] else { return TrafficEndpoint() }
        if let holder = network.holders[address] { return holder }
        let subnet = network.subnets.first { $0.prefixes.contains { $0.contains(address) } }
        return TrafficEndpoint(subnet: subnet?.name ?? "")
    }

    /// RFC 1918 and RFC 4193.
    private static let privateSpace = AddressSet(
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"].compactMap { IPPrefix($0) })
}

extension ResourceID {
    /// `rg/name`, as traffic analytics writes interfaces and machines.
    package var groupAndName: String { "\(resourceGroup)/\(name)" }
    /// `rg/vnet/subnet`
    fileprivate var subnetName: String { "\(resourceGroup)/\(parent?.name ?? "")/\(name)" }
    /// `subscription/rg/name`, as traffic analytics writes security groups.
    package var listName: String { "\(subscription)/\(resourceGroup)/\(name)" }
}
