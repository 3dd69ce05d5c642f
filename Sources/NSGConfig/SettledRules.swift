import NSGModel

/// The rules of a group without fault, whose text has not changed since: what another load has to look at again is what
/// they name outside their group.
struct SettledRules: Sendable {
    /// The storage is that of the estate's group.
    private(set) var rules: [SecurityRule]
    /// In the order of the rules; of one rule the source first.
    let links: [Link]

    /// A side that names what is defined elsewhere.
    struct Link: Sendable {
        enum Target: Sendable {
            case serviceTag(ServiceTag, Place)
            case applicationSecurityGroups([Reference])
        }

        /// Index among the rules.
        var rule: Int
        var side: RuleSideDraft.Side
        var target: Target
        /// Of the rule.
        var place: Place
    }

    /// - Parameter rules: what `drafts` have become in a load without faults.
    init?(_ drafts: [SecurityRuleDraft], _ rules: [SecurityRule]) {
        guard drafts.count == rules.count else { return nil }
        self.rules = rules
        links = drafts.indices.flatMap { index in
            [(drafts[index].source, RuleSideDraft.Side.source), (drafts[index].destination, .destination)].compactMap {
                side, name in
                side.link.map { Link(rule: index, side: name, target: $0, place: drafts[index].place) }
            }
        }
    }

    /// The same rules as another load has resolved them.
    func replacing(_ rules: [SecurityRule]) -> SettledRules {
        var replaced = self
        replaced.rules = rules
        return replaced
    }
}

extension RuleSideDraft {
    fileprivate var link: SettledRules.Link.Target? {
        switch addresses {
        case .unread, .any, .prefixes: nil
        case .serviceTag(let tag, let place): tag.isComputed ? nil : .serviceTag(tag, place)
        case .applicationSecurityGroups(let references, _): .applicationSecurityGroups(references)
        }
    }
}
