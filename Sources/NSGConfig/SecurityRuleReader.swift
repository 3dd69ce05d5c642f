import JSONText
import NSGModel
import NetworkTypes

/// What a security rule is called.
struct SecurityRuleIdentity {
    var owner: ResourceID
    var name: String
    /// Nil where it is the group's id and the name, letter by letter.
    var writtenID: ResourceID?

    /// Made when it is asked for: of most rules nobody does.
    var id: ResourceID { writtenID ?? owner.child(Self.collection, name) }

    private static let collection = ResourceKind.securityRule.collection
    private static let infix = Array("/\(collection)/".utf8)

    /// Whether the id is what group and name make it.
    func isOwn(_ text: String) -> Bool {
        let (group, name) = (owner.description.utf8, name.utf8)
        guard text.utf8.count == group.count + Self.infix.count + name.count, text.utf8.starts(with: group) else {
            return false
        }
        let rest = text.utf8.dropFirst(group.count)
        return rest.starts(with: Self.infix) && rest.dropFirst(Self.infix.count).elementsEqual(name)
    }
}

/// A security rule as a document states it: complete but for what its sides name, and nil where a fault was reported.
struct SecurityRuleDraft {
    var identity: SecurityRuleIdentity
    var place: Place
    var description: String
    var `protocol`: RuleProtocol?
    var access: Access?
    var direction: Direction?
    var priority: Priority?
    var priorityPlace: Place
    var source: RuleSideDraft
    var destination: RuleSideDraft
    /// Of the rule's text, where reading it left no fault and no note.
    var fingerprint: JSONElementRecogniser.Fingerprint?
    /// What an earlier load made of the same text, where that depends on nothing else.
    var settled: SecurityRule?

    var name: String { identity.name }
    var id: ResourceID { identity.id }

    /// Nil, after a report, if the element is no object.
    init?(_ element: Element, of group: ResourceID, limits: Limits) {
        guard let fields = Fields(element, .securityRule) else { return nil }
        let identity = Self.identity(fields, of: group)
        self.identity = identity
        place = element.place
        description = fields.description()
        `protocol` = fields.choice("protocol", of: RuleProtocol.self)
        access = fields.choice("access", among: Access.ofSecurityRules)
        direction = fields.choice("direction", of: Direction.self)
        priority = fields.priority()
        priorityPlace = fields["priority"]?.place ?? element.place
        source = RuleSideDraft(.source, fields, rule: identity, limits: limits)
        destination = RuleSideDraft(.destination, fields, rule: identity, limits: limits)
        checkFamilies(fields, element.diagnostics)
        checkPlatformTags(element.diagnostics)
    }

    /// With the id as written, if it is that of a rule of this name; else below the group.
    private static func identity(_ fields: Fields, of group: ResourceID) -> SecurityRuleIdentity {
        let name = fields.resourceName(fields.nameFromID) ?? ""
        var identity = SecurityRuleIdentity(owner: group, name: name)
        guard let element = fields["id"], let text = element.text(), !identity.isOwn(text) else { return identity }
        let written = ResourceID(text)
        if written.name.lowercased() == name.lowercased() {
            identity.writtenID = written
        } else {
            element.note("the id is another rule's, so \(shown(identity.id.description)) stands in its place")
        }
        return identity
    }

    /// Azure takes IPv4 or IPv6 in one rule, not both; tags and `*` serve either.
    private func checkFamilies(_ fields: Fields, _ diagnostics: Diagnostics) {
        let (sources, destinations) = (source.prefixes, destination.prefixes)
        guard let first = sources.first ?? destinations.first else { return }
        let differs = { (prefix: IPPrefix) in prefix.family != first.family }
        let other: Place
        if let index = sources.firstIndex(where: differs) {
            other = RuleSideDraft.places(ofPrefixesOf: .source, in: fields)[index]
        } else if let index = destinations.firstIndex(where: differs) {
            other = RuleSideDraft.places(ofPrefixesOf: .destination, in: fields)[index]
        } else {
            return
        }
        diagnostics.report(
            .differentAddressFamilies, at: other,
            """
            Resource \(shown(id.description)) contains IP addresses or prefixes that belong to different address families. \
            All IP addresses or prefixes in the resource should belong to the same address family.
            """, remedy: "write one rule for IPv4 and one for IPv6")
    }

    private func checkPlatformTags(_ diagnostics: Diagnostics) {
        guard source.namesPlatformTag || destination.namesPlatformTag else { return }
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
