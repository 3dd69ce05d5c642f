import JSONText
import NSGModel
import NetworkTypes

/// A value and where it stands.
struct Located<Value> {
    var value: Value
    var place: Place
}

/// One side of a security rule: source or destination.
struct RuleSideDraft {
    enum Side: String {
        case source
        case destination

        /// Azure's name of a property of this side, as a message or a document writes it.
        func property(_ suffix: String) -> String { rawValue + suffix }
        func parameter(_ suffix: String) -> String { (self == .source ? "Source" : "Destination") + suffix }
    }

    enum Addresses {
        /// A fault was reported.
        case unread
        case any
        case prefixes([Located<IPPrefix>])
        case serviceTag(ServiceTag, Place)
        case applicationSecurityGroups([Reference], Place)
    }

    var addresses: Addresses
    /// Empty after a report.
    var ports: [PortRange]

    var prefixes: [Located<IPPrefix>] {
        if case .prefixes(let prefixes) = addresses { prefixes } else { [] }
    }

    init(_ side: Side, _ fields: Fields, rule: ResourceID, limits: Limits) {
        addresses = RuleAddressReader(side: side, fields: fields, rule: rule, limits: limits).addresses()
        ports = RulePortReader(side: side, fields: fields, rule: rule).ports()
    }
}

extension Fields {
    /// Of properties that exclude each other the one that is given; nil after a report if it is none or several.
    fileprivate func exactlyOne(of names: [String], parameters: [String], rule: ResourceID) -> (
        index: Int, element: Element
    )? {
        let given = names.enumerated().compactMap { index, name in self[name].map { (index: index, element: $0) } }
        if given.count == 1 { return given.first }
        let message =
            "Security rule \(shown(rule.description)) must specify a non empty value for exactly one of: "
            + parameters.joined(separator: ", ") + "."
        if given.count > 1 {
            given[1].element.report(
                .conflictingProperties, message,
                remedy: "keep one of \(given.map { names[$0.index] }.joined(separator: ", "))")
        } else {
            // A misspelt one has been reported already.
            guard !names.contains(where: { isMisspelt($0) }) else { return nil }
            reportMissing(names[0], message, remedy: "add \(names.joined(separator: " or "))")
        }
        return nil
    }
}

private struct RuleAddressReader {
    let side: RuleSideDraft.Side
    let fields: Fields
    let rule: ResourceID
    let limits: Limits

    func addresses() -> RuleSideDraft.Addresses {
        let names = ["AddressPrefix", "AddressPrefixes", "ApplicationSecurityGroups"].map(side.property)
        let parameters = ["AddressPrefixes", "AddressPrefix", "ApplicationSecurityGroups"].map(side.parameter)
        guard let given = fields.exactlyOne(of: names, parameters: parameters, rule: rule) else { return .unread }
        return switch given.index {
        case 0: single(given.element)
        case 1: list(given.element)
        default: groups(given.element)
        }
    }

    /// `*`, an address, a prefix or a tag.
    private func single(_ element: Element) -> RuleSideDraft.Addresses {
        guard let text = element.text() else { return .unread }
        if text == "*" { return .any }
        if let prefix = prefix(text, element) { return .prefixes([prefix]) }
        if IPPrefix(text) != nil { return .unread }
        if ServiceTag.isName(text), !["any", "all"].contains(text.lowercased()) {
            return .serviceTag(ServiceTag(text), element.place)
        }
        reportInvalid(
            text, element,
            remedy: "write *, an address, a prefix or a service tag; lists go into \(side.property("AddressPrefixes"))")
        return .unread
    }

    private func list(_ element: Element) -> RuleSideDraft.Addresses {
        guard let elements = element.elements() else { return .unread }
        let prefixes = elements.compactMap { element -> Located<IPPrefix>? in
            guard let text = element.text() else { return nil }
            if let prefix = prefix(text, element) { return prefix }
            if text == "*" || ServiceTag.isName(text) {
                reportUnsupported(text, element)
            } else if IPPrefix(text) == nil {
                reportInvalid(text, element, remedy: "write an address or a prefix such as 10.1.0.0/16")
            }
            return nil
        }
        guard prefixes.count == elements.count else { return .unread }
        reportOverlaps(prefixes, element.diagnostics)
        return .prefixes(prefixes)
    }

    private func groups(_ element: Element) -> RuleSideDraft.Addresses {
        guard let elements = element.elements() else { return .unread }
        let references = elements.compactMap { $0.reference() }
        let limit = limits.applicationSecurityGroupsPerRuleSide
        if references.count > limit {
            element.report(
                .applicationSecurityGroupsPerRule,
                "Security rule \(shown(rule.description)) names \(references.count) application security groups on a side, of at most \(limit).",
                remedy: "split the rule, or join groups")
        }
        return references.count == elements.count ? .applicationSecurityGroups(references, element.place) : .unread
    }

    /// Nil if the text is no prefix, without a report, or one with host bits, after it.
    private func prefix(_ text: String, _ element: Element) -> Located<IPPrefix>? {
        guard let prefix = IPPrefix(text) else { return nil }
        guard !IPPrefix.hasHostBits(text) else {
            reportInvalid(text, element, remedy: "bits are set beyond the length: write \(prefix)")
            return nil
        }
        return Located(value: prefix, place: element.place)
    }

    private func reportInvalid(_ text: String, _ element: Element, remedy: String) {
        let word = text.lowercased()
        element.report(
            .securityRuleInvalidAddressPrefix,
            "Security rule \(shown(rule.description)) has invalid Address prefix. Value provided: \(shown(text))",
            remedy: word == "any" || word == "all" ? "write * for every address" : remedy)
    }

    private func reportUnsupported(_ text: String, _ element: Element) {
        element.report(
            .securityRuleParameterContainsUnsupportedValue,
            """
            Security rule parameter \(side.parameter("AddressPrefix")) for rule with Id \(shown(rule.description)) cannot specify \
            existing VIRTUALNETWORK, INTERNET, AZURELOADBALANCER, '*' or system tags. Unsupported value used: \(shown(text)).
            """, remedy: "give the tag a rule of its own, with \(side.property("AddressPrefix"))")
    }

    /// Prefixes lie apart or inside one another, so each is compared with the widest before it. O(n log n).
    private func reportOverlaps(_ prefixes: [Located<IPPrefix>], _ diagnostics: Diagnostics) {
        var widest: Located<IPPrefix>?
        for next in prefixes.sorted(by: { $0.value < $1.value }) {
            guard let cover = widest, cover.value.overlaps(next.value) else {
                widest = next
                continue
            }
            diagnostics.report(
                .overlappingSubnetsNotPermittedInSecurityRule, at: next.place,
                "Security rule \(shown(rule.description)) holds overlapping prefixes: \(cover.value) and \(next.value).",
                remedy: "remove \(next.value), which \(cover.value) covers")
        }
    }
}

private struct RulePortReader {
    let side: RuleSideDraft.Side
    let fields: Fields
    let rule: ResourceID

    func ports() -> [PortRange] {
        let names = ["PortRange", "PortRanges"].map(side.property)
        let parameters = ["PortRanges", "PortRange"].map(side.parameter)
        guard let given = fields.exactlyOne(of: names, parameters: parameters, rule: rule) else { return [] }
        if given.index == 0 { return port(given.element).map { [$0] } ?? [] }
        guard let elements = given.element.elements() else { return [] }
        let ports = elements.compactMap { element -> PortRange? in
            guard element.value.string != "*" else {
                reportAnyInList(element)
                return nil
            }
            return port(element)
        }
        return ports.count == elements.count ? ports : []
    }

    /// `*`, `"80"`, `"1024-65535"`, and in templates a number.
    private func port(_ element: Element) -> PortRange? {
        let written = element.value.number?.text ?? element.text()
        guard let written else { return nil }
        if let number = element.value.int, let port = UInt16(exactly: number) { return PortRange(port) }
        if element.value.string != nil, let range = PortRange(written) { return range }
        element.report(
            .securityRuleInvalidPortRange,
            """
            Security rule has invalid Port range. Value provided: \(shown(written)). Value should be an integer OR integer range \
            with '-' delimiter. Valid range 0-65535.
            """, remedy: "write *, a port or a range; several go into \(side.property("PortRanges"))")
        return nil
    }

    private func reportAnyInList(_ element: Element) {
        element.report(
            .securityRuleParameterContainsInvalidPortRanges,
            "Security rule parameter \(side.parameter("PortRanges")) for rule with Id \(shown(rule.description)) cannot specify '*'.",
            remedy: "write \"\(side.property("PortRange"))\": \"*\" in place of the list")
    }
}
