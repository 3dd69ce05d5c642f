import JSONText
import NSGModel
import NetworkTypes

extension EstateResolver {
    /// `members`: the virtual network of each application security group's members.
    func networkSecurityGroups(_ members: [ResourceID: ResourceID]) -> [ResourceID: NetworkSecurityGroup] {
        var groups: [ResourceID: NetworkSecurityGroup] = [:]
        for draft in policy.networkSecurityGroups {
            let rules: [SecurityRule]
            if let settled = draft.settled {
                rules = securityRules(settled, of: draft, members)
            } else {
                draft.check(limits, diagnostics)
                rules = draft.rules.compactMap { securityRule($0, members) }
                checkApplicationSecurityGroups(of: rules, draft)
            }
            groups[draft.id] = NetworkSecurityGroup(
                id: draft.id, guid: draft.guid, securityRules: rules, flushConnection: draft.flushConnection)
        }
        return groups
    }

    /// Nil after a report.
    private func securityRule(_ draft: SecurityRuleDraft, _ members: [ResourceID: ResourceID]) -> SecurityRule? {
        if let settled = draft.settled { return settled }
        let source = scope(draft.source.addresses, of: draft)
        let destination = scope(draft.destination.addresses, of: draft)
        guard let source, let destination, let ruleProtocol = draft.protocol, let access = draft.access,
            let direction = draft.direction, let priority = draft.priority, !draft.source.ports.isEmpty,
            !draft.destination.ports.isEmpty
        else { return nil }
        checkNetworks(of: source, destination, draft.id, at: draft.place, members)
        return SecurityRule(
            writtenID: draft.identity.writtenID, owner: draft.identity.owner, name: draft.name,
            description: draft.description, protocol: ruleProtocol, source: source, sourcePorts: draft.source.ports,
            destination: destination, destinationPorts: draft.destination.ports,
            access: access, priority: priority, direction: direction,
            location: SourceLocation(file: draft.place.file, line: draft.place.line))
    }

    private func scope(_ addresses: RuleSideDraft.Addresses, of rule: SecurityRuleDraft) -> AddressScope? {
        switch addresses {
        case .unread: return nil
        case .any: return .any
        case .prefixes(let prefixes): return .prefixes(prefixes)
        case .serviceTag(let tag, let place):
            return isKnown(tag, at: place, "Security rule \(shown(rule.id.description))")
                ? .serviceTag(tag) : nil
        case .applicationSecurityGroups(let references, _): return applicationSecurityGroups(references)
        }
    }

    private func applicationSecurityGroups(_ references: [Reference]) -> AddressScope? {
        let groups = references.compactMap { resolve($0, policy.applicationGroups) }
        return groups.count == references.count ? .applicationSecurityGroups(groups) : nil
    }

    /// Looks at what the rules name outside their group alone, in the order in which `securityRule` would.
    private func securityRules(
        _ settled: SettledRules, of draft: NetworkSecurityGroupDraft, _ members: [ResourceID: ResourceID]
    ) -> [SecurityRule] {
        var rules = settled.rules
        var unresolved: Set<Int> = []
        var namesGroups = false
        for (position, link) in settled.links.enumerated() {
            switch link.target {
            case .serviceTag(let tag, let place):
                let rule = rules[link.rule]
                if !isKnown(tag, at: place, "Security rule \(shown(rule.id.description))") {
                    unresolved.insert(link.rule)
                }
            case .applicationSecurityGroups(let references):
                namesGroups = true
                guard let groups = applicationSecurityGroups(references) else {
                    unresolved.insert(link.rule)
                    break
                }
                // Where nothing changes, the storage stays the one that earlier estates share.
                if !rules[link.rule].names(groups, on: link.side) { rules[link.rule].set(groups, on: link.side) }
            }
            let isLast = position + 1 == settled.links.count || settled.links[position + 1].rule != link.rule
            guard isLast, !unresolved.contains(link.rule) else { continue }
            let rule = rules[link.rule]
            checkNetworks(of: rule.source, rule.destination, rule.id, at: link.place, members)
        }
        if namesGroups {
            let complete = rules.indices.filter { !unresolved.contains($0) }.map { rules[$0] }
            checkApplicationSecurityGroups(of: complete, draft)
        }
        return rules
    }

    /// A tag that nobody defines would match nothing, and the rule would be a hole (S10). `rule` as messages name it.
    func isKnown(_ tag: ServiceTag, at place: Place, _ rule: @autoclosure () -> String) -> Bool {
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
            "\(rule()) has invalid Address prefix. Value provided: \(shown(tag.description))",
            remedy: ServiceTagFile.remedy(forUnknown: tag, in: tags, settings.settings, diagnostics))
        return false
    }

    /// Members on both sides of a rule lie in one virtual network.
    private func checkNetworks(
        of source: AddressScope, _ destination: AddressScope, _ rule: @autoclosure () -> ResourceID, at place: Place,
        _ members: [ResourceID: ResourceID]
    ) {
        let groups = source.applicationSecurityGroups + destination.applicationSecurityGroups
        guard !groups.isEmpty else { return }
        let networks = Set(groups.compactMap { members[$0] }).sorted()
        guard networks.count > 1 else { return }
        diagnostics.report(
            .applicationSecurityGroupsOfSeveralVnets, at: place,
            """
            The application security groups of security rule \(shown(rule().description)) have members in \
            \(networks.count) virtual networks: \(enumerated(networks.map(\.description))).
            """, remedy: "write a rule for each virtual network")
    }

    private func checkApplicationSecurityGroups(of rules: [SecurityRule], _ draft: NetworkSecurityGroupDraft) {
        var groups: Set<ResourceID> = []
        for rule in rules {
            groups.formUnion(rule.source.applicationSecurityGroups)
            groups.formUnion(rule.destination.applicationSecurityGroups)
        }
        let limit = limits.applicationSecurityGroupsPerGroup
        guard groups.count > limit else { return }
        diagnostics.report(
            .limitReached, at: draft.place,
            "the rules of a group name \(groups.count) application security groups, of at most \(limit)",
            remedy: "join groups, or raise limits.applicationSecurityGroupsPerGroup in nsgd.json")
    }
}

extension AddressScope {
    fileprivate var applicationSecurityGroups: [ResourceID] {
        if case .applicationSecurityGroups(let groups) = self { groups } else { [] }
    }
}

extension SecurityRule {
    /// In the same spelling, which another document may have changed.
    fileprivate func names(_ groups: AddressScope, on side: RuleSideDraft.Side) -> Bool {
        let present = (side == .source ? source : destination).applicationSecurityGroups
        return present.map(\.description) == groups.applicationSecurityGroups.map(\.description)
    }

    fileprivate mutating func set(_ groups: AddressScope, on side: RuleSideDraft.Side) {
        if side == .source { source = groups } else { destination = groups }
    }
}
