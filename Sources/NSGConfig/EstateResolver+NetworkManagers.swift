import JSONText
import NSGModel
import NetworkTypes

extension EstateResolver {
    func networkManagers() -> [ResourceID: NetworkManager] {
        let drafts = policy.managers
        var managers: [ResourceID: NetworkManager] = [:]
        var prefixes = AdminPrefixCount(limit: limits.adminRulePrefixes)
        for draft in drafts.managers {
            let configurations = drafts.configurations[draft.id] ?? []
            if configurations.count > 1 {
                diagnostics.note(
                    at: draft.place,
                    "\(configurations.count) security admin configurations: all are taken for committed")
            }
            managers[draft.id] = NetworkManager(
                id: draft.id, guid: draft.guid, scope: draft.scope,
                networkGroups: (drafts.networkGroups[draft.id] ?? []).map { networkGroup($0) },
                configurations: configurations.map { configuration($0, of: draft, &prefixes) })
        }
        prefixes.report(diagnostics)
        return managers
    }

    private func networkGroup(_ draft: NetworkGroupDraft) -> NetworkGroup {
        let members = policy.managers.members[draft.id] ?? []
        if draft.holdsSubnets {
            diagnostics.note(at: draft.place, "a group of subnets: admin rules reach whole virtual networks alone")
            return NetworkGroup(id: draft.id, members: [])
        }
        if members.isEmpty {
            diagnostics.note(
                at: draft.place, "no static members; membership by policy is not evaluated, so the group is empty")
        }
        return NetworkGroup(id: draft.id, members: Set(members.compactMap { member($0.resource) }))
    }

    /// A virtual network that no document holds stays a member: it is enforced elsewhere.
    private func member(_ reference: Reference) -> ResourceID? {
        if let known = policy.networks.lookUp(reference) { return known }
        let isSubnet = policy.subnets.lookUp(reference) != nil
        if reference.isID, !isSubnet {
            let id = ResourceID(reference.text)
            if ResourceKind(id: reference.text) == .virtualNetwork, id.subscription != "" {
                diagnostics.note(at: reference.place, "the member is in no document")
                return id
            }
        } else if !isSubnet {
            return resolve(reference, policy.networks)
        }
        diagnostics.report(
            .memberIsNoVirtualNetwork, at: reference.place,
            "\(shown(reference.text)) is no virtual network; admin rules reach whole virtual networks",
            remedy: "name the virtual network, or use a network security group for the subnet")
        return nil
    }

    private func configuration(
        _ draft: SecurityAdminConfigurationDraft, of manager: NetworkManagerDraft, _ prefixes: inout AdminPrefixCount
    ) -> SecurityAdminConfiguration {
        let collections = policy.managers.collections[draft.id] ?? []
        return SecurityAdminConfiguration(
            id: draft.id, intentPolicyServices: draft.intentPolicyServices,
            collections: collections.map { collection($0, of: manager, &prefixes) })
    }

    private func collection(
        _ draft: AdminRuleCollectionDraft, of manager: NetworkManagerDraft, _ prefixes: inout AdminPrefixCount
    ) -> AdminRuleCollection {
        let rules = policy.managers.rules[draft.id] ?? []
        check(rules, of: draft)
        for rule in rules { prefixes.count(rule) }
        let groups = draft.appliesTo.compactMap { networkGroup($0, of: manager.id, isTarget: true) }
        if draft.appliesTo.isEmpty { diagnostics.note(at: draft.place, "the collection applies to no network group") }
        return AdminRuleCollection(
            id: draft.id, appliesTo: Set(groups), rules: rules.compactMap { rule($0, of: draft.id, manager.id) })
    }

    /// A group of the manager, by its id or name; nil after a report. `isTarget`: rules are to hold there.
    private func networkGroup(_ reference: Reference, of manager: ResourceID, isTarget: Bool) -> ResourceID? {
        let own = manager.child(ResourceKind.networkGroup.collection, reference.text)
        let isOwn = !reference.isID && policy.managers.groupIndex.contains(own)
        let wanted = isOwn ? Reference(text: own.description, place: reference.place) : reference
        guard let group = resolve(wanted, policy.managers.groupIndex) else { return nil }
        guard group.parent == manager else {
            diagnostics.report(
                .unknownReference, at: reference.place,
                "network group \(shown(group.description)) belongs to another network manager",
                remedy: "name a group of \(shown(manager.description))")
            return nil
        }
        if isTarget, policy.managers.groupsOfSubnets.contains(group) {
            diagnostics.report(
                .memberIsNoVirtualNetwork, at: reference.place,
                "\(shown(group.name)) is a group of subnets; admin rules reach whole virtual networks",
                remedy: "name a group of virtual networks")
        }
        return group
    }
}

// Rules.
extension EstateResolver {
    /// What Azure demands of a collection's rules together.
    private func check(_ rules: [AdminRuleDraft], of collection: AdminRuleCollectionDraft) {
        var taken: [Priority: Int] = [:]
        var names: [String: Int] = [:]
        for (index, rule) in rules.enumerated() {
            if let other = names.updateValue(index, forKey: rule.name.lowercased()).map({ rules[$0] }) {
                diagnostics.report(
                    .duplicateResourceName, at: rule.place,
                    """
                    Resource \(shown(collection.id.description)) has two child resources with the same name \
                    (\(shown(rule.name))).
                    """, remedy: "rename one of them; the other stands at \(other.place.file):\(other.place.line)")
            }
            guard let priority = rule.priority else { continue }
            guard let other = taken[priority.value].map({ rules[$0] }) else {
                taken[priority.value] = index
                continue
            }
            diagnostics.report(
                .securityRuleConflict, at: priority.place,
                """
                Security admin rule \(shown(rule.name)) conflicts with rule \(shown(other.name)). Rules of a collection cannot \
                have the same Priority.
                """,
                remedy:
                    "\(priority.value) is taken at \(other.place.file):\(other.place.line); choose another priority"
            )
        }
    }

    /// Nil after a report.
    private func rule(_ draft: AdminRuleDraft, of collection: ResourceID, _ manager: ResourceID) -> SecurityRule? {
        let source = draft.source.flatMap { scope($0, of: draft, manager) }
        let destination = draft.destination.flatMap { scope($0, of: draft, manager) }
        guard let source, let destination, let sourcePorts = draft.source?.ports,
            let destinationPorts = draft.destination?.ports, let ruleProtocol = draft.protocol,
            let access = draft.access, let direction = draft.direction, let priority = draft.priority?.value
        else { return nil }
        return SecurityRule(
            id: draft.id, owner: collection, name: draft.name, description: draft.description, protocol: ruleProtocol,
            source: source, sourcePorts: sourcePorts, destination: destination, destinationPorts: destinationPorts,
            access: access, priority: priority, direction: direction, kind: .admin,
            location: SourceLocation(file: draft.place.file, line: draft.place.line))
    }

    /// Prefixes are one scope together; an item that is any makes the side any.
    private func scope(_ side: AdminRuleSideDraft, of rule: AdminRuleDraft, _ manager: ResourceID) -> AddressScope? {
        var prefixes: [IPPrefix] = []
        var scopes: [AddressScope] = []
        var isAny = side.items.isEmpty
        var isComplete = true
        for item in side.items {
            switch item {
            case .any: isAny = true
            case .prefix(let prefix): prefixes.append(prefix)
            case .serviceTag(let tag, let place):
                if isKnown(tag, at: place, rule.title) { scopes.append(.serviceTag(tag)) } else { isComplete = false }
            case .networkGroup(let reference):
                if let group = networkGroup(reference, of: manager, isTarget: false) {
                    scopes.append(.networkGroup(group))
                } else {
                    isComplete = false
                }
            }
        }
        guard isComplete else { return nil }
        if isAny { return .any }
        if !prefixes.isEmpty { scopes.insert(.prefixes(prefixes), at: 0) }
        return scopes.count == 1 ? scopes.first : .either(scopes)
    }
}

/// Address prefixes in all admin rules together (FACTS a4).
private struct AdminPrefixCount {
    let limit: Int
    private var count = 0
    /// Of the rule with which there were too many.
    private var place: Place?

    init(limit: Int) { self.limit = limit }

    mutating func count(_ rule: AdminRuleDraft) {
        count += (rule.source?.prefixCount ?? 0) + (rule.destination?.prefixCount ?? 0)
        if count > limit, place == nil { place = rule.place }
    }

    func report(_ diagnostics: Diagnostics) {
        guard let place else { return }
        diagnostics.report(
            .limitReached, at: place, "\(count) address prefixes in security admin rules, of at most \(limit)",
            remedy: "join prefixes, use tags, or raise limits.adminRulePrefixes in nsgd.json")
    }
}
