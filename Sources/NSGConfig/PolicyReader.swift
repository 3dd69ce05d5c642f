import JSONText
import NSGModel

/// A resource as its document states it, with references that have not been followed.
protocol ResourceDraft {
    var id: ResourceID { get }
    var place: Place { get }
}

/// What the policy files hold, read and not yet connected.
struct PolicyDrafts {
    var networkSecurityGroups: [NetworkSecurityGroupDraft] = []
    var virtualNetworks: [VirtualNetworkDraft] = []
    var networkInterfaces: [NetworkInterfaceDraft] = []
    var applicationSecurityGroups: [ApplicationSecurityGroupDraft] = []
    var flowLogs: [FlowLogDraft] = []

    var groups = ResourceIndex("network security group")
    var networks = ResourceIndex("virtual network")
    var subnets = ResourceIndex("subnet")
    var interfaces = ResourceIndex("network interface")
    var applicationGroups = ResourceIndex("application security group")
    var logs = ResourceIndex("flow log")

    /// Some resource could not be read so far that others can find it.
    var isPartial = false
}

/// Reads policy files in all their shapes (C1), one after the other.
struct PolicyReader {
    private let settings: Settings
    private let diagnostics: Diagnostics
    private var drafts = PolicyDrafts()
    private var children: [Child] = []

    /// A rule, subnet or peering that stands beside its parent, as templates and some lists of `az` have it.
    private struct Child {
        var kind: ResourceKind
        var element: Element
        /// Nil where neither id nor name tells.
        var parent: Reference?
    }

    init(_ settings: Settings, _ diagnostics: Diagnostics) {
        self.settings = settings
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
        readNested(in: element, kind)
    }

    /// Children of a template's resource: their types and names are often relative.
    private mutating func readNested(in parent: Element, _ kind: ResourceKind) {
        guard let resources = parent.value["resources"] else { return }
        for element in parent.child("resources", resources).elements() ?? [] {
            let type = element.value["type"]?.string ?? ""
            let full = type.contains("/") ? type : "Microsoft.Network/\(kind.rawValue)/\(type)"
            guard let own = ResourceKind(type: full), own.parent == kind else {
                element.note("passed over: \(shown(full)) is not read")
                continue
            }
            let name = parent.value["id"]?.string ?? parent.value["name"]?.string
            let reference = name.map { Reference(text: $0, place: parent.place) }
            children.append(Child(kind: own, element: element.renamedToLastSegment(), parent: reference))
        }
    }

    private mutating func readDraft(_ written: Element, _ kind: ResourceKind) {
        let element = written.renamedToLastSegment()
        switch kind {
        case .networkSecurityGroup:
            keep(NetworkSecurityGroupDraft(element, settings), in: \.networkSecurityGroups, \.groups)
        case .virtualNetwork:
            let draft = VirtualNetworkDraft(element, settings.defaults)
            if draft?.hasUnreadSubnets == true { drafts.isPartial = true }
            keep(draft, in: \.virtualNetworks, \.networks)
        case .networkInterface:
            keep(
                NetworkInterfaceDraft(element, settings.defaults, settings.limits), in: \.networkInterfaces,
                \.interfaces)
        case .applicationSecurityGroup:
            keep(
                ApplicationSecurityGroupDraft(element, settings.defaults), in: \.applicationSecurityGroups,
                \.applicationGroups)
        case .flowLog:
            keep(FlowLogDraft(element, settings.defaults), in: \.flowLogs, \.logs)
        case .securityRule, .subnet, .peering:
            children.append(Child(kind: kind, element: element, parent: written.parentReference()))
        }
    }

    private mutating func keep<Draft: ResourceDraft>(
        _ draft: Draft?, in list: WritableKeyPath<PolicyDrafts, [Draft]>,
        _ index: WritableKeyPath<PolicyDrafts, ResourceIndex>
    ) {
        guard let draft else {
            drafts.isPartial = true
            return
        }
        if drafts[keyPath: index].insert(draft.id, at: draft.place, names: [draft.id.name], diagnostics) {
            drafts[keyPath: list].append(draft)
        }
    }
}

// After the last document: children join their parents.
extension PolicyReader {
    /// Consumes the reader. `isPartial`: some document was no JSON.
    consuming func finish(isPartial: Bool) -> PolicyDrafts {
        if isPartial { drafts.isPartial = true }
        var groups: [ResourceID: Int] = [:]
        for (index, draft) in drafts.networkSecurityGroups.enumerated() { groups[draft.id] = index }
        var networks: [ResourceID: Int] = [:]
        for (index, draft) in drafts.virtualNetworks.enumerated() { networks[draft.id] = index }
        for child in children {
            let index = child.kind == .securityRule ? drafts.groups : drafts.networks
            guard let parent = child.parent else {
                child.element.report(
                    .missingProperty, "nothing tells the \(index.noun) that this belongs to",
                    remedy: "add its id, or write the name as PARENT/NAME")
                continue
            }
            guard let id = index.resolve(parent, isPartial: drafts.isPartial, diagnostics) else { continue }
            if child.kind == .securityRule {
                if let at = groups[id], let draft = SecurityRuleDraft(child.element, of: id, limits: settings.limits) {
                    drafts.networkSecurityGroups[at].rules.append(draft)
                }
            } else if let at = networks[id] {
                attach(child, to: at, id)
            }
        }
        indexSubnets()
        return drafts
    }

    private mutating func attach(_ child: Child, to index: Int, _ network: ResourceID) {
        if child.kind == .subnet {
            if let draft = SubnetDraft(child.element, in: network) {
                drafts.virtualNetworks[index].subnets.append(draft)
            } else {
                drafts.isPartial = true
            }
        } else if let draft = PeeringDraft(child.element) {
            drafts.virtualNetworks[index].peerings.append(draft)
        }
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

extension Element {
    /// In templates a child's name is `parent/child`.
    fileprivate func renamedToLastSegment() -> Element {
        guard let members = value.object, let at = members.firstIndex(where: { $0.key == "name" }),
            let name = members[at].value.string, name.contains("/"), !name.hasPrefix("["),
            let kind = value["type"]?.string, kind.split(separator: "/").count != 2,
            let last = name.split(separator: "/").last
        else { return self }
        var renamed = members
        renamed[at].value.kind = .string(String(last))
        return Element(
            value: JSONValue(.object(renamed), position: value.position), path: path, file: file,
            diagnostics: diagnostics)
    }

    /// The parent of a child that stands alone: by its id, else by its name.
    fileprivate func parentReference() -> Reference? {
        if let id = value["id"]?.string, let parent = ResourceID(id).parent {
            return Reference(text: parent.description, place: place)
        }
        let segments = value["name"]?.string?.split(separator: "/") ?? []
        guard segments.count == 2, let parent = segments.first else { return nil }
        return Reference(text: String(parent), place: place)
    }
}
