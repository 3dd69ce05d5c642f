import JSONText
import NetworkTypes

/// The properties of one kind of object. Names are compared without case, as Azure does (`az` prints
/// `enableIpForwarding` where REST has `enableIPForwarding`).
struct Schema: Sendable {
    enum Unknown: Sendable {
        /// Every name that is not listed is a fault.
        case refused
        /// A name that is nearly one of those that are read is a fault; others may be new in Azure, and are passed
        /// over.
        case refusedWhenNear
    }

    /// With its article: `a security rule`.
    let noun: String
    let read: [String]
    let unknown: Unknown
    /// A resource may nest what it holds in `properties` (REST) or not (`az`).
    let isResource: Bool
    /// The names that are known, in lower case, and as they are mostly written.
    private let known: [String: Int]
    /// How many of them are read; these come first.
    private let readCount: Int

    init(_ noun: String, reads read: [String], passesOver others: [String] = [], unknown: Unknown, isResource: Bool) {
        self.noun = noun
        self.read = read
        self.unknown = unknown
        self.isResource = isResource
        var known: [String: Int] = [:]
        for (slot, name) in (read + others + (isResource ? Self.common : [])).enumerated() {
            let folded = name.lowercased()
            known[folded] = known[folded] ?? slot
            known[name] = known[folded]
        }
        self.known = known
        readCount = read.count
    }

    /// An object of our own documents, where nothing is passed over.
    static func own(_ noun: String, _ read: [String]) -> Schema {
        Schema(noun, reads: read, unknown: .refused, isResource: false)
    }

    /// What any resource may carry, in answers of Azure and in templates.
    private static let common = [
        "id", "name", "type", "kind", "location", "tags", "etag", "properties", "provisioningState", "resourceGuid",
        "resourceGroup", "apiVersion", "dependsOn", "condition", "comments", "scope", "zones", "sku", "identity",
        "extendedLocation", "resources", "managedBy", "systemData", "scale", "copy", "asserts", "metadata",
    ]

    /// Tells properties apart; nil for a name that is not listed.
    func slot(of name: String) -> Int? { known[name] ?? known[name.lowercased()] }
    func isRead(_ slot: Int) -> Bool { slot < readCount }
    /// Marks of one's own, which any resource may carry.
    func isMark(_ name: String) -> Bool { isResource && name.hasPrefix("_") }
}

/// The properties of an object, found by name. Both shapes of a resource look the same from here.
struct Fields {
    let element: Element
    private let schema: Schema
    private var entries: [Entry] = []
    /// To the object's own properties, and to the nested ones.
    private let trails: (own: Trail, nested: Trail)
    /// Properties, in lower case, that a reported misspelling probably stands for: they are not missed again.
    private var misspelt: Set<String> = []
    private var hasNestedProperties = false

    private struct Entry {
        var slot: Int
        var key: String
        var value: JSONValue
        var isNested: Bool
    }

    /// Nil, after a report, if the element is no object.
    init?(_ element: Element, _ schema: Schema) {
        self.element = element
        self.schema = schema
        guard let members = element.value.object else {
            let _: Void? = element.wrongType("an object")
            return nil
        }
        let own = element.trail.prepared
        trails = (own, schema.isResource ? own.appending("properties").prepared : own)
        entries.reserveCapacity(16)
        for member in members {
            if schema.isResource, member.key == "properties" {
                if let nested = member.value.object {
                    hasNestedProperties = true
                    for inner in nested { add(inner, isNested: true) }
                } else if !member.value.isNull {
                    let _: Void? = element.child(member.key, member.value).wrongType("an object")
                }
            } else {
                add(member, isNested: false)
            }
        }
    }

    private mutating func add(_ member: JSONValue.Member, isNested: Bool) {
        let slot = schema.slot(of: member.key)
        let entry = Entry(slot: slot ?? -1, key: member.key, value: member.value, isNested: isNested)
        guard let slot else {
            if !schema.isMark(member.key) { reportUnknown(entry) }
            return
        }
        guard let other = entries.firstIndex(where: { $0.slot == slot }) else { return entries.append(entry) }
        if schema.isRead(slot), entries[other].value != entry.value {
            self.element(for: entry).report(
                .conflictingProperties, "\(member.key) is written twice, with different values",
                remedy: "keep one of them")
        }
        entries[other] = entry
    }

    private mutating func reportUnknown(_ entry: Entry) {
        let unknown = element(for: entry)
        let meant =
            unknown.diagnostics.mayCompare(with: schema.read.count) ? nearest(to: entry.key, among: schema.read) : nil
        if schema.unknown == .refusedWhenNear, meant == nil { return }
        if let meant { misspelt.insert(meant.lowercased()) }
        unknown.report(
            .unknownProperty, "\(schema.noun) has no property \(shown(entry.key))",
            remedy: meant.map { "did you mean \($0)?" }
                ?? "remove it; what is read: \(schema.read.joined(separator: ", "))")
    }

    private func element(for entry: Entry) -> Element {
        let trail = entry.isNested ? trails.nested : trails.own
        return Element(
            value: entry.value, trail: trail.appending(entry.key), file: element.file, diagnostics: element.diagnostics)
    }

    /// What is written under a name; nil when it is absent, null, `""` or `[]`.
    subscript(name: String) -> Element? { present(name).flatMap { $0.isAbsent ? nil : $0 } }

    /// What is written under a name, be it null or empty.
    func present(_ name: String) -> Element? {
        guard let slot = schema.slot(of: name), let entry = entries.first(where: { $0.slot == slot }) else {
            return nil
        }
        return element(for: entry)
    }

    /// Whether a property that was reported as unknown probably stands for this one.
    func isMisspelt(_ name: String) -> Bool { misspelt.contains(name.lowercased()) }

    /// Reports at the path where the property should stand, and the line of the object.
    func reportMissing(_ name: String, _ message: String? = nil, remedy: String? = nil) {
        guard !isMisspelt(name) else { return }
        let isOutside = ["id", "name"].contains(name) || !hasNestedProperties
        let parent = isOutside ? trails.own : trails.nested
        let place = Place(file: element.file, line: element.place.line, trail: parent.appending(name))
        element.diagnostics.report(
            .missingProperty, at: place, message ?? "\(schema.noun) needs \(name), and it is missing or empty",
            remedy: remedy ?? "add \(name)")
    }

    /// The property, or nil after a report that it is missing.
    func required(_ name: String) -> Element? {
        if let element = self[name] { return element }
        reportMissing(name)
        return nil
    }

    func text(_ name: String) -> String? { self[name]?.text() }
    /// A text that decides nothing, as written: templates compute such ones (`"[resourceGroup().location]"`).
    func remark(_ name: String) -> String? { self[name]?.value.string }
    func boolean(_ name: String) -> Bool? { self[name]?.boolean() }
    func integer(_ name: String, in range: ClosedRange<Int>) -> Int? { self[name]?.integer(in: range) }
    func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String, of type: Choice.Type) -> Choice? {
        required(name)?.choice(among: Array(type.allCases))
    }
    func choice<Choice: RawRepresentable<String>>(_ name: String, among choices: [Choice]) -> Choice? {
        required(name)?.choice(among: choices)
    }
    func elements(_ name: String) -> [Element] { self[name]?.elements() ?? [] }
    func prefixes(_ name: String) -> [IPPrefix] { elements(name).compactMap { $0.prefix() } }
    func reference(_ name: String) -> Reference? { self[name]?.reference() }
    func references(_ name: String) -> [Reference] { elements(name).compactMap { $0.reference() } }
}
