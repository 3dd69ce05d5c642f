import JSONText
import NSGModel
import NetworkTypes

/// The rules of the last load of a document, by their text, for a load in which the document has changed: most of its
/// rules have not.
struct KnownRules: Sendable {
    typealias Fingerprint = JSONElementRecogniser.Fingerprint

    /// A rule that left no fault and no note, and names nothing whose place is of interest later.
    struct Known: Sendable {
        var rule: SecurityRule
        /// Where the priority stands: lines below the rule, and its key in the document.
        var priorityLines: Int
        var priorityKey: String
        var isPriorityNested: Bool
    }

    private(set) var rules: [Fingerprint: Known] = [:]
    /// As documents have it.
    static let key = "securityRules"
    var isEmpty: Bool { rules.isEmpty }

    func recogniser() -> JSONElementRecogniser { JSONElementRecogniser(key: Self.key, known: Set(rules.keys)) }

    /// - Parameter rules: what `drafts` have become.
    mutating func add(_ drafts: [SecurityRuleDraft], _ rules: [SecurityRule]) {
        guard drafts.count == rules.count else { return }
        for (draft, rule) in zip(drafts, rules) {
            guard let fingerprint = draft.fingerprint, !draft.source.hasLink, !draft.destination.hasLink else {
                continue
            }
            let steps = draft.priorityPlace.path.steps.suffix(2)
            guard steps.count == 2, let first = steps.first, case .key(let key)? = steps.last else { continue }
            self.rules[fingerprint] = Known(
                rule: rule, priorityLines: draft.priorityPlace.line - draft.place.line, priorityKey: key,
                isPriorityNested: first == .key("properties"))
        }
    }
}

extension SecurityRuleDraft {
    /// What reading the element again would give; nil if it does not stand in the group it stood in.
    init?(_ known: KnownRules.Known, _ element: Element, fingerprint: KnownRules.Fingerprint, of group: ResourceID) {
        var rule = known.rule
        guard rule.owner.description == group.description else { return nil }
        let place = element.place
        let location = SourceLocation(file: place.file, line: place.line)
        if rule.location != location { rule.location = location }
        identity = SecurityRuleIdentity(owner: rule.owner, name: rule.name, writtenID: rule.writtenID)
        self.place = place
        description = rule.description
        `protocol` = rule.protocol
        access = rule.access
        direction = rule.direction
        priority = rule.priority
        let holder = known.isPriorityNested ? element.trail.appending("properties") : element.trail
        priorityPlace = Place(
            file: place.file, line: place.line + known.priorityLines, trail: holder.appending(known.priorityKey))
        source = RuleSideDraft(rule.source, rule.sourcePorts, place)
        destination = RuleSideDraft(rule.destination, rule.destinationPorts, place)
        self.fingerprint = fingerprint
        settled = rule
    }
}

extension RuleSideDraft {
    var hasLink: Bool {
        switch addresses {
        case .unread, .any, .prefixes: false
        case .serviceTag(let tag, _): !tag.isComputed
        case .applicationSecurityGroups: true
        }
    }

    /// Of a side that has no link: the place of a tag is not asked for.
    fileprivate init(_ scope: AddressScope, _ ports: [PortRange], _ place: Place) {
        self.ports = ports
        switch scope {
        case .prefixes(let prefixes): addresses = .prefixes(prefixes)
        case .serviceTag(let tag): addresses = .serviceTag(tag, place)
        default: addresses = .any
        }
    }
}
