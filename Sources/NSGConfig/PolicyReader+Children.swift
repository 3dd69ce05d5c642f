import JSONText
import NSGModel

/// After the last document: children join their parents.
struct ChildrenJoiner {
    private let settings: Settings
    private let diagnostics: Diagnostics
    private var drafts: PolicyDrafts

    init(_ drafts: PolicyDrafts, _ settings: Settings, _ diagnostics: Diagnostics) {
        self.drafts = drafts
        self.settings = settings
        self.diagnostics = diagnostics
    }

    /// What the documents hold, whole.
    consuming func drafts(with children: [PolicyReader.Child]) -> PolicyDrafts {
        let holders = Holders(drafts)
        // Parents first, since a rule's collection may be a child itself.
        for depth in 1...3 {
            for child in children where child.kind.depth == depth { join(child, holders) }
        }
        indexSubnets()
        return drafts
    }

    /// Where in their lists those stand that take children in.
    private struct Holders {
        var groups: [ResourceID: Int] = [:]
        var networks: [ResourceID: Int] = [:]
        var tables: [ResourceID: Int] = [:]

        init(_ drafts: PolicyDrafts) {
            for (index, draft) in drafts.networkSecurityGroups.enumerated() { groups[draft.id] = index }
            for (index, draft) in drafts.virtualNetworks.enumerated() { networks[draft.id] = index }
            for (index, draft) in drafts.routeTables.enumerated() { tables[draft.id] = index }
        }
    }

    private mutating func join(_ child: PolicyReader.Child, _ holders: Holders) {
        let index = drafts.index(ofParentsOf: child.kind)
        guard let parent = child.parent else {
            child.element.report(
                .missingProperty, "nothing tells the \(index.noun) that this belongs to",
                remedy: "add its id, or write the name as PARENT/NAME")
            return
        }
        guard let id = index.resolve(parent, isPartial: drafts.isPartial, diagnostics) else { return }
        switch child.kind {
        case .securityRule:
            if let at = holders.groups[id], let rule = SecurityRuleDraft(child.element, of: id, limits: settings.limits)
            {
                drafts.networkSecurityGroups[at].rules.append(rule)
            }
        case .subnet:
            if let at = holders.networks[id], let subnet = complete(SubnetDraft(child.element, in: id)) {
                drafts.virtualNetworks[at].subnets.append(subnet)
            }
        case .peering:
            if let at = holders.networks[id], let peering = PeeringDraft(child.element) {
                drafts.virtualNetworks[at].peerings.append(peering)
            }
        case .route:
            if let at = holders.tables[id], let route = RouteDraft(child.element) {
                drafts.routeTables[at].routes.append(route)
            }
        default: joinManager(child, id)
        }
    }

    /// What a network manager holds.
    private mutating func joinManager(_ child: PolicyReader.Child, _ parent: ResourceID) {
        switch child.kind {
        case .networkGroup:
            if let group = complete(NetworkGroupDraft(child.element, in: parent)) {
                drafts.managers.add(group, to: parent, diagnostics)
            }
        case .staticMember:
            if let member = StaticMemberDraft(child.element) { drafts.managers.add(member, to: parent) }
        case .securityAdminConfiguration:
            if let configuration = complete(SecurityAdminConfigurationDraft(child.element, in: parent)) {
                if configuration.isPartial { drafts.isPartial = true }
                drafts.managers.add(configuration, to: parent, diagnostics)
            }
        case .ruleCollection:
            if let collection = complete(AdminRuleCollectionDraft(child.element, in: parent)) {
                drafts.managers.add(collection, to: parent, diagnostics)
            }
        case .adminRule:
            if let rule = AdminRuleDraft(child.element, in: parent) { drafts.managers.add(rule, to: parent) }
        default: preconditionFailure("\(child.kind) is nobody's child")
        }
    }

    /// Marks what could not be read so far that others can find it.
    private mutating func complete<Draft>(_ draft: Draft?) -> Draft? {
        if draft == nil { drafts.isPartial = true }
        return draft
    }

    private mutating func indexSubnets() {
        for network in drafts.virtualNetworks {
            for subnet in network.subnets {
                let names = ["\(network.id.name)/\(subnet.id.name)", subnet.id.name]
                _ = drafts.subnets.insert(subnet.id, at: subnet.place, names: names, diagnostics)
            }
        }
    }
}

extension PolicyDrafts {
    fileprivate func index(ofParentsOf kind: ResourceKind) -> ResourceIndex {
        switch kind.parent {
        case .networkSecurityGroup: groups
        case .virtualNetwork: networks
        case .routeTable: tables
        case .networkManager: managers.index
        case .networkGroup: managers.groupIndex
        case .securityAdminConfiguration: managers.configurationIndex
        case .ruleCollection: managers.collectionIndex
        default: preconditionFailure("\(kind) is nobody's child")
        }
    }
}

extension ResourceKind {
    /// How many parents a kind has.
    fileprivate var depth: Int { parent.map { $0.depth + 1 } ?? 0 }
}

extension Element {
    /// In templates a child's name is `parent/child`.
    func renamedToLastSegment() -> Element {
        guard let members = value.object, let at = members.firstIndex(where: { $0.key == "name" }),
            let name = members[at].value.string, name.contains("/"), !name.hasPrefix("["),
            let kind = value["type"]?.string, kind.split(separator: "/").count != 2,
            let last = name.split(separator: "/").last
        else { return self }
        var renamed = members
        renamed[at].value.kind = .string(String(last))
        return Element(
            value: JSONValue(.object(renamed), position: value.position), trail: trail, file: file,
            diagnostics: diagnostics)
    }

    /// The parent of a child that stands alone: by its id, else by its name.
    func parentReference() -> Reference? {
        if let id = value["id"]?.string, let parent = ResourceID(id).parent {
            return Reference(text: parent.description, place: place)
        }
        guard let name = value["name"]?.string, let slash = name.lastIndex(of: "/") else { return nil }
        return Reference(text: String(name[..<slash]), place: place)
    }
}
