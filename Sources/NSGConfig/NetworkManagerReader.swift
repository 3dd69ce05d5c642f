import JSONText
import NSGModel
import NetworkTypes

/// A network manager. Azure's API lists what it holds apart from it; here it may stand inside too (C1).
struct NetworkManagerDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    var guid: UUID
    var scope: NetworkManager.Scope
    var networkGroups: [NetworkGroupDraft]
    var configurations: [SecurityAdminConfigurationDraft]
    /// Something inside could not be read so far that others can find it.
    var isPartial: Bool

    init?(_ element: Element, _ defaults: Settings.Defaults) {
        guard let fields = Fields(element, .networkManager), let id = fields.identity(.networkManager, defaults) else {
            return nil
        }
        self.id = id
        place = element.place
        guid = fields.guid(of: id)
        // Where both kinds are named, the higher one tells how far the manager reaches.
        let scopes = fields["networkManagerScopes"].flatMap { Fields($0, .networkManagerScopes) }
        scope = scopes?["managementGroups"] == nil ? .subscription : .managementGroup
        let groups = fields.elements("networkGroups")
        networkGroups = groups.compactMap { NetworkGroupDraft($0, in: id) }
        let configurations = fields.elements("securityAdminConfigurations")
        self.configurations = configurations.compactMap { SecurityAdminConfigurationDraft($0, in: id) }
        isPartial =
            networkGroups.count < groups.count || self.configurations.count < configurations.count
            || self.configurations.contains(where: \.isPartial)
    }
}

struct NetworkGroupDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    /// Groups of subnets serve routing configurations; admin rules reach whole networks.
    var holdsSubnets: Bool
    var members: [StaticMemberDraft]

    private enum MemberType: String, CaseIterable {
        case virtualNetwork = "VirtualNetwork"
        case subnet = "Subnet"
    }

    init?(_ element: Element, in manager: ResourceID) {
        guard let fields = Fields(element, .networkGroup), let id = fields.identity(.networkGroup, in: manager) else {
            return nil
        }
        self.id = id
        place = element.place
        holdsSubnets = fields["memberType"]?.choice(among: MemberType.allCases) == .subnet
        members = fields.elements("staticMembers").compactMap { StaticMemberDraft($0) }
        fields["conditionalMembership"]?.note(
            "membership by policy is not evaluated: the members are those that are listed")
    }
}

/// A member of a network group; its own name and id say nothing.
struct StaticMemberDraft {
    var resource: Reference

    /// An object as Azure has it, or the virtual network's bare name. Nil after a report.
    init?(_ element: Element) {
        var named: Element? = element
        if element.value.object != nil {
            named = Fields(element, .staticMember).flatMap { $0.required("resourceId") }
        }
        guard let reference = named?.reference() else { return nil }
        resource = reference
    }
}

struct SecurityAdminConfigurationDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    var intentPolicyServices: SecurityAdminConfiguration.IntentPolicyServices
    var collections: [AdminRuleCollectionDraft]
    var isPartial: Bool

    /// Whether the members' address spaces are taken over by themselves or by hand; ours are those of the documents.
    private enum AggregationOption: String, CaseIterable {
        case none = "None"
        case manual = "Manual"
    }

    init?(_ element: Element, in manager: ResourceID) {
        guard let fields = Fields(element, .securityAdminConfiguration),
            let id = fields.identity(.securityAdminConfiguration, in: manager)
        else { return nil }
        self.id = id
        place = element.place
        intentPolicyServices = fields.intentPolicyServices() ?? .none
        _ = fields["networkGroupAddressSpaceAggregationOption"]?.choice(among: AggregationOption.allCases)
        let collections = fields.elements("ruleCollections")
        self.collections = collections.compactMap { AdminRuleCollectionDraft($0, in: id) }
        isPartial = self.collections.count < collections.count
    }
}

struct AdminRuleCollectionDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    /// Network groups.
    var appliesTo: [Reference]
    var rules: [AdminRuleDraft]

    init?(_ element: Element, in configuration: ResourceID) {
        guard let fields = Fields(element, .ruleCollection),
            let id = fields.identity(.ruleCollection, in: configuration)
        else { return nil }
        self.id = id
        place = element.place
        if fields.present("appliesToGroups") == nil { fields.reportMissing("appliesToGroups") }
        appliesTo = fields.elements("appliesToGroups").compactMap { $0.networkGroup() }
        rules = fields.elements("rules").compactMap { AdminRuleDraft($0, in: id) }
    }
}

extension Schema {
    fileprivate static let networkManager = Schema(
        "a network manager",
        reads: ["name", "networkManagerScopes", "networkGroups", "securityAdminConfigurations", "resourceGuid"],
        passesOver: [
            "description", "displayName", "networkManagerScopeAccesses", "connectivityConfigurations",
            "routingConfigurations", "securityUserConfigurations", "scopeConnections",
        ], unknown: .refusedWhenNear, isResource: true)
    fileprivate static let networkManagerScopes = Schema(
        "the scope of a network manager", reads: ["managementGroups", "subscriptions"],
        passesOver: ["crossTenantScopes"], unknown: .refusedWhenNear, isResource: false)
    fileprivate static let networkGroup = Schema(
        "a network group", reads: ["name", "memberType", "staticMembers", "conditionalMembership"],
        passesOver: ["description", "displayName", "groupMembers"], unknown: .refusedWhenNear, isResource: true)
    fileprivate static let staticMember = Schema(
        "a static member", reads: ["name", "resourceId"], passesOver: ["region"], unknown: .refusedWhenNear,
        isResource: true)
    fileprivate static let securityAdminConfiguration = Schema(
        "a security admin configuration",
        reads: [
            "name", "applyOnNetworkIntentPolicyBasedServices", "networkGroupAddressSpaceAggregationOption",
            "ruleCollections",
        ], passesOver: ["description", "displayName", "securityType", "deleteExistingNSGs"], unknown: .refusedWhenNear,
        isResource: true)
    fileprivate static let ruleCollection = Schema(
        "a rule collection", reads: ["name", "appliesToGroups", "rules"], passesOver: ["description", "displayName"],
        unknown: .refusedWhenNear, isResource: true)
    fileprivate static let groupItem = Schema(
        "a group that rules apply to", reads: ["networkGroupId"], unknown: .refused, isResource: false)
}

extension Element {
    /// `{"networkGroupId": …}`, or the group's name.
    fileprivate func networkGroup() -> Reference? {
        guard value.object != nil else { return reference() }
        return Fields(self, .groupItem).flatMap { $0.required("networkGroupId") }?.reference()
    }
}

extension Fields {
    /// Azure's API has an array of words; one alone is taken as well.
    fileprivate func intentPolicyServices() -> SecurityAdminConfiguration.IntentPolicyServices? {
        guard let element = self["applyOnNetworkIntentPolicyBasedServices"] else { return nil }
        let elements = element.value.array == nil ? [element] : element.elements() ?? []
        let all = SecurityAdminConfiguration.IntentPolicyServices.allCases
        let words = Set(elements.compactMap { $0.choice(among: all) })
        if words.count > 1 {
            element.report(
                .conflictingProperties, "the words exclude each other", remedy: "keep None, All or AllowRulesOnly")
        }
        return words.first
    }
}
