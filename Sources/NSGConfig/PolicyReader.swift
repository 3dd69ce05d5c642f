import JSONText
import NSGModel

/// Reads a policy file in all its shapes (C1).
struct PolicyReader {
    let settings: Settings
    let diagnostics: Diagnostics
    let texts: RuleTexts
    private(set) var drafts = DocumentDrafts()
    private(set) var children: [Child] = []

    /// A rule, subnet or other part that stands beside its parent, as templates and some lists of `az` have it.
    struct Child {
        var kind: ResourceKind
        var element: Element
        /// Nil where neither id nor name tells.
        var parent: Reference?
    }

    init(_ settings: Settings, _ diagnostics: Diagnostics, _ texts: RuleTexts) {
        self.settings = settings
        self.texts = texts
        self.diagnostics = diagnostics
    }

    /// A resource, a list of them, or an object keyed by kind. `kind` is what the key said.
    mutating func read(_ element: Element, kind: ResourceKind? = nil) {
        switch element.value.kind {
        case .array: for element in element.elements() ?? [] { read(element, kind: kind) }
        case .object(let members): read(element, members, kind: kind)
        case .null: break
        default: let _: Void? = element.wrongType("a resource or a list of resources")
        }
    }

    private mutating func read(_ element: Element, _ members: [JSONValue.Member], kind: ResourceKind?) {
        let type = element.value["type"]
        let id = element.value["id"]
        if type == nil, id == nil {
            if let list = element.value["value"], list.array != nil { return readPage(element, list, kind: kind) }
            if kind == nil, let resources = element.value["resources"] {
                return readTemplate(element.child("resources", resources))
            }
            if kind == nil { return readByKind(element, members) }
        }
        guard let told = self.kind(of: element, type: type, id: id, key: kind) else { return }
        readResource(element, told)
    }

    /// `{"value": […]}`, a page of a REST list.
    private mutating func readPage(_ element: Element, _ list: JSONValue, kind: ResourceKind?) {
        if let next = element.value["nextLink"]?.string, !next.isEmpty {
            element.note("the list goes on at its nextLink, and this file holds its first page alone")
        }
        read(element.child("value", list), kind: kind)
    }

    /// The resources of an ARM template: an array, or an object keyed by symbolic name.
    private mutating func readTemplate(_ resources: Element) {
        guard resources.value.object != nil else { return read(resources) }
        for (_, element) in resources.members() ?? [] { read(element) }
    }

    private mutating func readByKind(_ element: Element, _ members: [JSONValue.Member]) {
        let marks = ["properties", "name", "securityrules", "ipconfigurations", "addressspace"]
        if members.contains(where: { marks.contains($0.key.lowercased()) }) {
            drafts.isPartial = true
            return element.report(
                .unknownResourceKind, "this is a resource, and nothing tells its kind",
                remedy: "add \"type\", such as \"Microsoft.Network/networkSecurityGroups\"")
        }
        let known = ResourceKind.allCases.filter { $0.parent == nil }.map(\.collection)
        for member in members {
            let child = element.child(member.key, member.value)
            if let kind = ResourceKind(key: member.key) {
                read(child, kind: kind)
            } else if ResourceKind.partsOfManagers.contains(member.key.lowercased()) {
                // Passed over they would be rules that silently do not hold: each has to tell where it belongs.
                read(child)
            } else if !member.key.hasPrefix("_"), !ResourceKind.passedOver.contains(member.key),
                let meant = nearest(to: member.key, among: known)
            {
                drafts.isPartial = true
                child.report(
                    .unknownProperty, "there is no kind \(shown(member.key))", remedy: "did you mean \(meant)?")
            } else {
                child.note("passed over: this kind is not read")
            }
        }
    }

    /// What `type`, the id or the key says, in this order; nil after a note or a report.
    private mutating func kind(
        of element: Element, type: JSONValue?, id: JSONValue?, key: ResourceKind?
    ) -> ResourceKind? {
        if let type, let text = type.string {
            guard let told = ResourceKind(type: text) else {
                element.note("passed over: \(shown(text)) is not read")
                return nil
            }
            guard let key, key != told else { return told }
            drafts.isPartial = true
            element.child("type", type).report(
                .conflictingProperties, "\(shown(text)) stands under the key \(key.collection)",
                remedy: "correct the type, or move the resource")
            return nil
        }
        if let key { return key }
        if let text = id?.string, let told = ResourceKind(id: text) { return told }
        if let text = id?.string, text.lowercased().contains("/providers/") {
            element.note("passed over: \(shown(text)) is of a kind that is not read")
            return nil
        }
        drafts.isPartial = true
        element.report(
            .unknownResourceKind, "this is a resource, and nothing tells its kind",
            remedy: "add \"type\", such as \"Microsoft.Network/networkSecurityGroups\"")
        return nil
    }

    private mutating func readResource(_ element: Element, _ kind: ResourceKind) {
        if element.value["condition"]?.bool == false { return element.note("passed over: its condition is false") }
        if let copy = element.value["copy"] {
            drafts.isPartial = true
            return element.child("copy", copy).report(
                .templateExpression, "copy loops are not run: only literal values are read",
                remedy: "write each resource out")
        }
        readDraft(element, kind)
        let name = element.value["id"]?.string ?? element.value["name"]?.string
        readNested(in: element, kind, called: name)
    }

    /// Children of a template's resource, and theirs: types and names are often relative.
    private mutating func readNested(in parent: Element, _ kind: ResourceKind, called parentName: String?) {
        guard let resources = parent.value["resources"], !resources.isNull else { return }
        for element in parent.child("resources", resources).elements() ?? [] {
            let type = element.value["type"]?.string ?? ""
            let full = type.contains("/") ? type : "\(kind.type)/\(type)"
            guard let own = ResourceKind(type: full), own.parent == kind else {
                element.note("passed over: \(shown(full)) is not read")
                continue
            }
            let child = element.renamedToLastSegment()
            let reference = parentName.map { Reference(text: $0, place: parent.place) }
            children.append(Child(kind: own, element: child, parent: reference))
            let name = parentName.flatMap { parentName in
                child.value["name"]?.string.map { name in
                    parentName.hasPrefix("/") ? "\(parentName)/\(own.collection)/\(name)" : "\(parentName)/\(name)"
                }
            }
            readNested(in: child, own, called: name)
        }
    }

    private mutating func readDraft(_ written: Element, _ kind: ResourceKind) {
        let element = written.renamedToLastSegment()
        switch kind {
        case .networkSecurityGroup:
            keep(NetworkSecurityGroupDraft(element, settings, texts), in: \.networkSecurityGroups)
        case .virtualNetwork:
            let draft = VirtualNetworkDraft(element, settings.defaults)
            if draft?.hasUnreadSubnets == true { drafts.isPartial = true }
            keep(draft, in: \.virtualNetworks)
        case .networkInterface:
            keep(NetworkInterfaceDraft(element, settings.defaults, settings.limits), in: \.networkInterfaces)
        case .applicationSecurityGroup:
            keep(ApplicationSecurityGroupDraft(element, settings.defaults), in: \.applicationSecurityGroups)
        case .routeTable:
            keep(RouteTableDraft(element, settings.defaults), in: \.routeTables)
        case .virtualMachine:
            keep(VirtualMachineDraft(element, settings.defaults), in: \.virtualMachines)
        case .loadBalancer:
            keep(LoadBalancerDraft(element, settings.defaults), in: \.loadBalancers)
        case .flowLog:
            keep(FlowLogDraft(element, settings.defaults), in: \.flowLogs)
        case .networkManager: keepManager(NetworkManagerDraft(element, settings.defaults))
        case .securityRule, .subnet, .peering, .route, .networkGroup, .staticMember, .securityAdminConfiguration,
            .ruleCollection, .adminRule:
            children.append(Child(kind: kind, element: element, parent: written.parentReference()))
        }
    }

    private mutating func keep<Draft>(_ draft: Draft?, in list: WritableKeyPath<DocumentDrafts, [Draft]>) {
        if let draft { drafts[keyPath: list].append(draft) } else { drafts.isPartial = true }
    }

    private mutating func keepManager(_ manager: NetworkManagerDraft?) {
        if manager?.isPartial ?? true { drafts.isPartial = true }
        keep(manager, in: \.managers)
    }
}
