import JSONText
import NSGModel
import NetworkTypes

/// A security admin rule as a document states it; nil where a fault was reported (FACTS f).
struct AdminRuleDraft {
    var id: ResourceID
    var place: Place
    var name: String
    var description: String
    var `protocol`: RuleProtocol?
    var access: Access?
    var direction: Direction?
    var priority: Located<Priority>?
    var source: AdminRuleSideDraft?
    var destination: AdminRuleSideDraft?

    private enum Kind: String, CaseIterable {
        case custom = "Custom"
        case `default` = "Default"
    }

    /// Nil, after a report, if nothing can be said about the rule.
    init?(_ element: Element, in collection: ResourceID) {
        guard let fields = Fields(element, .adminRule), let id = fields.identity(.adminRule, in: collection) else {
            return nil
        }
        self.id = id
        place = element.place
        name = id.name
        description = fields.remark("description") ?? ""
        let kind = fields["kind"]?.choice(among: Kind.allCases)
        if kind == .default, fields["access"] == nil {
            fields.reportCanned()
            return nil
        }
        `protocol` = fields.choice("protocol", of: AdminRuleProtocol.self)?.ofSecurityRules
        access = fields.choice("access", among: Access.ofAdminRules)
        direction = fields.choice("direction", of: Direction.self)
        priority = fields.adminPriority()
        source = AdminRuleSideDraft("source", fields, rule: id)
        destination = AdminRuleSideDraft("destination", fields, rule: id)
        checkFamilies(fields["destinations"]?.place ?? place, element.diagnostics)
        checkPlatformTags(element.diagnostics)
    }

    /// Azure's refusal of such a rule in a security group. Lists with prefixes of both families are taken, and so is
    /// what stands for addresses by a name and may have none of a family.
    private func checkFamilies(_ place: Place, _ diagnostics: Diagnostics) {
        guard let ours = source?.writtenFamilies, let theirs = destination?.writtenFamilies,
            ours.isDisjoint(with: theirs)
        else { return }
        diagnostics.report(
            .differentAddressFamilies, at: place,
            """
            Resource \(shown(id.description)) contains IP addresses or prefixes that belong to different address families: \
            its sources and its destinations share none.
            """, remedy: "write sources and destinations of one family")
    }

    private func checkPlatformTags(_ diagnostics: Diagnostics) {
        let check = PlatformTagCheck(
            title: title, access: access, direction: direction, protocol: self.protocol,
            destinationPorts: destination?.ports ?? [], words: ("Any", "destinationPortRanges"))
        for (side, isSource) in [(source, true), (destination, false)] {
            for case .serviceTag(let tag, let place)? in side?.items ?? [] where tag.isPlatform {
                check.report(tag, at: place, isSource: isSource, to: diagnostics)
                guard let count = side?.items.count, count > 1 else { continue }
                diagnostics.report(
                    .securityRuleInvalidPlatformTag, at: place,
                    "\(shown(tag.description)) must be the only item of its side; \(count) are listed.",
                    remedy: "write a rule for it alone")
            }
        }
    }

    /// For messages.
    var title: String { Self.title(id) }
    static func title(_ id: ResourceID) -> String { "Security admin rule \(shown(id.description))" }
}

/// Admin rules say `Any` where rules of security groups say `*`.
private enum AdminRuleProtocol: String, CaseIterable {
    case any = "Any"
    case tcp = "Tcp"
    case udp = "Udp"
    case icmp = "Icmp"
    case esp = "Esp"
    case ah = "Ah"

    var ofSecurityRules: RuleProtocol? { self == .any ? .any : RuleProtocol(rawValue: rawValue) }
}

/// One side of an admin rule. An absent or empty list is any: Azure's schema does not require the lists.
struct AdminRuleSideDraft {
    enum Item {
        case any
        case prefix(IPPrefix)
        case serviceTag(ServiceTag, Place)
        case networkGroup(Reference)
    }

    var items: [Item]
    /// Never empty.
    var ports: [PortRange]

    /// Nil where something else than prefixes may stand for addresses of any family.
    var writtenFamilies: Set<IPFamily>? {
        let families = items.compactMap { if case .prefix(let prefix) = $0 { prefix.family } else { nil } }
        return items.isEmpty || families.count < items.count ? nil : Set(families)
    }

    var prefixCount: Int { items.count { if case .prefix = $0 { true } else { false } } }

    /// Nil after a report.
    init?(_ side: String, _ fields: Fields, rule: ResourceID) {
        let addresses = fields.elements("\(side)s")
        items = addresses.compactMap { AdminAddressReader(element: $0, rule: rule).item() }
        let ranges = fields.elements("\(side)PortRanges")
        let ports = ranges.compactMap { $0.adminPort() }
        // Something that is no list has been reported.
        let isList = ["\(side)s", "\(side)PortRanges"].allSatisfy { fields[$0].map { $0.value.array != nil } ?? true }
        guard isList, items.count == addresses.count, ports.count == ranges.count else { return nil }
        self.ports = ports.isEmpty || ports.contains(.any) ? [.any] : ports
    }
}

private struct AdminAddressReader {
    let element: Element
    let rule: ResourceID

    private enum PrefixType: String, CaseIterable {
        case ipPrefix = "IPPrefix"
        case serviceTag = "ServiceTag"
        case networkGroup = "NetworkGroup"
    }

    /// Nil after a report.
    func item() -> AdminRuleSideDraft.Item? {
        guard let fields = Fields(element, .addressPrefixItem), let prefix = fields.required("addressPrefix"),
            let text = prefix.text()
        else { return nil }
        var type: PrefixType
        if let written = fields["addressPrefixType"] {
            guard let told = written.choice(among: PrefixType.allCases) else { return nil }
            type = told
        } else {
            // The schema lets the type be absent; then the text tells.
            type = text.hasPrefix("/") ? .networkGroup : text == "*" || IPPrefix(text) != nil ? .ipPrefix : .serviceTag
        }
        switch type {
        case .ipPrefix: return ipPrefix(text, prefix)
        case .serviceTag: return serviceTag(text, prefix)
        case .networkGroup: return .networkGroup(Reference(text: text, place: prefix.place))
        }
    }

    private func ipPrefix(_ text: String, _ element: Element) -> AdminRuleSideDraft.Item? {
        if text == "*" { return .any }
        guard let prefix = IPPrefix(text) else {
            let isTag = ServiceTag.isName(text)
            return invalid(
                text, element,
                remedy: isTag
                    ? "set addressPrefixType to ServiceTag, or write a prefix" : "write *, an address or a prefix")
        }
        guard !IPPrefix.hasHostBits(text) else {
            return invalid(text, element, remedy: "bits are set beyond the length: write \(prefix)")
        }
        return .prefix(prefix)
    }

    private func serviceTag(_ text: String, _ element: Element) -> AdminRuleSideDraft.Item? {
        guard ServiceTag.isName(text) else {
            let isPrefix = text == "*" || IPPrefix(text) != nil
            return invalid(
                text, element,
                remedy: isPrefix ? "set addressPrefixType to IPPrefix" : "write the name of a service tag")
        }
        return .serviceTag(ServiceTag(text), element.place)
    }

    private func invalid(_ text: String, _ element: Element, remedy: String) -> AdminRuleSideDraft.Item? {
        element.report(
            .securityRuleInvalidAddressPrefix,
            "\(AdminRuleDraft.title(rule)) has invalid Address prefix. Value provided: \(shown(text))", remedy: remedy)
        return nil
    }
}

extension Schema {
    /// Source: schema 2025-01-01, `AdminPropertiesFormat`.
    fileprivate static let adminRule = Schema(
        "a security admin rule",
        reads: [
            "name", "kind", "flag", "protocol", "access", "direction", "priority", "description", "sources",
            "destinations", "sourcePortRanges", "destinationPortRanges",
        ], passesOver: ["displayName"], unknown: .refused, isResource: true)
    fileprivate static let addressPrefixItem = Schema(
        "an address prefix item", reads: ["addressPrefix", "addressPrefixType"], unknown: .refused, isResource: false)
}

extension Fields {
    /// Of a canned rule that is written Azure takes the flag alone; its answers hold what the rule says as well.
    fileprivate func reportCanned() {
        guard let flag = required("flag") else { return }
        flag.report(
            .unknownValue, "what the canned rule \(shown(flag.value.string ?? "")) says is not published",
            remedy:
                "write it as Azure returns it, with access, direction, protocol and priority, or as a rule of kind Custom"
        )
    }

    fileprivate func adminPriority() -> Located<Priority>? {
        guard let element = required("priority"), let number = element.integer() else { return nil }
        let allowed = Priority.ofAdminRules
        guard allowed.contains(number) else {
            element.report(
                .securityRuleInvalidPriority,
                """
                Security admin rule has invalid Priority. Value provided: \(number) \
                Allowed range \(allowed.lowerBound)-\(allowed.upperBound).
                """, remedy: "choose a number of that range that no other rule of the collection has")
            return nil
        }
        return Located(value: Priority(number), place: element.place)
    }
}

extension Element {
    /// `*`, `"80"`, `"0-65535"`, or a number.
    fileprivate func adminPort() -> PortRange? {
        guard let written = value.number?.text ?? text() else { return nil }
        if let number = value.int, let port = UInt16(exactly: number) { return PortRange(port) }
        if value.string != nil, let range = PortRange(written) { return range }
        report(
            .securityRuleInvalidPortRange,
            """
            Security admin rule has invalid Port range. Value provided: \(shown(written)). Value should be an integer OR \
            integer range with '-' delimiter. Valid range 0-65535.
            """, remedy: "write *, a port or a range")
        return nil
    }
}
