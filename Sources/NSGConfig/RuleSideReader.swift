import JSONText
import NSGModel
import NetworkTypes

/// A value and where it stands.
struct Located<Value> {
    var value: Value
    var place: Place
}

extension Located: Sendable where Value: Sendable {}

/// One side of a security rule: source or destination.
struct RuleSideDraft {
    enum Side: String {
        case source
        case destination

        /// Azure's name of a property of this side, as a message or a document writes it.
        func property(_ suffix: String) -> String { rawValue + suffix }
        func parameter(_ suffix: String) -> String { (self == .source ? "Source" : "Destination") + suffix }

        /// Made once: each rule is asked for all of them.
        var addressProperties: [String] { self == .source ? Self.addressesOfSource : Self.addressesOfDestination }
        var portProperties: [String] { self == .source ? Self.portsOfSource : Self.portsOfDestination }

        private static let addresses = ["AddressPrefix", "AddressPrefixes", "ApplicationSecurityGroups"]
        private static let addressesOfSource = addresses.map(Side.source.property)
        private static let addressesOfDestination = addresses.map(Side.destination.property)
        private static let portsOfSource = ["PortRange", "PortRanges"].map(Side.source.property)
        private static let portsOfDestination = ["PortRange", "PortRanges"].map(Side.destination.property)
    }

    enum Addresses {
        /// A fault was reported.
        case unread
        case any
        case prefixes([IPPrefix])
        case serviceTag(ServiceTag, Place)
        case applicationSecurityGroups([Reference], Place)
    }

    var addresses: Addresses
    /// Empty after a report.
    var ports: [PortRange]

    var prefixes: [IPPrefix] {
        if case .prefixes(let prefixes) = addresses { prefixes } else { [] }
    }

    var namesPlatformTag: Bool { if case .serviceTag(let tag, _) = addresses { tag.isPlatform } else { false } }

    init(_ side: Side, _ fields: Fields, rule: SecurityRuleIdentity, limits: Limits) {
        addresses = RuleAddressReader(side: side, fields: fields, rule: rule, limits: limits).addresses()
        ports = RulePortReader(side: side, fields: fields, rule: rule).ports()
    }

    /// Where the prefixes of a side stand, in their order: only faults ask.
    static func places(ofPrefixesOf side: Side, in fields: Fields) -> [Place] {
        let names = side.addressProperties
        if let single = fields[names[0]] { return [single.place] }
        return fields[names[1]]?.elements()?.map(\.place) ?? []
    }
}

extension Fields {
    /// Of properties that exclude each other the one that is given; nil after a report if it is none or several.
    fileprivate func exactlyOne(
        of names: [String], parameters: @autoclosure () -> [String], rule: SecurityRuleIdentity
    ) -> (index: Int, element: Element)? {
        var given: (index: Int, element: Element)?
        var others: [(index: Int, element: Element)] = []
        for (index, name) in names.enumerated() {
            guard let element = self[name] else { continue }
            if given == nil { given = (index, element) } else { others.append((index, element)) }
        }
        if let given, others.isEmpty { return given }
        let message =
            "Security rule \(shown(rule.id.description)) must specify a non empty value for exactly one of: "
            + parameters().joined(separator: ", ") + "."
        if let given, let other = others.first {
            other.element.report(
                .conflictingProperties, message,
                remedy: "keep one of \(([given] + others).map { names[$0.index] }.joined(separator: ", "))")
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
    let rule: SecurityRuleIdentity
    let limits: Limits

    func addresses() -> RuleSideDraft.Addresses {
        let parameters = ["AddressPrefixes", "AddressPrefix", "ApplicationSecurityGroups"]
        guard
            let given = fields.exactlyOne(
                of: side.addressProperties, parameters: parameters.map(side.parameter), rule: rule)
        else { return .unread }
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
        if let read = IPPrefix.read(text) { return checked(read, text, element).map { .prefixes([$0]) } ?? .unread }
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
        let prefixes = elements.compactMap { element -> IPPrefix? in
            guard let text = element.text() else { return nil }
            if let read = IPPrefix.read(text) { return checked(read, text, element) }
            if text == "*" || ServiceTag.isName(text) {
                reportUnsupported(text, element)
            } else {
                reportInvalid(text, element, remedy: "write an address or a prefix such as 10.1.0.0/16")
            }
            return nil
        }
        guard prefixes.count == elements.count else { return .unread }
        reportOverlaps(prefixes, elements)
        return .prefixes(prefixes)
    }

    private func groups(_ element: Element) -> RuleSideDraft.Addresses {
        guard let elements = element.elements() else { return .unread }
        let references = elements.compactMap { $0.reference() }
        let limit = limits.applicationSecurityGroupsPerRuleSide
        if references.count > limit {
            element.report(
                .applicationSecurityGroupsPerRule,
                "Security rule \(shown(rule.id.description)) names \(references.count) application security groups on a side, of at most \(limit).",
                remedy: "split the rule, or join groups")
        }
        return references.count == elements.count ? .applicationSecurityGroups(references, element.place) : .unread
    }

    /// Nil, after a report, for a prefix with host bits.
    private func checked(
        _ read: (prefix: IPPrefix, hasHostBits: Bool), _ text: String, _ element: Element
    ) -> IPPrefix? {
        guard read.hasHostBits else { return read.prefix }
        reportInvalid(text, element, remedy: "bits are set beyond the length: write \(read.prefix)")
        return nil
    }

    private func reportInvalid(_ text: String, _ element: Element, remedy: String) {
        let word = text.lowercased()
        element.report(
            .securityRuleInvalidAddressPrefix,
            "Security rule \(shown(rule.id.description)) has invalid Address prefix. Value provided: \(shown(text))",
            remedy: word == "any" || word == "all" ? "write * for every address" : remedy)
    }

    private func reportUnsupported(_ text: String, _ element: Element) {
        element.report(
            .securityRuleParameterContainsUnsupportedValue,
            """
            Security rule parameter \(side.parameter("AddressPrefix")) for rule with Id \(shown(rule.id.description)) cannot specify \
            existing VIRTUALNETWORK, INTERNET, AZURELOADBALANCER, '*' or system tags. Unsupported value used: \(shown(text)).
            """, remedy: "give the tag a rule of its own, with \(side.property("AddressPrefix"))")
    }

    /// Prefixes lie apart or inside one another, so each is compared with the widest before it. O(n log n).
    private func reportOverlaps(_ prefixes: [IPPrefix], _ elements: [Element]) {
        guard prefixes.count > 1 else { return }
        var widest: IPPrefix?
        for index in prefixes.indices.sorted(by: { prefixes[$0] < prefixes[$1] }) {
            let next = prefixes[index]
            guard let cover = widest, cover.overlaps(next) else {
                widest = next
                continue
            }
            elements[index].report(
                .overlappingSubnetsNotPermittedInSecurityRule,
                "Security rule \(shown(rule.id.description)) holds overlapping prefixes: \(cover) and \(next).",
                remedy: "remove \(next), which \(cover) covers")
        }
    }
}

private struct RulePortReader {
    let side: RuleSideDraft.Side
    let fields: Fields
    let rule: SecurityRuleIdentity

    func ports() -> [PortRange] {
        guard
            let given = fields.exactlyOne(
                of: side.portProperties, parameters: ["PortRanges", "PortRange"].map(side.parameter), rule: rule)
        else { return [] }
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
            "Security rule parameter \(side.parameter("PortRanges")) for rule with Id \(shown(rule.id.description)) cannot specify '*'.",
            remedy: "write \"\(side.property("PortRange"))\": \"*\" in place of the list")
    }
}
