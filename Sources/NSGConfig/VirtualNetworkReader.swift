import JSONText
import NSGModel
import NetworkTypes

struct VirtualNetworkDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    var guid: UUID
    var addressSpace: [IPPrefix]
    var subnets: [SubnetDraft]
    /// SQL managed instances or Databricks live here, which admin rules leave alone unless told otherwise (FACTS f).
    var hostsIntentPolicyServices: Bool {
        let services: Set = ["microsoft.sql/managedinstances", "microsoft.databricks/workspaces"]
        return subnets.contains { !services.isDisjoint(with: $0.delegations) }
    }
    /// Some subnet has no id, so that references to it lead nowhere.
    var hasUnreadSubnets: Bool
    var peerings: [PeeringDraft]
    /// S6.
    var flowTimeoutMinutes: Int?

    init?(_ element: Element, _ defaults: Settings.Defaults) {
        guard let fields = Fields(element, .virtualNetwork), let id = fields.identity(.virtualNetwork, defaults) else {
            return nil
        }
        self.id = id
        place = element.place
        guid = fields.guid(of: id)
        addressSpace = fields.required("addressSpace").flatMap { Fields($0, .addressSpace) }?.requiredPrefixes() ?? []
        let subnets = fields.elements("subnets")
        self.subnets = subnets.compactMap { SubnetDraft($0, in: id) }
        hasUnreadSubnets = self.subnets.count < subnets.count
        peerings = fields.elements("virtualNetworkPeerings").compactMap { PeeringDraft($0) }
        flowTimeoutMinutes = fields.integer("flowTimeoutInMinutes", in: 4...30)
    }
}

struct SubnetDraft {
    var id: ResourceID
    var place: Place
    /// Empty after a report.
    var prefixes: [IPPrefix]
    /// The subnet owns the association; the group's list of subnets is a back reference.
    var networkSecurityGroup: Reference?
    var routeTable: Reference?
    var filtersPrivateEndpoints: Bool
    /// The services that the subnet is given to, in lower case: `microsoft.sql/managedinstances`.
    var delegations: Set<String>
    private var servesApplicationGateway: Bool

    private enum EndpointPolicies: String, CaseIterable {
        case disabled = "Disabled"
        case enabled = "Enabled"
        case networkSecurityGroup = "NetworkSecurityGroupEnabled"
        case routeTable = "RouteTableEnabled"
    }

    init?(_ element: Element, in network: ResourceID) {
        guard let fields = Fields(element, .subnet), let id = fields.identity(.subnet, in: network) else { return nil }
        self.id = id
        place = element.place
        networkSecurityGroup = fields.reference("networkSecurityGroup")
        routeTable = fields.reference("routeTable")
        let policies = fields["privateEndpointNetworkPolicies"]?.choice(among: EndpointPolicies.allCases)
        filtersPrivateEndpoints = policies == .enabled || policies == .networkSecurityGroup
        delegations = Set(
            fields.elements("delegations").compactMap {
                Fields($0, .delegation)?.remark("serviceName")?.lowercased()
            })
        servesApplicationGateway = fields["applicationGatewayIPConfigurations"] != nil
        // Azure returns one form or the other; where both stand the list says more.
        var prefixes = fields.prefixes("addressPrefixes")
        if prefixes.isEmpty, fields["addressPrefixes"] == nil {
            prefixes = fields.required("addressPrefix")?.prefix().map { [$0] } ?? []
        }
        self.prefixes = prefixes
    }

    /// Whether admin rules hold here: Azure leaves the subnets of its gateways and firewalls alone, which it knows by
    /// their fixed names (FACTS f).
    var takesAdminRules: Bool {
        let reserved = [
            "gatewaysubnet", "azurebastionsubnet", "azurefirewallsubnet", "azurefirewallmanagementsubnet",
            "routeserversubnet",
        ]
        return !reserved.contains(id.name.lowercased()) && !servesApplicationGateway
            && !delegations.contains("microsoft.network/applicationgateways")
    }
}

struct PeeringDraft {
    var name: String
    var place: Place
    var isOpen: Bool
    var remoteNetwork: Reference?
    /// Nil where the document leaves the peer's space to be looked up.
    var remotePrefixes: [IPPrefix]?

    init?(_ element: Element) {
        guard let fields = Fields(element, .peering) else { return nil }
        name = fields.remark("name") ?? ""
        place = element.place
        let state = fields["peeringState"].flatMap { $0.choice(among: PeeringState.allCases) }
        let isConnected = state.map { $0 == .connected } ?? true
        isOpen = isConnected && fields.boolean("allowVirtualNetworkAccess") ?? true
        remoteNetwork = fields.reference("remoteVirtualNetwork")
        remotePrefixes = fields["remoteAddressSpace"].flatMap { Fields($0, .addressSpace) }?.prefixes("addressPrefixes")
        if remoteNetwork == nil, remotePrefixes == nil { fields.reportMissing("remoteVirtualNetwork") }
    }
}

private enum PeeringState: String, CaseIterable {
    case initiated = "Initiated"
    case connected = "Connected"
    case disconnected = "Disconnected"
}

extension Schema {
    fileprivate static let virtualNetwork = Schema(
        "a virtual network",
        reads: ["name", "addressSpace", "subnets", "virtualNetworkPeerings", "flowTimeoutInMinutes", "resourceGuid"],
        passesOver: [
            "dhcpOptions", "enableDdosProtection", "enableVmProtection", "flowLogs", "ipAllocations", "encryption",
        ],
        unknown: .refusedWhenNear, isResource: true)
    fileprivate static let addressSpace = Schema(
        "an address space", reads: ["addressPrefixes"], unknown: .refusedWhenNear, isResource: false)
    fileprivate static let subnet = Schema(
        "a subnet",
        reads: [
            "name", "addressPrefix", "addressPrefixes", "networkSecurityGroup", "routeTable", "delegations",
            "privateEndpointNetworkPolicies", "applicationGatewayIPConfigurations",
        ],
        passesOver: [
            "natGateway", "serviceEndpoints", "ipConfigurations", "ipConfigurationProfiles", "privateEndpoints",
            "privateLinkServiceNetworkPolicies",
        ],
        unknown: .refusedWhenNear, isResource: true)
    fileprivate static let delegation = Schema(
        "a delegation", reads: ["name", "serviceName"], passesOver: ["actions"], unknown: .refusedWhenNear,
        isResource: true)
    fileprivate static let peering = Schema(
        "a peering",
        reads: ["name", "peeringState", "allowVirtualNetworkAccess", "remoteVirtualNetwork", "remoteAddressSpace"],
        passesOver: ["remoteVirtualNetworkAddressSpace", "localVirtualNetworkAddressSpace", "localAddressSpace"],
        unknown: .refusedWhenNear, isResource: true)
}

extension Fields {
    fileprivate func requiredPrefixes() -> [IPPrefix]? {
        required("addressPrefixes")?.elements()?.compactMap { $0.prefix() }
    }
}

// What Azure demands of subnets.
extension VirtualNetworkDraft {
    func check(_ diagnostics: Diagnostics) {
        var ranges: [(prefix: IPPrefix, subnet: SubnetDraft)] = []
        let space = PrefixCover(addressSpace)
        for subnet in subnets {
            for prefix in subnet.prefixes {
                if !space.isEmpty, !space.covers(prefix) {
                    diagnostics.report(
                        .subnetOutsideNetwork, at: subnet.place,
                        "Subnet '\(shown(subnet.id.name))' is not valid in virtual network '\(shown(id.name))'.",
                        remedy:
                            "\(prefix) lies outside the address space \(enumerated(addressSpace.lazy.map(\.description)))"
                    )
                }
                ranges.append((prefix, subnet))
            }
        }
        reportOverlaps(ranges.sorted { $0.prefix < $1.prefix }, diagnostics)
    }

    private func reportOverlaps(_ sorted: [(prefix: IPPrefix, subnet: SubnetDraft)], _ diagnostics: Diagnostics) {
        var widest: (prefix: IPPrefix, subnet: SubnetDraft)?
        for next in sorted {
            guard let cover = widest, cover.prefix.overlaps(next.prefix) else {
                widest = next
                continue
            }
            diagnostics.report(
                .subnetRangesOverlap, at: next.subnet.place,
                """
                Subnet '\(shown(next.subnet.id.name))' is not valid because its IP address range overlaps with that of an \
                existing subnet in virtual network '\(shown(id.name))'.
                """,
                remedy:
                    "\(next.prefix) overlaps \(cover.prefix) of subnet \(shown(cover.subnet.id.name)); choose another range"
            )
        }
    }
}
