/// The id of an Azure resource, as written; compared without case, as Azure does.
package struct ResourceID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String
    private let folded: String

    package init(_ text: String) {
        description = text
        folded = text.lowercased()
    }

    /// `/subscriptions/S/resourceGroups/G/providers/PROVIDER/TYPE/NAME`.
    package init(
        subscription: String, resourceGroup: String, provider: String = "Microsoft.Network", type: String, name: String
    ) {
        self.init(
            "/subscriptions/\(subscription)/resourceGroups/\(resourceGroup)/providers/\(provider)/\(type)/\(name)")
    }

    /// The id of a child: `…/virtualNetworks/v` to `…/virtualNetworks/v/subnets/s`.
    package func child(_ type: String, _ name: String) -> ResourceID { ResourceID("\(description)/\(type)/\(name)") }

    package var name: String {
        let text = description.utf8
        // As most ids are: without a slash at the end.
        if let slash = text.lastIndex(of: UInt8(ascii: "/")), text.index(after: slash) != text.endIndex {
            return String(description[text.index(after: slash)...])
        }
        return segments.last.map(String.init) ?? ""
    }
    package var subscription: String { value(after: "subscriptions") ?? "" }
    package var resourceGroup: String { value(after: "resourcegroups") ?? "" }

    /// The id of the resource that holds this one; nil at the top.
    package var parent: ResourceID? {
        let parts = segments
        guard parts.count > 8 else { return nil }
        return ResourceID("/" + parts.dropLast(2).joined(separator: "/"))
    }

    /// Of a collection of security admin rules the network manager:
    /// `…/networkManagers/M/securityAdminConfigurations/C/ruleCollections/R`. The id itself where nothing stands above.
    package var networkManager: ResourceID { parent?.parent ?? self }

    /// The last type of the id, such as `networkSecurityGroups`, as written; "" where there is none.
    package var type: String { segments.dropLast().last.map(String.init) ?? "" }

    private var segments: [Substring] { description.utf8.split(separator: UInt8(ascii: "/")).map { Substring($0) } }

    private func value(after key: String) -> String? {
        let parts = segments
        guard let index = parts.firstIndex(where: { $0.lowercased() == key }), index + 1 < parts.count else {
            return nil
        }
        return String(parts[index + 1])
    }

    package static func == (left: Self, right: Self) -> Bool { left.folded == right.folded }
    package static func < (left: Self, right: Self) -> Bool { left.folded < right.folded }
    package func hash(into hasher: inout Hasher) { hasher.combine(folded) }
}

/// Where in a document something is written: `policy.d/web.json:12`.
package struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    package var file: String
    package var line: Int

    package init(file: String, line: Int) {
        self.file = file
        self.line = line
    }

    package var description: String { "\(file):\(line)" }
}
