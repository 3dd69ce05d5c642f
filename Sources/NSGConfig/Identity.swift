import JSONText
import NSGModel

extension Fields {
    /// The id of a resource: as written, else made of its name and the defaults (C2). Nil after a report.
    func identity(_ kind: ResourceKind, _ defaults: Settings.Defaults) -> ResourceID? {
        if let written = self["id"] { return identity(from: written, kind) }
        guard let name = resourceName(nil) else { return nil }
        // The flattened shape of `az` names the resource group beside the resource.
        let group = text("resourceGroup") ?? defaults.resourceGroup
        if kind == .flowLog {
            let watcher = ResourceID(
                subscription: defaults.subscriptionID, resourceGroup: "NetworkWatcherRG", type: "networkWatchers",
                name: "NetworkWatcher_\(text("location") ?? defaults.location)")
            return watcher.child(kind.collection, name)
        }
        return ResourceID(
            subscription: defaults.subscriptionID, resourceGroup: group, provider: kind.provider, type: kind.rawValue,
            name: name)
    }

    /// The id of a resource inside another: as written where it is that of the parent and the name, else made of them.
    func identity(_ kind: ResourceKind, in parent: ResourceID) -> ResourceID? {
        let written = self["id"].flatMap { identity(from: $0, kind) }
        guard let name = resourceName(written?.name) else { return written }
        let own = parent.child(kind.collection, name)
        if let written, written == own { return written }
        if let written, written.name.lowercased() != name.lowercased() { return own }
        if written != nil {
            self["id"]?.report(
                .invalidResourceID, "the id does not lie below \(shown(parent.description))",
                remedy: "write \(shown(own.description)), or leave the id out")
        }
        return own
    }

    private func identity(from element: Element, _ kind: ResourceKind) -> ResourceID? {
        guard let text = element.text() else { return nil }
        let id = ResourceID(text)
        let isWellFormed =
            text.lowercased().hasPrefix("/subscriptions/") && !text.contains("//")
            && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7f }
        guard isWellFormed, !id.resourceGroup.isEmpty, ResourceKind(id: text) == kind else {
            element.report(
                .invalidResourceID, "\(shown(text)) is not the id of a resource of kind \(kind.collection)",
                remedy:
                    "write /subscriptions/…/resourceGroups/…/providers/\(kind.type)/…, or leave it out"
            )
            return nil
        }
        if let name = self.text("name"), name.lowercased() != id.name.lowercased() {
            element.report(
                .conflictingProperties, "the id ends with \(shown(id.name)), and the name is \(shown(name))",
                remedy: "correct one of them, or leave the id out")
        }
        return checkedName(id.name, at: element) ? id : nil
    }

    /// The property `name`, checked; `known` stands in for a missing one.
    func resourceName(_ known: String?) -> String? {
        guard let element = self["name"] else {
            if known == nil { reportMissing("name") }
            return known
        }
        guard let name = element.text() else { return nil }
        return checkedName(name, at: element) ? name : nil
    }

    /// 1 to 80 characters; begins with a letter, a digit or `_`, ends so too; between them also `.` and `-`. Source:
    /// Azure documentation, "Naming rules and restrictions for Azure resources".
    private func checkedName(_ name: String, at element: Element) -> Bool {
        func isWord(_ byte: UInt8?) -> Bool {
            guard let byte else { return false }
            return switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
            default: false
            }
        }
        let bytes = name.utf8
        if bytes.count <= 80, isWord(bytes.first), isWord(bytes.last),
            bytes.allSatisfy({ isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") })
        {
            return true
        }
        element.report(
            .invalidResourceName, "Resource name \(shown(name)) is invalid.",
            remedy: "use up to 80 letters, digits, '_', '.' and '-', with a letter, a digit or '_' at both ends")
        return false
    }
}
