import JSONText
import NSGModel

/// The kinds of resources that are read. The raw value is the type below its provider.
enum ResourceKind: String, CaseIterable {
    case networkSecurityGroup = "networkSecurityGroups"
    case securityRule = "networkSecurityGroups/securityRules"
    case virtualNetwork = "virtualNetworks"
    case subnet = "virtualNetworks/subnets"
    case peering = "virtualNetworks/virtualNetworkPeerings"
    case networkInterface = "networkInterfaces"
    case applicationSecurityGroup = "applicationSecurityGroups"
    case routeTable = "routeTables"
    case route = "routeTables/routes"
    case networkManager = "networkManagers"
    case networkGroup = "networkManagers/networkGroups"
    case staticMember = "networkManagers/networkGroups/staticMembers"
    case securityAdminConfiguration = "networkManagers/securityAdminConfigurations"
    case ruleCollection = "networkManagers/securityAdminConfigurations/ruleCollections"
    case adminRule = "networkManagers/securityAdminConfigurations/ruleCollections/rules"
    case loadBalancer = "loadBalancers"
    case virtualMachine = "virtualMachines"
    case flowLog = "networkWatchers/flowLogs"

    /// `networkSecurityGroups`, also as key of an object keyed by kind.
    var collection: String { String(rawValue.split(separator: "/").last ?? "") }

    var provider: String { self == .virtualMachine ? "Microsoft.Compute" : "Microsoft.Network" }

    /// As `type` in a document: `Microsoft.Network/networkSecurityGroups`.
    var type: String { "\(provider)/\(rawValue)" }

    /// What a resource belongs to: a security rule to a group, a subnet to a network; a flow log's parent is nothing
    /// that is read.
    var parent: ResourceKind? {
        guard self != .flowLog, let slash = rawValue.lastIndex(of: "/") else { return nil }
        return ResourceKind(rawValue: String(rawValue[..<slash]))
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
        guard let match = Self.allCases.first(where: { $0.type.lowercased() == folded }) else { return nil }
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

    /// In lower case: what a network manager holds, and Azure's API lists apart from it.
    static let partsOfManagers = [
        networkGroup, staticMember, securityAdminConfiguration, ruleCollection,
    ].map { $0.collection.lowercased() }

    /// Kinds of Azure that are met in documents and passed over.
    static let passedOver = [
        "publicIPAddresses", "networkWatchers", "natGateways", "privateEndpoints", "azureFirewalls",
    ]
}
