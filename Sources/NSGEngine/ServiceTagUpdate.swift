package import JSONText
package import NSGConfig
import NSGModel
import NetworkTypes

/// What an update of the file of service tags changes.
package struct ServiceTagUpdate: Hashable, Sendable {
    package enum Result: String, Hashable, Sendable {
        /// In the kernel.
        case applied
        /// The file was replaced; no set in the kernel is another one.
        case unchanged
        /// The file was replaced, and nothing is enforced, or nobody asked the daemon.
        case stored
    }

    package var result = Result.stored
    package var previousChangeNumber: Int?
    package var changeNumber: Int?
    package var cloud: String
    /// Names, sorted.
    package var added: [String] = []
    package var removed: [String] = []
    package var changed: [String] = []
    /// Of all tags, those added and removed included.
    package var prefixesAdded = 0
    package var prefixesRemoved = 0
    /// Of the tags above, those that rules name and no setting overrides.
    package var inUse: [String] = []
    /// Operations sent to the kernel, of which one may add all elements of a set; what is swept later is counted too.
    package var messages = 0
    package var warnings: [String] = []

    /// - Parameters:
    ///   - configuration: the documents that the new file was checked with; nil for none.
    package init(from old: ServiceTagFile?, to new: ServiceTagFile, _ configuration: Configuration?) {
        previousChangeNumber = old?.changeNumber
        changeNumber = new.changeNumber
        cloud = new.cloud
        let used = configuration.map { Set($0.estate.rulesByServiceTag.keys) } ?? []
        let own = configuration?.settings.serviceTags ?? [:]
        func note(_ name: String, _ key: String) {
            if used.contains(key), own[key] == nil { inUse.append(name) }
        }
        for (key, entry) in new.entries {
            guard let before = old?.entries[key] else {
                added.append(entry.name)
                prefixesAdded += entry.prefixes.count
                note(entry.name, key)
                continue
            }
            guard before.prefixes != entry.prefixes else { continue }
            let (left, right) = (Set(before.prefixes), Set(entry.prefixes))
            guard left != right else { continue }
            changed.append(entry.name)
            prefixesAdded += right.subtracting(left).count
            prefixesRemoved += left.subtracting(right).count
            note(entry.name, key)
        }
        for (key, entry) in old?.entries ?? [:] where new.entries[key] == nil {
            removed.append(entry.name)
            prefixesRemoved += entry.prefixes.count
            note(entry.name, key)
        }
        for list in [\Self.added, \.removed, \.changed, \.inUse] { self[keyPath: list].sort() }
        warnings = Self.warnings(from: old, to: new)
    }

    /// An older file is taken, as going back a week is what helps when a new one is bad; it is said aloud, as it mostly
    /// is a mistake.
    private static func warnings(from old: ServiceTagFile?, to new: ServiceTagFile) -> [String] {
        guard let old else { return [] }
        var warnings: [String] = []
        if old.cloud.lowercased() != new.cloud.lowercased(), !old.cloud.isEmpty, !new.cloud.isEmpty {
            warnings.append("the file is of the cloud \(new.cloud), the one before of \(old.cloud)")
        } else if let before = old.changeNumber, let number = new.changeNumber, number < before {
            warnings.append("the file is older than the one before: changeNumber \(number) follows \(before)")
        }
        return warnings
    }

    package var json: JSONValue {
        func list(_ texts: [String]) -> JSONValue { JSONValue(texts.map { JSONValue($0) }) }
        return JSONValue(object: [
            ("result", JSONValue(result.rawValue)),
            ("previousChangeNumber", previousChangeNumber.map { JSONValue($0) } ?? JSONValue(.null)),
            ("changeNumber", changeNumber.map { JSONValue($0) } ?? JSONValue(.null)), ("cloud", JSONValue(cloud)),
            ("added", list(added)), ("removed", list(removed)), ("changed", list(changed)),
            ("prefixesAdded", JSONValue(prefixesAdded)), ("prefixesRemoved", JSONValue(prefixesRemoved)),
            ("inUse", list(inUse)), ("messages", JSONValue(messages)), ("warnings", list(warnings)),
        ])
    }
}
