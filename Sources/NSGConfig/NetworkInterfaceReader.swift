import JSONText
import NSGModel
import NetworkTypes

struct NetworkInterfaceDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    /// The interface owns the association; the group's list of interfaces is a back reference.
    var networkSecurityGroup: Reference?
    /// The primary one first.
    var ipConfigurations: [IPConfigurationDraft]
    var macAddress: MACAddress?
    var enableIPForwarding: Bool
    /// A back reference: what virtual machines say goes before it.
    var virtualMachine: Reference?
    var isPrivateEndpoint: Bool

    init?(_ element: Element, _ defaults: Settings.Defaults, _ limits: Limits) {
        guard let fields = Fields(element, .networkInterface), let id = fields.identity(.networkInterface, defaults)
        else {
            return nil
        }
        self.id = id
        place = element.place
        networkSecurityGroup = fields.reference("networkSecurityGroup")
        let configurations = fields.required("ipConfigurations")?.elements() ?? []
        let drafts = configurations.compactMap { IPConfigurationDraft($0, limits) }
        ipConfigurations = drafts.filter(\.isPrimary) + drafts.filter { !$0.isPrimary }
        macAddress = fields.macAddress()
        enableIPForwarding = fields.boolean("enableIPForwarding") ?? false
        virtualMachine = fields.reference("virtualMachine")
        isPrivateEndpoint = fields["privateEndpoint"] != nil
    }
}

struct IPConfigurationDraft {
    var name: String
    var place: Place
    var isPrimary: Bool
    var address: Located<IPAddress>?
    /// Nil after a report.
    var subnet: Reference?
    var applicationSecurityGroups: [Reference]

    init?(_ element: Element, _ limits: Limits) {
        guard let fields = Fields(element, .ipConfiguration) else { return nil }
        name = fields.remark("name") ?? ""
        place = element.place
        isPrimary = fields.boolean("primary") ?? false
        subnet = fields.required("subnet")?.reference()
        address = fields["privateIPAddress"].flatMap { element in
            element.address().map { Located(value: $0, place: element.place) }
        }
        applicationSecurityGroups = fields.references("applicationSecurityGroups")
        checkVersion(fields)
        checkMemberships(fields, limits)
    }

    private func checkVersion(_ fields: Fields) {
        enum Version: String, CaseIterable {
            case ipv4 = "IPv4"
            case ipv6 = "IPv6"
        }
        guard let element = fields["privateIPAddressVersion"], let version = element.choice(among: Version.allCases),
            let family = address?.value.family, (family == .ipv4) != (version == .ipv4)
        else { return }
        element.report(
            .conflictingProperties, "privateIPAddressVersion is \(version.rawValue), and privateIPAddress is not",
            remedy: "correct one of them")
    }

    private func checkMemberships(_ fields: Fields, _ limits: Limits) {
        let limit = limits.applicationSecurityGroupsPerIPConfiguration
        guard applicationSecurityGroups.count > limit else { return }
        fields["applicationSecurityGroups"]?.report(
            .limitReached,
            "an IP configuration is in \(applicationSecurityGroups.count) application security groups, of at most \(limit)",
            remedy: "remove some, or raise limits.applicationSecurityGroupsPerIPConfiguration in nsgd.json")
    }
}

extension Schema {
    fileprivate static let networkInterface = Schema(
        "a network interface",
        reads: [
            "name", "ipConfigurations", "networkSecurityGroup", "macAddress", "enableIPForwarding", "virtualMachine",
            "privateEndpoint",
        ],
        passesOver: ["primary", "nicType", "dnsSettings", "tapConfigurations", "hostedWorkloads"],
        unknown: .refusedWhenNear, isResource: true)
    fileprivate static let ipConfiguration = Schema(
        "an IP configuration",
        reads: [
            "name", "primary", "subnet", "privateIPAddress", "privateIPAddressVersion", "applicationSecurityGroups",
        ],
        passesOver: [
            "privateIPAllocationMethod", "privateIPAddressPrefixLength", "publicIPAddress",
            "loadBalancerBackendAddressPools", "loadBalancerInboundNatRules",
        ],
        unknown: .refusedWhenNear, isResource: true)
}

extension Fields {
    /// A machine that is not running, and a private endpoint, have none.
    fileprivate func macAddress() -> MACAddress? {
        guard let element = self["macAddress"], let text = element.text() else { return nil }
        guard let address = MACAddress(text) else {
            element.report(
                .unknownValue, "\(shown(text)) is not a MAC address",
                remedy: "write an address such as 00-0D-3A-00-00-01")
            return nil
        }
        return address
    }
}
