import JSONText
import NSGModel
import NetworkTypes

/// Reads Microsoft's weekly file of service tags, or the same `values` as the discovery API gives them (FACTS d2).
struct ServiceTagsDraft {
    /// By `ServiceTag.key`.
    var prefixes: [String: [IPPrefix]] = [:]
    /// Keys of entries that Azure does not offer for security groups.
    var notOffered: Set<String> = []
    /// As the file spells them.
    var names: [String] = []
    /// The document is something else, so that what it lacks says nothing.
    var isForeign = false

    init() {}

    init(_ document: Element) {
        guard document.isServiceTagFile, let values = document.value["values"] else {
            document.report(
                .wrongType,
                "this is no file of service tags: it has no list `values` of entries with name and prefixes",
                remedy: "put Microsoft's weekly file (ServiceTags_Public_….json) there, whole and unchanged")
            isForeign = true
            return
        }
        guard let values = document.child("values", values).elements() else { return }
        prefixes.reserveCapacity(values.count)
        for element in values {
            guard let entry = Fields(element, .serviceTagEntry), let name = entry.required("name")?.text() else {
                continue
            }
            guard ServiceTag.isName(name) else {
                element.report(
                    .unknownValue, "\(shown(name)) cannot be the name of a tag",
                    remedy: "load the file as Microsoft publishes it")
                continue
            }
            let key = ServiceTag(name).key
            names.append(name)
            if let list = entry.present("addressPrefixes") {
                prefixes[key] = Self.prefixes(list)
            } else {
                entry.reportMissing("addressPrefixes")
            }
            if let features = entry.present("networkFeatures"), !Self.offersSecurityGroups(features) {
                notOffered.insert(key)
            }
        }
    }

    /// The file holds some 100,000 prefixes: a path is made for those alone that are wrong.
    private static func prefixes(_ list: Element) -> [IPPrefix] {
        guard let values = list.value.array else { return list.wrongType("an array") ?? [] }
        var prefixes: [IPPrefix] = []
        prefixes.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            if let text = value.string, let prefix = IPPrefix(text), !IPPrefix.hasHostBits(text) {
                prefixes.append(prefix)
            } else {
                let wrong = Element(
                    value: value, path: list.path.appending(index), file: list.file, diagnostics: list.diagnostics)
                _ = wrong.prefix()
            }
        }
        return prefixes
    }

    private static func offersSecurityGroups(_ features: Element) -> Bool {
        features.value.array?.contains { $0.string == "NSG" } ?? false
    }
}

extension Schema {
    fileprivate static let serviceTagEntry = Schema(
        "a service tag", reads: ["name", "addressPrefixes", "networkFeatures"],
        passesOver: ["changeNumber", "region", "regionId", "platform", "systemService"], unknown: .refusedWhenNear,
        isResource: true)
}

extension Element {
    /// Whether some entry looks like one of Microsoft's; what is wrong in a single entry is told there.
    fileprivate var isServiceTagFile: Bool {
        value["values"]?.array?.contains { entry in
            entry["name"] != nil && (entry["properties"] ?? entry)["addressPrefixes"] != nil
        } ?? false
    }
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
