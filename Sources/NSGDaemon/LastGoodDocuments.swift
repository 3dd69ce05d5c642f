import JSONText
import NSGConfig
import NetworkTypes
import Synchronization
import SystemServices

/// The documents of the last policy without a fault (E5), service tags included: a file for each in a folder, and an
/// index that is replaced in one step, so that a change writes the documents that it changed, and the folder holds one
/// whole set at every instant.
final class LastGoodDocuments: Sendable {
    private let folder: String
    /// That of earlier releases: all documents in one file.
    private let earlierPath: String
    private let state = Mutex<[Place: Kept]?>(nil)

    private struct Place: Hashable {
        var role: String
        var name: String
    }

    private struct Kept {
        var file: String
        /// Nil until the document has been compared with what it is to hold.
        var fingerprint: SourceText.Fingerprint?
    }

    init(folder: String) {
        self.folder = "\(folder)/last-good"
        earlierPath = "\(folder)/last-good.json"
    }

    private var index: String { "\(folder)/index.json" }

    // MARK: Writing

    func store(_ sources: ConfigurationSources) throws(KernelError) {
        try Files.createFolder(folder, mode: 0o700)
        let present = state.withLock { $0 } ?? (readIndex() ?? [:])
        // Until it has worked, nothing is known of the folder.
        state.withLock { $0 = nil }
        var kept: [Place: Kept] = [:]
        var number = present.values.compactMap { Int($0.file) }.max() ?? 0
        var hasChanged = false
        for (role, source) in sources.byRole {
            let place = Place(role: role, name: source.name)
            if let before = present[place], holds(before, source) {
                kept[place] = Kept(file: before.file, fingerprint: source.fingerprint ?? before.fingerprint)
                continue
            }
            guard !source.isUnread else {
                throw KernelError(errno: 2, doing: "keep \(source.name)", explanation: "its text was not read")
            }
            number += 1
            try Files.write("\(folder)/\(number)", source.bytes, mode: 0o600)
            kept[place] = Kept(file: "\(number)", fingerprint: source.fingerprint)
            hasChanged = true
        }
        if hasChanged || kept.count != present.count { try writeIndex(sources, kept) }
        state.withLock { $0 = kept }
        try? Files.remove(earlierPath)
        for file in Set(present.values.map(\.file)).subtracting(kept.values.map(\.file)) {
            try? Files.remove("\(folder)/\(file)")
        }
    }

    private func holds(_ kept: Kept, _ source: SourceText) -> Bool {
        if let fingerprint = kept.fingerprint, fingerprint == source.fingerprint { return true }
        return !source.isUnread
            && (try? Files.read("\(folder)/\(kept.file)", limit: source.bytes.count)) == source.bytes
    }

    private func writeIndex(_ sources: ConfigurationSources, _ kept: [Place: Kept]) throws(KernelError) {
        let documents = sources.byRole.map { role, source in
            JSONValue(object: [
                ("role", JSONValue(role)), ("name", JSONValue(source.name)),
                ("file", JSONValue(kept[Place(role: role, name: source.name)]?.file ?? "")),
            ])
        }
        let text = JSONValue(object: [("documents", JSONValue(documents))]).text(style: .pretty) + "\n"
        try Files.replace(index, with: Array(text.utf8), mode: 0o600)
    }

    // MARK: Reading

    /// Nil where there are none, or not all of them.
    func sources() -> ConfigurationSources? {
        guard let entries = entries() else { return earlierSources() }
        var sources = ConfigurationSources()
        for (place, file) in entries {
            guard let bytes = try? Files.read("\(folder)/\(file)", limit: 1 << 30) else { return nil }
            sources.add(SourceText(name: place.name, bytes: bytes), as: place.role)
        }
        return sources
    }

    private func readIndex() -> [Place: Kept]? {
        entries().map { Dictionary($0.map { ($0.place, Kept(file: $0.file)) }) { first, _ in first } }
    }

    private func entries() -> [(place: Place, file: String)]? {
        guard let bytes = try? Files.read(index, limit: 64 << 20),
            let documents = (try? JSONValue(parsing: bytes, dialect: .json))?["documents"]?.array
        else { return nil }
        var entries: [(place: Place, file: String)] = []
        for document in documents {
            // All or none: without one of its documents it is another policy. The file's name becomes a path: a number,
            // and nothing else.
            guard let role = document["role"]?.string, let name = document["name"]?.string,
                let file = document["file"]?.string, let number = Int(file), Self.numbers.contains(number)
            else { return nil }
            entries.append((Place(role: role, name: name), file))
        }
        return entries
    }

    private static let numbers = 1...(1 << 53)

    private func earlierSources() -> ConfigurationSources? {
        func source(_ value: JSONValue?) -> SourceText? {
            guard let name = value?["name"]?.string, let text = value?["text"]?.string else { return nil }
            return SourceText(name: name, text: text)
        }
        guard let bytes = try? Files.read(earlierPath, limit: 1 << 30),
            let document = try? JSONValue(parsing: bytes, dialect: .json), let policies = document["policies"]?.array
        else { return nil }
        return ConfigurationSources(
            settings: source(document["settings"]), policies: policies.compactMap(source),
            bindings: source(document["bindings"]), serviceTags: source(document["serviceTags"]))
    }
}

extension ConfigurationSources {
    /// As the index names them.
    private enum Role: String {
        case settings
        case bindings
        case serviceTags
        case policy
    }

    fileprivate var byRole: [(role: String, source: SourceText)] {
        let single: [(Role, SourceText?)] = [
            (.settings, settings), (.bindings, bindings), (.serviceTags, serviceTags),
        ]
        return single.compactMap { role, source in source.map { (role.rawValue, $0) } }
            + policies.map { (Role.policy.rawValue, $0) }
    }

    fileprivate mutating func add(_ source: SourceText, as role: String) {
        switch Role(rawValue: role) {
        case .settings: settings = source
        case .bindings: bindings = source
        case .serviceTags: serviceTags = source
        case .policy, nil: policies.append(source)
        }
    }
}
