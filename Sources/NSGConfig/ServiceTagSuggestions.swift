import NSGModel

extension Configuration {
    /// Names of tags that a word which is none may stand for, the likeliest first: misspelt ones, then those that begin
    /// alike.
    package func serviceTagNames(near word: String, limit: Int = 5) -> [String] {
        var candidates = ServiceTag.computed.map(\.description) + estate.serviceTagNames.values.sorted()
        let found = nearest(to: word, among: candidates, limit: limit)
        candidates.removeAll { found.contains($0) }
        let folded = Array(word.lowercased().utf8)
        let alike = candidates.map { candidate in
            (name: candidate, length: zip(folded, candidate.lowercased().utf8).prefix { $0 == $1 }.count)
        }
        .filter { $0.length >= 4 }.sorted { ($1.length, $0.name.count, $0.name) < ($0.length, $1.name.count, $1.name) }
        return found + alike.prefix(limit - found.count).map(\.name)
    }
}

// What is said of a rule that names a tag which nobody defines: it would match nothing, and be a hole (S10).
extension ServiceTagFile {
    static func remedy(
        forUnknown tag: ServiceTag, in file: ServiceTagFile?, _ settings: Settings, _ diagnostics: Diagnostics
    ) -> String {
        let define =
            file == nil
            ? """
            give nsgd Microsoft's weekly file of service tags (nsgctl service-tags update FILE, or put it unchanged into the \
            state folder, /var/lib/nsgd, as service-tags.json), or define the tag under serviceTags in nsgd.json
            """
            : "the file of service tags does not have it; define it under serviceTags in nsgd.json"
        let own = settings.serviceTagNames.values
        let count = ServiceTag.computed.count + own.count + (file?.entries.count ?? 0)
        guard diagnostics.mayCompare(with: count) else { return define }
        let names = ServiceTag.computed.map(\.description) + own.sorted() + (file?.names ?? [])
        let meant = nearest(to: tag.description, among: names, limit: 3).map { shown($0) }
        guard let last = meant.last else { return define }
        let list = meant.count > 1 ? "\(meant.dropLast().joined(separator: ", ")) or \(last)" : last
        return "did you mean the tag \(list)? Else \(define)"
    }
}
