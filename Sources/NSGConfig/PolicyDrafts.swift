import JSONText
import NSGModel

/// A resource as its document states it, with references that have not been followed.
protocol ResourceDraft: Sendable {
    var id: ResourceID { get }
    var place: Place { get }
}

/// What one policy file holds, by itself.
struct DocumentDrafts {
    var networkSecurityGroups: [NetworkSecurityGroupDraft] = []
    var virtualNetworks: [VirtualNetworkDraft] = []
    var networkInterfaces: [NetworkInterfaceDraft] = []
    var applicationSecurityGroups: [ApplicationSecurityGroupDraft] = []
    var routeTables: [RouteTableDraft] = []
    var virtualMachines: [VirtualMachineDraft] = []
    var loadBalancers: [LoadBalancerDraft] = []
    var flowLogs: [FlowLogDraft] = []
    var managers: [NetworkManagerDraft] = []

    /// Some resource could not be read so far that others can find it.
    var isPartial = false
}

/// What the policy files hold, read and not yet connected.
struct PolicyDrafts {
    var networkSecurityGroups: [NetworkSecurityGroupDraft] = []
    var virtualNetworks: [VirtualNetworkDraft] = []
    var networkInterfaces: [NetworkInterfaceDraft] = []
    var applicationSecurityGroups: [ApplicationSecurityGroupDraft] = []
    var routeTables: [RouteTableDraft] = []
    var virtualMachines: [VirtualMachineDraft] = []
    var loadBalancers: [LoadBalancerDraft] = []
    var flowLogs: [FlowLogDraft] = []
    var managers = NetworkManagerDrafts()

    var groups = ResourceIndex("network security group")
    var networks = ResourceIndex("virtual network")
    var subnets = ResourceIndex("subnet")
    var interfaces = ResourceIndex("network interface")
    var applicationGroups = ResourceIndex("application security group")
    var tables = ResourceIndex("route table")
    var machines = ResourceIndex("virtual machine")
    var balancers = ResourceIndex("load balancer")
    var logs = ResourceIndex("flow log")

    /// See `DocumentDrafts`.
    var isPartial = false

    /// Adds what a document holds, but for what is defined already, which is reported.
    mutating func add(_ document: DocumentDrafts, _ diagnostics: Diagnostics) {
        add(document.networkSecurityGroups, to: \.networkSecurityGroups, \.groups, diagnostics)
        add(document.virtualNetworks, to: \.virtualNetworks, \.networks, diagnostics)
        add(document.networkInterfaces, to: \.networkInterfaces, \.interfaces, diagnostics)
        add(document.applicationSecurityGroups, to: \.applicationSecurityGroups, \.applicationGroups, diagnostics)
        add(document.routeTables, to: \.routeTables, \.tables, diagnostics)
        add(document.virtualMachines, to: \.virtualMachines, \.machines, diagnostics)
        add(document.loadBalancers, to: \.loadBalancers, \.balancers, diagnostics)
        add(document.flowLogs, to: \.flowLogs, \.logs, diagnostics)
        for manager in document.managers { managers.add(manager, diagnostics) }
        if document.isPartial { isPartial = true }
    }

    private mutating func add<Draft: ResourceDraft>(
        _ drafts: [Draft], to list: WritableKeyPath<PolicyDrafts, [Draft]>,
        _ index: WritableKeyPath<PolicyDrafts, ResourceIndex>, _ diagnostics: Diagnostics
    ) {
        for draft in drafts
        where self[keyPath: index].insert(draft.id, at: draft.place, names: [draft.id.name], diagnostics) {
            self[keyPath: list].append(draft)
        }
    }
}

/// Network managers and what they hold, each list by the id of its holder, since what is inside in one document stands
/// beside it in another.
struct NetworkManagerDrafts {
    private(set) var managers: [NetworkManagerDraft] = []
    private(set) var networkGroups: [ResourceID: [NetworkGroupDraft]] = [:]
    private(set) var groupsOfSubnets: Set<ResourceID> = []
    private(set) var members: [ResourceID: [StaticMemberDraft]] = [:]
    private(set) var configurations: [ResourceID: [SecurityAdminConfigurationDraft]] = [:]
    private(set) var collections: [ResourceID: [AdminRuleCollectionDraft]] = [:]
    private(set) var rules: [ResourceID: [AdminRuleDraft]] = [:]

    private(set) var index = ResourceIndex("network manager")
    private(set) var groupIndex = ResourceIndex("network group")
    private(set) var configurationIndex = ResourceIndex("security admin configuration")
    private(set) var collectionIndex = ResourceIndex("rule collection")

    mutating func add(_ manager: NetworkManagerDraft, _ diagnostics: Diagnostics) {
        guard index.insert(manager.id, at: manager.place, names: [manager.id.name], diagnostics) else { return }
        managers.append(manager)
        for group in manager.networkGroups { add(group, to: manager.id, diagnostics) }
        for configuration in manager.configurations { add(configuration, to: manager.id, diagnostics) }
    }

    mutating func add(_ group: NetworkGroupDraft, to manager: ResourceID, _ diagnostics: Diagnostics) {
        guard groupIndex.insert(group.id, at: group.place, names: group.id.names(below: manager), diagnostics) else {
            return
        }
        networkGroups[manager, default: []].append(group)
        if group.holdsSubnets { groupsOfSubnets.insert(group.id) }
        members[group.id, default: []] += group.members
    }

    mutating func add(_ member: StaticMemberDraft, to group: ResourceID) { members[group, default: []].append(member) }

    mutating func add(
        _ configuration: SecurityAdminConfigurationDraft, to manager: ResourceID, _ diagnostics: Diagnostics
    ) {
        let (id, place) = (configuration.id, configuration.place)
        guard configurationIndex.insert(id, at: place, names: id.names(below: manager), diagnostics) else { return }
        configurations[manager, default: []].append(configuration)
        for collection in configuration.collections { add(collection, to: id, diagnostics) }
    }

    mutating func add(_ collection: AdminRuleCollectionDraft, to configuration: ResourceID, _ diagnostics: Diagnostics)
    {
        let names = collection.id.names(below: configuration, configuration.parent)
        guard collectionIndex.insert(collection.id, at: collection.place, names: names, diagnostics) else { return }
        collections[configuration, default: []].append(collection)
        rules[collection.id, default: []] += collection.rules
    }

    mutating func add(_ rule: AdminRuleDraft, to collection: ResourceID) { rules[collection, default: []].append(rule) }
}

extension ResourceID {
    /// How a resource inside others may be called: `group`, `manager/group`.
    fileprivate func names(below parents: ResourceID?...) -> [String] {
        var names = [name]
        for parent in parents { if let parent, let last = names.last { names.append("\(parent.name)/\(last)") } }
        return names
    }
}
