import Dispatch
import NSGModel
import Synchronization

/// What the documents of the last load without faults hold, each known by its name and its text. Its use shows in
/// nothing but time: a document that left a fault is never kept, and what another left (notes) is left again.
package struct DocumentCache: Sendable {
    /// Of the last load without faults.
    private var documents: [String: Kept] = [:]
    private var tags: KeptTags?
    /// What the documents were read with.
    private var defaults = Settings.Defaults()
    private var limits = Limits()

    /// Of the load that is going on.
    private var next: [String: Kept] = [:]
    private var nextTags: KeptTags?
    /// Documents of that load that have been read side by side, each as if it stood alone.
    private var readAhead: [String: Kept] = [:]
    /// Whether that load has taken rules as an earlier one left them.
    private(set) var hasSettledRules = false
    /// Whether the last load needed a text that had not been read: then all of them have to be read.
    package private(set) var lacksText = false

    fileprivate struct Kept: Sendable {
        var fingerprint: SourceText.Fingerprint
        var drafts: DocumentDrafts
        var remarks: Diagnostics.Remarks
        var rules = KnownRules()
    }

    private struct KeptTags: Sendable {
        var name: String
        var fingerprint: SourceText.Fingerprint
        var file: ServiceTagFile
        var remarks: Diagnostics.Remarks
    }

    package init() {}

    /// How many documents need not be read again, as long as they stay as they are.
    package var count: Int { documents.count }

    // MARK: A load

    /// Begins a load: forgets what was read with other settings.
    mutating func keepIfRead(with settings: Settings) {
        forgetThisLoad()
        lacksText = false
        guard settings.defaults != defaults || settings.limits != limits else { return }
        documents = [:]
        (defaults, limits) = (settings.defaults, settings.limits)
    }

    /// What a document holds; nil, after a report, if it is no JSON.
    mutating func document(
        _ source: SourceText, _ settings: Settings, _ diagnostics: Diagnostics
    ) -> (drafts: DocumentDrafts, children: [PolicyReader.Child])? {
        if let kept = documents[source.name], kept.fingerprint == source.fingerprint,
            diagnostics.repeated(kept.remarks)
        {
            if kept.drafts.networkSecurityGroups.contains(where: { $0.settled != nil }) { hasSettledRules = true }
            next[source.name] = kept
            return (kept.drafts, [])
        }
        guard !source.isUnread else {
            lacksText = true
            return nil
        }
        if let ahead = readAhead.removeValue(forKey: source.name), ahead.fingerprint == source.fingerprint,
            diagnostics.repeated(ahead.remarks)
        {
            next[source.name] = ahead
            return (ahead.drafts, [])
        }
        guard let read = read(source, settings, diagnostics) else { return nil }
        if let kept = read.kept { next[source.name] = kept }
        return (read.reader.drafts, read.reader.children)
    }

    /// Reads those documents side by side that have to be read at all. What left a fault, or cannot be told from what
    /// other documents left, is read again in its turn.
    mutating func readAhead(_ sources: [SourceText], _ settings: Settings) {
        let missing = sources.filter { source in
            guard let fingerprint = source.fingerprint, !source.isUnread else { return false }
            return documents[source.name]?.fingerprint != fingerprint
        }
        guard missing.count > 1 else { return }
        let done = Mutex<[String: Kept]>([:])
        let cache = self
        DispatchQueue.concurrentPerform(iterations: missing.count) { index in
            let kept = cache.read(missing[index], settings, Diagnostics())?.kept
            done.withLock { $0[missing[index].name] = kept }
        }
        readAhead = done.withLock { $0 }
    }

    /// Nil, after a report, if it is no JSON.
    private func read(
        _ source: SourceText, _ settings: Settings, _ diagnostics: Diagnostics
    ) -> (reader: PolicyReader, kept: Kept?)? {
        let mark = diagnostics.mark
        let known = source.fingerprint == nil ? nil : documents[source.name]?.rules ?? KnownRules()
        guard var reader = read(source, settings, diagnostics, known) else { return nil }
        if !reader.texts.isComplete {
            // An element that is known stands where no rule of that group does.
            diagnostics.rewind(to: mark)
            guard let plain = read(source, settings, diagnostics, nil) else { return nil }
            reader = plain
        }
        // A child holds on to the text of its document, so such documents are not kept.
        guard let fingerprint = source.fingerprint, let remarks = diagnostics.remarks(since: mark),
            reader.children.isEmpty, !reader.drafts.isPartial
        else { return (reader, nil) }
        let kept = Kept(
            fingerprint: fingerprint, drafts: reader.drafts, remarks: remarks, rules: known ?? KnownRules())
        return (reader, kept)
    }

    private func read(
        _ source: SourceText, _ settings: Settings, _ diagnostics: Diagnostics, _ known: KnownRules?
    ) -> PolicyReader? {
        var recogniser = known?.recogniser()
        guard let document = parsed(source, diagnostics, &recogniser) else { return nil }
        var reader = PolicyReader(settings, diagnostics, RuleTexts(known ?? KnownRules(), recogniser))
        reader.read(document)
        return reader
    }

    /// Microsoft's file, if there is any and it can be read.
    mutating func serviceTags(_ source: SourceText?, _ diagnostics: Diagnostics) -> ServiceTagFile? {
        if let kept = tags, let source, kept.name == source.name, kept.fingerprint == source.fingerprint,
            diagnostics.repeated(kept.remarks)
        {
            nextTags = kept
            return kept.file
        }
        guard source?.isUnread != true else {
            lacksText = true
            return nil
        }
        let mark = diagnostics.mark
        let file = ServiceTagFile(source, diagnostics)
        if let file, let source, let fingerprint = source.fingerprint, let remarks = diagnostics.remarks(since: mark) {
            nextTags = KeptTags(name: source.name, fingerprint: fingerprint, file: file, remarks: remarks)
        }
        return file
    }

    /// Ends a load with faults: what is kept is that of the one before.
    mutating func forgetThisLoad() {
        (next, readAhead) = ([:], [:])
        nextTags = nil
        hasSettledRules = false
    }

    /// Ends a load without faults. Rules are kept as the estate has them.
    /// - Parameter hasLooseRules: some stood beside their groups, so that a group may have more than its document has.
    mutating func keepThisLoad(of estate: Estate, hasLooseRules: Bool) {
        documents = next
        tags = nextTags
        forgetThisLoad()
        if hasLooseRules { documents = documents.filter { $0.value.drafts.networkSecurityGroups.isEmpty } }
        for name in documents.keys { documents[name]?.settle(estate) }
    }
}

extension DocumentCache.Kept {
    fileprivate mutating func settle(_ estate: Estate) {
        var rulesRead: KnownRules?
        for index in drafts.networkSecurityGroups.indices {
            let draft = drafts.networkSecurityGroups[index]
            guard let rules = estate.networkSecurityGroups[draft.id]?.securityRules else { continue }
            if let settled = draft.settled {
                drafts.networkSecurityGroups[index].settled = settled.replacing(rules)
            } else if let settled = SettledRules(draft.rules, rules) {
                rulesRead = rulesRead ?? KnownRules()
                rulesRead?.add(draft.rules, rules)
                drafts.networkSecurityGroups[index].settled = settled
                drafts.networkSecurityGroups[index].rules = []
            }
        }
        if let rulesRead { self.rules = rulesRead }
    }
}
