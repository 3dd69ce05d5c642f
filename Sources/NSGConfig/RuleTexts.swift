import JSONText
import NSGModel

/// What the reader of one document knows of the texts of its rules.
final class RuleTexts {
    private let known: KnownRules
    private let recogniser: JSONElementRecogniser
    private var taken = 0

    init(_ known: KnownRules = KnownRules(), _ recogniser: JSONElementRecogniser? = nil) {
        self.known = known
        self.recogniser = recogniser ?? JSONElementRecogniser(key: KnownRules.key, known: [])
    }

    /// Every element that was not read has become a rule again. Otherwise the document has to be read without.
    var isComplete: Bool { taken == recogniser.recognisedCount }

    func rule(_ element: Element, of group: ResourceID, limits: Limits) -> SecurityRuleDraft? {
        if case .recognised(let fingerprint) = element.value.kind {
            guard let rule = known.rules[fingerprint],
                let draft = SecurityRuleDraft(rule, element, fingerprint: fingerprint, of: group)
            else { return nil }
            taken += 1
            return draft
        }
        let mark = element.diagnostics.mark
        var draft = SecurityRuleDraft(element, of: group, limits: limits)
        if element.diagnostics.isUnmoved(since: mark) { draft?.fingerprint = recogniser.met[element.value.position] }
        return draft
    }
}
