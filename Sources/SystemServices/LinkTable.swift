package import NetworkTypes

/// An interface of this network namespace.
package struct Link: Hashable, Sendable {
    package var index: UInt32
    package var name: String
    package var hardwareAddress: MACAddress?
    /// Switched on (`IFF_UP`); says nothing of a carrier.
    package var isUp: Bool
    /// `IFLA_INFO_KIND`: `veth`, `tun`, `bridge`, `bond`, …; nil for a physical device and lo.
    package var kind: String?
    /// Index of the bridge, bond or VRF the link is a port of.
    package var master: UInt32?
    /// `IFLA_INFO_SLAVE_KIND`: what the link is a port of: `bridge`, `bond`, `vrf`.
    package var portKind: String?

    package init(
        index: UInt32, name: String, hardwareAddress: MACAddress? = nil, isUp: Bool = true, kind: String? = nil,
        master: UInt32? = nil, portKind: String? = nil
    ) {
        self.index = index
        self.name = name
        self.hardwareAddress = hardwareAddress
        self.isUp = isUp
        self.kind = kind
        self.master = master
        self.portKind = portKind
    }
}

/// An address of an interface.
package struct InterfaceAddress: Hashable, Sendable {
    /// Of this machine.
    package var address: IPAddress
    /// The network it was given with.
    package var prefix: IPPrefix

    package init(address: IPAddress, prefix: IPPrefix) {
        self.address = address
        self.prefix = prefix
    }
}

/// The interfaces and addresses of a network namespace at one moment.
package struct LinkTable: Hashable, Sendable {
    package private(set) var byIndex: [UInt32: Link] = [:]
    package private(set) var byName: [String: Link] = [:]
    /// By interface index, in the order of the addresses.
    package private(set) var addresses: [UInt32: [InterfaceAddress]] = [:]

    package init() {}

    package init(_ links: [Link], addresses: [UInt32: [InterfaceAddress]] = [:]) {
        for link in links { insert(link) }
        for (index, list) in addresses { for address in list { insert(address, at: index) } }
    }

    package func addresses(of name: String) -> [InterfaceAddress] {
        byName[name].flatMap { addresses[$0.index] } ?? []
    }

    package mutating func insert(_ link: Link) {
        // Renamed, or the name has gone over to another index.
        if let old = byIndex[link.index], old.name != link.name { byName[old.name] = nil }
        if let other = byName[link.name], other.index != link.index { byIndex[other.index] = nil }
        byIndex[link.index] = link
        byName[link.name] = link
    }

    package mutating func remove(link index: UInt32) {
        if let link = byIndex.removeValue(forKey: index), byName[link.name]?.index == index { byName[link.name] = nil }
        addresses[index] = nil
    }

    package mutating func insert(_ address: InterfaceAddress, at index: UInt32) {
        let list = addresses[index] ?? []
        let place = list.firstIndex { ($0.address, $0.prefix) >= (address.address, address.prefix) } ?? list.endIndex
        if place < list.endIndex, list[place] == address { return }
        addresses[index, default: []].insert(address, at: place)
    }

    package mutating func remove(_ address: InterfaceAddress, at index: UInt32) {
        let list = (addresses[index] ?? []).filter { $0 != address }
        addresses[index] = list.isEmpty ? nil : list
    }
}
