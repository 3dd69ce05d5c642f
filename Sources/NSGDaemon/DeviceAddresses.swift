import NSGModel
import NetworkTypes
import SystemServices

extension LinkTable {
    /// Addresses by device, those aside that every link has by itself: the addresses of `host` interfaces whose
    /// documents have none.
    var deviceAddresses: [String: [IPAddress]] {
        byName.mapValues { link in addresses(of: link.name).map(\.address).filter { !$0.isLinkLocal } }
    }
}

extension Estate {
    var hasAddressesFromDevices: Bool {
        bindings.contains {
            $0.attachment == .host && networkInterfaces[$0.networkInterface]?.addresses.isEmpty ?? false
        }
    }
}

extension IPAddress {
    fileprivate var isLinkLocal: Bool {
        switch self {
        case .v4(let address): address.value >> 16 == 0xa9fe
        case .v6(let address): address.value >> 118 == 0xfe80 >> 6
        }
    }
}
