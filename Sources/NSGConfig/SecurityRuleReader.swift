import JSONText
import NSGModel
import NetworkTypes

/// A security rule as a document states it: complete but for what its sides name, and nil where a fault was reported.
struct SecurityRuleDraft {
    var name: String
    var id: ResourceID
    var place: Place
    var description: String
    var `protocol`: RuleProtocol?
    var access: Access?
    var direction: Direction?
    var priority: Priority?
    var priorityPlace: Place
    var source: RuleSideDraft
    var destination: RuleSideDraft

    /// Nil, after a report, if the element is no object.
    init?(_ element: Element, of group: ResourceID, limits: Limits) {
        guard let fields = Fields(element, .securityRule) else { return nil }
        name = fields.resourceName(fields.nameFromID) ?? ""
        id = Self.id(fields, name: name, of: group)
        place = element.place
        description = fields.description()
        `protocol` = fields.choice("protocol", of: RuleProtocol.self)
        access = fields.choice("access", among: Access.ofSecurityRules)
        direction = fields.choice("direction", of: Direction.self)
        priority = fields.priority()
        priorityPlace = fields["priority"]?.place ?? element.place
        source = RuleSideDraft(.source, fields, rule: id, limits: limits)
        destination = RuleSideDraft(.destination, fields, rule: id, limits: limits)
        checkFamilies(element.diagnostics)
        checkPlatformTags(element.diagnostics)
    }

    /// As written, if the id is that of a rule of this name; else below the group.
    private static func id(_ fields: Fields, name: String, of group: ResourceID) -> ResourceID {
        let own = group.child(ResourceKind.securityRule.collection, name)
        guard let element = fields["id"], let text = element.text() else { return own }
        let written = ResourceID(text)
        if written.name.lowercased() == name.lowercased() { return written }
        element.note("the id is another rule's, so \(shown(own.description)) stands in its place")
        return own
    }

    /// Azure takes IPv4 or IPv6 in one rule, not both; tags and `*` serve either.
    private func checkFamilies(_ diagnostics: Diagnostics) {
        let prefixes = source.prefixes + destination.prefixes
        guard let first = prefixes.first, let other = prefixes.first(where: { $0.value.family != first.value.family })
        else {
            return
        }
        diagnostics.report(
            .differentAddressFamilies, at: other.place,
            """
            Resource \(shown(id.description)) contains IP addresses or prefixes that belong to different address families. \
            All IP addresses or prefixes in the resource should belong to the same address family.
            """, remedy: "write one rule for IPv4 and one for IPv6")
    }

    private func checkPlatformTags(_ diagnostics: Diagnostics) {
        let check = PlatformTagCheck(
            title: "Security rule \(shown(id.description))", access: access, direction: direction,
            protocol: self.protocol, destinationPorts: destination.ports, words: ("*", "destinationPortRange"))
        for (side, isSource) in [(source, true), (destination, false)] {
            guard case .serviceTag(let tag, let place) = side.addresses, tag.isPlatform else { continue }
            check.report(tag, at: place, isSource: isSource, to: diagnostics)
        }
    }
}

extension Schema {
    /// FACTS a1, in the order of Azure's documentation. Source: schema 2025-07-01, `SecurityRulePropertiesFormat`.
    static let securityRule = Schema(
        "a security rule",
        reads: [
            "name", "protocol", "access", "direction", "priority", "description",
            "sourcePortRange", "sourcePortRanges", "destinationPortRange", "destinationPortRanges",
            "sourceAddressPrefix", "sourceAddressPrefixes", "destinationAddressPrefix", "destinationAddressPrefixes",
            "sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups",
        ], unknown: .refused, isResource: true)
}

extension Fields {
    /// A rule that has an id needs no name.
    fileprivate var nameFromID: String? {
        self["name"] == nil ? self["id"]?.value.string.map { ResourceID($0).name } : nil
    }

    fileprivate func description() -> String {
        guard let element = self["description"], let text = remark("description") else { return "" }
        if text.utf16.count > 140 {
            element.report(
                .securityRuleDescriptionTooLong, "Security rule description cannot exceed 140 chars.",
                remedy: "shorten it by \(text.utf16.count - 140)")
        }
        return text
    }

    fileprivate func priority() -> Priority? {
        guard let element = required("priority"), let number = element.integer() else { return nil }
        let allowed = Priority.written
        guard allowed.contains(number) else {
            element.report(
                .securityRuleInvalidPriority,
                """
                Security rule has invalid Priority. Value provided: \(number) \
                Allowed range \(allowed.lowerBound)-\(allowed.upperBound).
                """, remedy: "choose a number of that range that no other rule of the direction has")
            return nil
        }
        return Priority(number)
    }
}
