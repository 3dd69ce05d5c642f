import JSONText
import NSGModel
import NetworkTypes

extension EstateResolver {
    /// `members`: the virtual network of each application security group's members.
    func networkSecurityGroups(_ members: [ResourceID: ResourceID]) -> [ResourceID: NetworkSecurityGroup] {
        var groups: [ResourceID: NetworkSecurityGroup] = [:]
        for draft in policy.networkSecurityGroups {
            draft.check(limits, diagnostics)
            let rules = draft.rules.compactMap { securityRule($0, of: draft.id, members) }
            checkApplicationSecurityGroups(of: rules, draft)
            groups[draft.id] = NetworkSecurityGroup(
                id: draft.id, guid: draft.guid, securityRules: rules, flushConnection: draft.flushConnection)
        }
        return groups
    }

    /// Nil after a report.
    private func securityRule(
        _ draft: SecurityRuleDraft, of group: ResourceID, _ members: [ResourceID: ResourceID]
    ) -> SecurityRule? {
        let source = scope(draft.source.addresses, of: draft)
        let destination = scope(draft.destination.addresses, of: draft)
        guard let source, let destination, let ruleProtocol = draft.protocol, let access = draft.access,
            let direction = draft.direction, let priority = draft.priority, !draft.source.ports.isEmpty,
            !draft.destination.ports.isEmpty
        else { return nil }
        checkNetworks(of: [source, destination], draft, members)
        return SecurityRule(
            id: draft.id, owner: group, name: draft.name, description: draft.description, protocol: ruleProtocol,
            source: source,
            sourcePorts: draft.source.ports, destination: destination, destinationPorts: draft.destination.ports,
            access: access, priority: priority, direction: direction,
            location: SourceLocation(file: draft.place.file, line: draft.place.line))
    }

    private func scope(_ addresses: RuleSideDraft.Addresses, of rule: SecurityRuleDraft) -> AddressScope? {
        switch addresses {
        case .unread: return nil
        case .any: return .any
        case .prefixes(let prefixes): return .prefixes(prefixes.map(\.value))
        case .serviceTag(let tag, let place):
            return isKnown(tag, at: place, "Security rule \(shown(rule.id.description))")
                ? .serviceTag(tag) : nil
        case .applicationSecurityGroups(let references, _):
            let groups = references.compactMap { resolve($0, policy.applicationGroups) }
            return groups.count == references.count ? .applicationSecurityGroups(groups) : nil
        }
    }

    /// A tag that nobody defines would match nothing, and the rule would be a hole (S10). `rule` as messages name it.
    func isKnown(_ tag: ServiceTag, at place: Place, _ rule: String) -> Bool {
        if tag.isComputed || settings.settings.serviceTags[tag.key] != nil { return true }
        if let entry = tags?.entries[tag.key] {
            if !entry.isOfferedForSecurityGroups {
                diagnostics.note(
                    at: place, "Azure does not offer \(shown(tag.description)) for network security groups")
            }
            return true
        }
        guard !tagsArePartial else { return false }
        diagnostics.report(
            .securityRuleInvalidAddressPrefix, at: place,
            "\(rule) has invalid Address prefix. Value provided: \(shown(tag.description))",
            remedy: ServiceTagFile.remedy(forUnknown: tag, in: tags, settings.settings, diagnostics))
        return false
    }

    /// Members on both sides of a rule lie in one virtual network.
    private func checkNetworks(
        of scopes: [AddressScope], _ rule: SecurityRuleDraft, _ members: [ResourceID: ResourceID]
    ) {
        let groups = scopes.flatMap { scope in
            if case .applicationSecurityGroups(let groups) = scope { groups } else { [] as [ResourceID] }
        }
        let networks = Set(groups.compactMap { members[$0] }).sorted()
        guard networks.count > 1 else { return }
        diagnostics.report(
            .applicationSecurityGroupsOfSeveralVnets, at: rule.place,
            """
            The application security groups of security rule \(shown(rule.id.description)) have members in \
            \(networks.count) virtual networks: \(enumerated(networks.map(\.description))).
            """, remedy: "write a rule for each virtual network")
    }

    private func checkApplicationSecurityGroups(of rules: [SecurityRule], _ draft: NetworkSecurityGroupDraft) {
        var groups: Set<ResourceID> = []
        for rule in rules {
            for case .applicationSecurityGroups(let named) in [rule.source, rule.destination] {
                groups.formUnion(named)
            }
        }
        let limit = limits.applicationSecurityGroupsPerGroup
        guard groups.count > limit else { return }
        diagnostics.report(
            .limitReached, at: draft.place,
            "the rules of a group name \(groups.count) application security groups, of at most \(limit)",
            remedy: "join groups, or raise limits.applicationSecurityGroupsPerGroup in nsgd.json")
    }
}
