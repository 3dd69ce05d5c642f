import JSONText
import NSGModel
package import NetworkTypes

/// Microsoft's weekly file of service tags, or the discovery API's answer, as far as it is needed (FACTS d2).
package struct ServiceTagFile: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        /// As the file spells it.
        package var name: String
        /// In the order of the file.
        package var prefixes: [IPPrefix]
        package var changeNumber: Int?
        /// `NSG`, `FW`, …; nil where the file does not say (`null`, and answers of the discovery API).
        package var networkFeatures: [String]?
        /// Whether the file leaves open, or says, that rules of security groups may name the tag.
        package var isOfferedForSecurityGroups: Bool
    }

    /// Of the whole file; nil where it has none.
    package var changeNumber: Int?
    /// `Public`, `AzureGovernment`, …; empty where the file does not say.
    package var cloud: String
    /// By `ServiceTag.key`.
    package var entries: [String: Entry]

    /// Bytes of the text. The file of all public regions has 4 MB.
    package static let limit = 32 << 20

    package init(changeNumber: Int? = nil, cloud: String = "", entries: [String: Entry]) {
        self.changeNumber = changeNumber
        self.cloud = cloud
        self.entries = entries
    }

    package var names: [String] { entries.values.map(\.name).sorted() }
    package var prefixCount: Int { entries.values.reduce(0) { $0 + $1.prefixes.count } }
}

extension Settings {
    /// Own tags win (C6).
    func serviceTags(over file: ServiceTagFile?) -> [String: [IPPrefix]] {
        (file?.entries.mapValues(\.prefixes) ?? [:]).merging(serviceTags) { _, own in own }
    }

    func serviceTagNames(over file: ServiceTagFile?) -> [String: String] {
        (file?.entries.mapValues(\.name) ?? [:]).merging(serviceTagNames) { _, own in own }
    }
}

extension Configuration {
    /// The same documents with another file of service tags: what an update of the file brings into force, and nothing
    /// else (S10). A rule that names a tag which the new file does not have is a fault, at the rule's line.
    package func replacing(serviceTags file: ServiceTagFile) throws(ConfigurationFaults) -> Configuration {
        let diagnostics = Diagnostics()
        for (key, rules) in estate.rulesByServiceTag where file.entries[key] == nil && settings.serviceTags[key] == nil
        {
            for rule in rules {
                let named = rule.source.serviceTags.union(rule.destination.serviceTags).first { $0.key == key }
                guard let tag = named, !tag.isComputed else { continue }
                let noun = rule.kind == .admin ? "Security admin rule" : "Security rule"
                diagnostics.report(
                    .securityRuleInvalidAddressPrefix,
                    at: Place(file: rule.location?.file ?? "", line: rule.location?.line ?? 0, trail: .root),
                    "\(noun) \(shown(rule.id.description)) has invalid Address prefix. Value provided: \(shown(tag.description))",
                    remedy: ServiceTagFile.remedy(forUnknown: tag, in: file, settings, diagnostics))
            }
        }
        guard diagnostics.faults.isEmpty else { throw ConfigurationFaults(diagnostics.faults) }
        var replaced = self
        replaced.serviceTagFile = file
        replaced.estate.serviceTags = settings.serviceTags(over: file)
        replaced.estate.serviceTagNames = settings.serviceTagNames(over: file)
        return replaced
    }
}
