import JSONText
import NSGModel
import NetworkTypes

extension ServiceTagFile {
    /// Reads a file by itself.
    package init(_ source: SourceText) throws(ConfigurationFaults) {
        let diagnostics = Diagnostics()
        guard let file = ServiceTagFile(source, diagnostics), diagnostics.faults.isEmpty else {
            throw ConfigurationFaults(diagnostics.faults)
        }
        self = file
    }

    /// Nil if there is no text and, after a report, if it cannot be read. Faults in entries are reported, and the rest
    /// is read.
    init?(_ source: SourceText?, _ diagnostics: Diagnostics) {
        // The tree of a file of 4 MB is dropped with this scope; what stays is the prefixes.
        guard let source, Self.isShort(source, diagnostics), let document = parsed(source, diagnostics) else {
            return nil
        }
        guard Self.isTagFile(document), let fields = Fields(document, .serviceTagFile),
            let values = fields["values"]?.elements()
        else {
            document.report(
                .wrongType, Self.strangeness(of: document),
                remedy: """
                    take ServiceTags_Public_….json as Microsoft publishes it weekly, or what `az network list-service-tags` \
                    prints
                    """)
            return nil
        }
        if let next = fields["nextLink"] {
            next.report(
                .unknownValue, "this answer is the first part of several", remedy: "join the values of all its pages")
        }
        self.init(changeNumber: fields.count("changeNumber"), cloud: fields.remark("cloud") ?? "", entries: [:])
        entries.reserveCapacity(values.count)
        for element in values {
            guard let entry = Entry(element) else { continue }
            if let other = entries.updateValue(entry, forKey: ServiceTag(entry.name).key) {
                element.report(
                    .duplicateResource, "the tag \(shown(other.name)) is defined twice",
                    remedy: "take the file as Microsoft publishes it")
            }
        }
    }

    private static func isShort(_ source: SourceText, _ diagnostics: Diagnostics) -> Bool {
        guard source.bytes.count > limit else { return true }
        diagnostics.report(
            .limitReached, at: Place(file: source.name, line: 0, trail: .root),
            "the file has \(source.bytes.count) bytes, of at most \(limit)",
            remedy: "take the file as Microsoft publishes it: it has about 4 MB")
        return false
    }

    /// Whether some entry looks like one of Microsoft's; what is wrong in a single entry is told there.
    private static func isTagFile(_ document: Element) -> Bool {
        let values = document.value.object?.first { $0.key.lowercased() == "values" }?.value
        return values?.array?.contains { entry in
            entry["name"] != nil && (entry["properties"] ?? entry)["addressPrefixes"] != nil
        } ?? false
    }

    private static func strangeness(of document: Element) -> String {
        guard let members = document.value.object else {
            return "this is no file of service tags: it is \(document.value.kindName), not an object with values"
        }
        let keys = members.map(\.key)
        if keys.contains(where: { $0.lowercased() == "values" }) {
            return "this is no file of service tags: values is no list of entries with name and addressPrefixes"
        }
        return "this is no file of service tags: it has no values, but \(keys.isEmpty ? "nothing" : enumerated(keys))"
    }
}

extension ServiceTagFile.Entry {
    /// Nil after a report.
    fileprivate init?(_ element: Element) {
        guard let entry = Fields(element, .serviceTagEntry), let name = entry.required("name")?.text() else {
            return nil
        }
        guard ServiceTag.isName(name) else {
            element.report(
                .unknownValue, "\(shown(name)) cannot be the name of a tag",
                remedy: "take the file as Microsoft publishes it")
            return nil
        }
        self.init(
            name: name, prefixes: [], changeNumber: entry.count("changeNumber"), networkFeatures: nil,
            isOfferedForSecurityGroups: true)
        if let list = entry.present("addressPrefixes") {
            prefixes = Self.prefixes(list)
        } else {
            entry.reportMissing("addressPrefixes")
        }
        if let features = entry.present("networkFeatures") {
            networkFeatures = features.value.array?.compactMap(\.string)
            isOfferedForSecurityGroups = networkFeatures?.contains("NSG") ?? false
        }
    }

    /// The file holds some 100,000 prefixes: a path is made for those alone that are wrong.
    private static func prefixes(_ list: Element) -> [IPPrefix] {
        guard let values = list.value.array else { return list.wrongType("an array") ?? [] }
        var prefixes: [IPPrefix] = []
        prefixes.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            if let text = value.string, let read = IPPrefix.read(text), !read.hasHostBits {
                prefixes.append(read.prefix)
            } else {
                let wrong = Element(
                    value: value, trail: list.trail.appending(index), file: list.file, diagnostics: list.diagnostics)
                _ = wrong.prefix()
            }
        }
        return prefixes
    }
}

extension Fields {
    /// The file writes numbers, the discovery API texts.
    fileprivate func count(_ name: String) -> Int? {
        guard let value = self[name]?.value else { return nil }
        return value.int ?? value.string.flatMap { Int($0) }
    }
}

extension Schema {
    fileprivate static let serviceTagFile = Schema(
        "a service tag file", reads: ["values", "changeNumber", "cloud", "nextLink"],
        passesOver: ["name", "id", "type"],
        unknown: .refusedWhenNear, isResource: false)
    fileprivate static let serviceTagEntry = Schema(
        "a service tag", reads: ["name", "addressPrefixes", "networkFeatures", "changeNumber"],
        passesOver: ["region", "regionId", "platform", "systemService", "state", "serviceTagChangeNumber"],
        unknown: .refusedWhenNear, isResource: true)
}

extension ServiceTag {
    /// Whether a word can be the name of a tag: a letter, then letters, digits, `.`, `_` and `-`.
    static func isName(_ text: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
        }
        guard let first = text.utf8.first, isLetter(first), text.utf8.count <= 128 else { return false }
        return text.utf8.allSatisfy { byte in
            isLetter(byte) || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || [0x2d, 0x2e, 0x5f].contains(byte)
        }
    }
}
