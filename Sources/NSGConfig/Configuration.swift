import JSONText
package import NSGModel

/// The text of a document.
package struct SourceText: Hashable, Sendable {
    /// As faults print it: `policy.d/web.json`.
    package var name: String
    package var bytes: [UInt8]
    /// Of `bytes`; nil where nobody made one, and then they are read each time.
    package var fingerprint: Fingerprint?
    /// `bytes` are missing, as the fingerprint says that they are what they were.
    package private(set) var isUnread = false

    /// Tells two texts apart, made by whoever opened the file. Equal texts have equal ones; others differ but for a
    /// chance of 2^-64 that nobody who writes documents can raise, since the hash has a key of the process's own.
    package struct Fingerprint: Hashable, Sendable {
        private let count: Int
        private let hash: Int

        package init(count: Int, hash: Int) {
            self.count = count
            self.hash = hash
        }
    }

    package init(name: String, bytes: [UInt8], fingerprint: Fingerprint? = nil) {
        self.name = name
        self.bytes = bytes
        self.fingerprint = fingerprint
    }

    package init(unread name: String, fingerprint: Fingerprint) {
        self.init(name: name, bytes: [], fingerprint: fingerprint)
        isUnread = true
    }

    package init(name: String, text: String) { self.init(name: name, bytes: Array(text.utf8)) }
}

/// The documents of one load. Whoever opens the files bounds their sizes.
package struct ConfigurationSources: Hashable, Sendable {
    /// `nsgd.json`.
    package var settings: SourceText?
    /// `policy.d/*.json`.
    package var policies: [SourceText]
    /// `bindings.json`; without it nothing is enforced here.
    package var bindings: SourceText?
    /// Microsoft's weekly file.
    package var serviceTags: SourceText?

    package init(
        settings: SourceText? = nil, policies: [SourceText] = [], bindings: SourceText? = nil,
        serviceTags: SourceText? = nil
    ) {
        self.settings = settings
        self.policies = policies
        self.bindings = bindings
        self.serviceTags = serviceTags
    }
}

/// What a set of documents without fault says.
package struct Configuration: Hashable, Sendable {
    package var estate: Estate
    package var settings: Settings
    /// Microsoft's weekly file, as far as it is needed; nil where there is none.
    package var serviceTagFile: ServiceTagFile?
    /// What was passed over, and other remarks that refuse nothing.
    package var notes: [String]

    package init(
        estate: Estate, settings: Settings, serviceTagFile: ServiceTagFile? = nil, notes: [String] = []
    ) {
        self.estate = estate
        self.settings = settings
        self.serviceTagFile = serviceTagFile
        self.notes = notes
    }
}

/// Reads a set of documents, all of it or none: first each by itself, then what holds between them. Linear in their
/// size, but for sorting.
package func configuration(from sources: ConfigurationSources) throws(ConfigurationFaults) -> Configuration {
    var cache = DocumentCache()
    return try configuration(from: sources, reusing: &cache)
}

/// The same, letter by letter, without reading again what has not changed.
/// - Parameter cache: what the last load without faults has read; replaced where this one has none. Two loads with one
///   cache share the storage of the rules of each group whose document is unchanged.
/// - Throws: no fault at all where a text is needed that was not read (`DocumentCache.lacksText`).
package func configuration(
    from sources: ConfigurationSources, reusing cache: inout DocumentCache
) throws(ConfigurationFaults) -> Configuration {
    let diagnostics = Diagnostics()
    let settings = parsed(sources.settings, diagnostics).map { SettingsDraft($0) } ?? SettingsDraft()
    cache.keepIfRead(with: settings.settings)
    let tags = cache.serviceTags(sources.serviceTags, diagnostics)
    let tagsArePartial =
        tags == nil && sources.serviceTags != nil
        || diagnostics.faults.contains { $0.code == FaultCode.invalidJSON.rawValue }
    let bindings = parsed(sources.bindings, diagnostics).map { BindingDraft.drafts($0) } ?? []

    var drafts = PolicyDrafts()
    var children: [PolicyReader.Child] = []
    cache.readAhead(sources.policies, settings.settings)
    for source in sources.policies {
        guard let document = cache.document(source, settings.settings, diagnostics) else {
            drafts.isPartial = true
            continue
        }
        drafts.add(document.drafts, diagnostics)
        children += document.children
    }
    if cache.lacksText {
        cache.forgetThisLoad()
        throw ConfigurationFaults([])
    }
    let hasLooseRules = children.contains { $0.kind == .securityRule }
    if hasLooseRules, cache.hasSettledRules {
        // Such a rule is held against those of its group as they were written, which are not kept.
        cache = DocumentCache()
        return try configuration(from: sources, reusing: &cache)
    }
    let policy = ChildrenJoiner(drafts, settings.settings, diagnostics).drafts(with: children)
    let resolver = EstateResolver(
        policy: policy, settings: settings, tags: tags, tagsArePartial: tagsArePartial, bindings: bindings,
        diagnostics: diagnostics)
    let estate = resolver.estate()
    guard diagnostics.faults.isEmpty else {
        cache.forgetThisLoad()
        throw ConfigurationFaults(diagnostics.faults)
    }
    cache.keepThisLoad(of: estate, hasLooseRules: hasLooseRules)
    return Configuration(
        estate: estate, settings: settings.settings, serviceTagFile: tags, notes: diagnostics.notes)
}

/// Nil if there is no text and, after a report, if it is no JSON5.
func parsed(_ source: SourceText?, _ diagnostics: Diagnostics) -> Element? {
    var recogniser: JSONElementRecogniser?
    return parsed(source, diagnostics, &recogniser)
}

/// The same, without the elements that the recogniser knows.
func parsed(
    _ source: SourceText?, _ diagnostics: Diagnostics, _ recogniser: inout JSONElementRecogniser?
) -> Element? {
    guard let source else { return nil }
    do {
        let value: JSONValue
        if var known = recogniser {
            value = try JSONValue(parsing: source.bytes, recogniser: &known)
            recogniser = known
        } else {
            value = try JSONValue(parsing: source.bytes, dialect: .json5)
        }
        return Element(value: value, trail: .root, file: source.name, diagnostics: diagnostics)
    } catch {
        diagnostics.report(
            .invalidJSON, at: Place(file: source.name, line: error.position.line, trail: .root), error.description,
            remedy: "correct the text there; comments and trailing commas are allowed")
        return nil
    }
}
