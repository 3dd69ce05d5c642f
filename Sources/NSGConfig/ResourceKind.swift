import JSONText
import NSGModel

/// The kinds of resources that are read. The raw value is the type below `Microsoft.Network/`.
enum ResourceKind: String, CaseIterable {
    case networkSecurityGroup = "networkSecurityGroups"
    case securityRule = "networkSecurityGroups/securityRules"
    case virtualNetwork = "virtualNetworks"
    case subnet = "virtualNetworks/subnets"
    case peering = "virtualNetworks/virtualNetworkPeerings"
    case networkInterface = "networkInterfaces"
    case applicationSecurityGroup = "applicationSecurityGroups"
    case flowLog = "networkWatchers/flowLogs"

    /// `networkSecurityGroups`, also as key of an object keyed by kind.
    var collection: String { String(rawValue.split(separator: "/").last ?? "") }

    /// A security rule belongs to a group, a subnet to a network; a flow log's parent is nothing that is read.
    var parent: ResourceKind? {
        switch self {
        case .securityRule: .networkSecurityGroup
        case .subnet, .peering: .virtualNetwork
        default: nil
        }
    }

    /// From a key of an object keyed by kind, in any case; the singular is taken too.
    init?(key: String) {
        let folded = key.lowercased()
        let match = Self.allCases.first { kind in
            let collection = kind.collection.lowercased()
            return folded == collection || folded + "s" == collection
        }
        guard let match, match.parent == nil else { return nil }
        self = match
    }

    /// From `Microsoft.Network/networkSecurityGroups`, in any case.
    init?(type: String) {
        let folded = type.lowercased()
        guard folded.hasPrefix("microsoft.network/") else { return nil }
        let rest = folded.dropFirst("microsoft.network/".utf8.count)
        guard let match = Self.allCases.first(where: { $0.rawValue.lowercased() == rest }) else { return nil }
        self = match
    }

    /// From an id: the types after its provider.
    init?(id: String) {
        let segments = id.split(separator: "/")
        guard let provider = segments.lastIndex(where: { $0.lowercased() == "providers" }),
            provider + 2 < segments.count
        else { return nil }
        let types = stride(from: provider + 2, to: segments.count, by: 2).map { segments[$0] }
        self.init(type: "\(segments[provider + 1])/\(types.joined(separator: "/"))")
    }

    /// Kinds of Azure that are met in documents and passed over.
    static let passedOver = [
        "loadBalancers", "routeTables", "virtualMachines", "networkManagers", "publicIPAddresses", "networkWatchers",
        "natGateways", "privateEndpoints", "azureFirewalls",
    ]
}
