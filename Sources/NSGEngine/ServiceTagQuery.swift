package import JSONText
package import NSGConfig
import NSGModel
package import NetworkTypes

/// Why a question about service tags has no answer.
package struct UnknownServiceTag: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
}

// Questions about service tags: `nsgctl service-tags show` and `lookup`, by the daemon and offline (K3).
extension Configuration {
    /// Where a tag comes from.
    private enum Kind: String {
        case file, setting, computed
    }

    private func kind(of tag: ServiceTag) -> Kind? {
        if tag.isComputed { return .computed }
        if settings.serviceTags[tag.key] != nil { return .setting }
        return serviceTagFile?.entries[tag.key] == nil ? nil : .file
    }

    // MARK: Show

    /// A `ServiceTagDetails` of the control interface.
    ///
    /// - Parameter merged: the fewest prefixes that cover the tag, instead of those written.
    package func details(ofServiceTag name: String, merged: Bool) throws(UnknownServiceTag) -> JSONValue {
        let tag = ServiceTag(name)
        guard let kind = kind(of: tag) else {
            let near = serviceTagNames(near: name)
            let hint = near.isEmpty ? "" : "; near to it: \(near.joined(separator: ", "))"
            throw UnknownServiceTag(description: "no tag is named \(jsonString(String(name.prefix(128))))\(hint)")
        }
        let entry = kind == .file ? serviceTagFile?.entries[tag.key] : nil
        let features = entry?.networkFeatures.map { JSONValue($0.map { JSONValue($0) }) }
        let rules = (estate.rulesByServiceTag[tag.key] ?? []).map { Self.json(of: $0, naming: tag) }
        return JSONValue(object: [
            ("name", JSONValue(estate.canonicalName(of: tag))), ("kind", JSONValue(kind.rawValue)),
            ("changeNumber", entry?.changeNumber.map { JSONValue($0) } ?? JSONValue(.null)),
            ("fileChangeNumber", entry == nil ? JSONValue(.null) : fileNumber),
            ("networkFeatures", features ?? JSONValue(.null)),
            ("expansions", JSONValue(expansions(of: tag, merged: merged))), ("rules", JSONValue(rules)),
        ])
    }

    private var fileNumber: JSONValue { serviceTagFile?.changeNumber.map { JSONValue($0) } ?? JSONValue(.null) }

    private func expansions(of tag: ServiceTag, merged: Bool) -> [JSONValue] {
        func expansion(_ network: String?, _ prefixes: [IPPrefix]) -> JSONValue {
            let shown = merged ? AddressSet(prefixes).prefixes : prefixes
            return JSONValue(object: [
                ("virtualNetwork", network.map { JSONValue($0) } ?? JSONValue(.null)),
                ("prefixes", JSONValue(shown.map { JSONValue($0.description) })),
            ])
        }
        guard tag == .virtualNetwork else { return [expansion(nil, estate.prefixes(of: tag))] }
        return estate.virtualNetworks.values.sorted { $0.id < $1.id }.map { network in
            expansion(network.id.description, network.tagPrefixes(probe: estate.platform.probe))
        }
    }

    private static func json(of rule: SecurityRule, naming tag: ServiceTag) -> JSONValue {
        let sides = [("source", rule.source), ("destination", rule.destination)]
        let naming = sides.filter { $0.1.serviceTags.contains(tag) }.map { JSONValue($0.0) }
        return JSONValue(object: [
            ("owner", JSONValue(rule.owner.description)), ("ruleName", JSONValue(rule.qualifiedName)),
            ("direction", JSONValue(rule.direction.rawValue)), ("access", JSONValue(rule.access.rawValue)),
            ("sides", JSONValue(naming)),
            ("file", rule.location.map { JSONValue("\($0.file):\($0.line)") } ?? JSONValue(.null)),
        ])
    }

    // MARK: Look up

    /// Every tag that holds an address, as `ServiceTagMatch`es, the most specific prefix first; `VirtualNetwork` once
    /// for each virtual network. Linear in the prefixes of all tags.
    package func serviceTags(holding address: IPAddress) -> [JSONValue] {
        var matches: [Match] = []
        func add(_ name: String, _ kind: Kind, _ prefixes: [IPPrefix], in network: String? = nil) {
            let holding = prefixes.filter { $0.contains(address) }
            guard let narrowest = holding.max(by: { $0.length < $1.length }) else { return }
            matches.append(Match(name: name, kind: kind.rawValue, prefix: narrowest, virtualNetwork: network))
        }
        for (key, prefixes) in estate.serviceTags {
            add(estate.serviceTagNames[key] ?? key, settings.serviceTags[key] == nil ? .file : .setting, prefixes)
        }
        for tag in ServiceTag.computed where tag != .virtualNetwork {
            add(tag.description, .computed, estate.prefixes(of: tag))
        }
        for network in estate.virtualNetworks.values {
            add(
                ServiceTag.virtualNetwork.description, .computed, network.tagPrefixes(probe: estate.platform.probe),
                in: network.id.description)
        }
        return matches.sorted().map(\.json)
    }

    private struct Match: Comparable {
        var name: String
        var kind: String
        var prefix: IPPrefix
        var virtualNetwork: String?

        static func < (left: Self, right: Self) -> Bool {
            (right.prefix.length, left.name, left.virtualNetwork ?? "")
                < (left.prefix.length, right.name, right.virtualNetwork ?? "")
        }

        var json: JSONValue {
            JSONValue(object: [
                ("name", JSONValue(name)), ("kind", JSONValue(kind)), ("prefix", JSONValue(prefix.description)),
                ("virtualNetwork", virtualNetwork.map { JSONValue($0) } ?? JSONValue(.null)),
            ])
        }
    }
}
