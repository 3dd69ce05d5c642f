import JSONText
import NSGModel

/// How a document names another resource: by id or by a bare name (C2).
struct Reference {
    var text: String
    var place: Place

    /// Ids begin with a slash; a bare name may hold one inside (`vnet/subnet`).
    var isID: Bool { text.hasPrefix("/") }
}

extension Element {
    /// `{"id": "/subscriptions/…"}`, the id itself, or a bare name in either place.
    func reference() -> Reference? {
        if value.object != nil {
            guard let id = Fields(self, .reference)?.required("id") else { return nil }
            return id.reference()
        }
        guard !isAbsent else { return wrongType("a name or an id") }
        return text().map { Reference(text: $0, place: place) }
    }
}

extension Schema {
    fileprivate static let reference = Schema("a reference", reads: ["id"], unknown: .refusedWhenNear, isResource: true)
}

/// The resources of one kind, to be found by id or name.
struct ResourceIndex {
    /// For messages: `network security group`.
    let noun: String
    private var places: [ResourceID: (id: ResourceID, place: Place)] = [:]
    private var names: [String: [ResourceID]] = [:]

    init(_ noun: String) { self.noun = noun }

    /// False, after a report, if the id is taken. `names` are those by which the resource may be called.
    mutating func insert(_ id: ResourceID, at place: Place, names own: [String], _ diagnostics: Diagnostics) -> Bool {
        if let other = places[id] {
            diagnostics.report(
                .duplicateResource, at: place,
                "the \(noun) \(shown(id.description)) is already defined at \(other.place.file):\(other.place.line)",
                remedy: "remove one of them")
            return false
        }
        places[id] = (id, place)
        for name in own { names[name.lowercased(), default: []].append(id) }
        return true
    }

    func contains(_ id: ResourceID) -> Bool { places[id] != nil }
    func place(of id: ResourceID) -> Place? { places[id]?.place }

    /// Without a report: the resource if exactly one fits.
    func lookUp(_ reference: Reference) -> ResourceID? {
        if reference.isID { return places[ResourceID(reference.text)]?.id }
        let fitting = names[reference.text.lowercased()] ?? []
        return fitting.count == 1 ? fitting.first : nil
    }

    /// Whether several resources have the bare name.
    func isAmbiguous(_ reference: Reference) -> Bool {
        !reference.isID && (names[reference.text.lowercased()]?.count ?? 0) > 1
    }

    /// The one resource that fits, as it spells its id; nil after a report. While some document could not be read
    /// (`isPartial`) a name that fits nothing is not reported: what it means may stand there.
    func resolve(_ reference: Reference, isPartial: Bool, _ diagnostics: Diagnostics) -> ResourceID? {
        if let found = lookUp(reference) { return found }
        let fitting = reference.isID ? [] : names[reference.text.lowercased()] ?? []
        if fitting.count > 1 {
            let candidates = diagnostics.mayCompare(with: fitting.count) ? fitting.sorted() : fitting
            diagnostics.report(
                .ambiguousReference, at: reference.place,
                "\(shown(reference.text)) fits \(fitting.count) \(noun)s: \(enumerated(candidates.lazy.map(\.description)))",
                remedy: "write the id of one of them")
        } else if !isPartial {
            diagnostics.report(
                .unknownReference, at: reference.place, "there is no \(noun) \(shown(reference.text))",
                remedy: remedy(for: reference, diagnostics))
        }
        return nil
    }

    private func remedy(for reference: Reference, _ diagnostics: Diagnostics) -> String {
        let article = noun.first.map { "aeiou".contains($0) } == true ? "an" : "a"
        guard !names.isEmpty else { return "add \(article) \(noun) to the documents; there is none" }
        guard diagnostics.mayCompare(with: names.count) else { return "name \(article) \(noun) of the documents" }
        // An id of a name that is known under another one: most likely the resource group or the subscription is wrong.
        let wanted = reference.isID ? ResourceID(reference.text).name.lowercased() : reference.text.lowercased()
        if let others = names[wanted] { return "candidates: \(enumerated(others.lazy.map(\.description)))" }
        let known = names.keys.sorted()
        let meant = nearest(to: wanted, among: known).map { "did you mean \(shown($0))? " } ?? ""
        return "\(meant)candidates: \(enumerated(known))"
    }
}
