// Paired sets: large ones that change a little now and then. A packet may look into the same set in two lists, so that
// an edit of a set in use could have it judged by the old content in one and by the new in the other (KERNEL 2). So the
// kernel holds two sets of the same content, of which rules use one; a change is made in the other, element by element,
// the swap replaces the rules that look into it, and the sweep makes the same change in the first. Maps too: the idle
// one of a pair leads to chains before packets come to them, and as long as it does they stay.

extension SetName {
    /// Under which the kernel may hold a paired set, in order of preference: the wanted name and its twin; the others
    /// serve where somebody else's hand has both in use.
    package var pairNames: [SetName] {
        [self] + "bcdefgh".map { SetName("\(self).\($0)") }
    }
}

/// A wanted ruleset in which each paired set has the name of the one of its two sets that rules shall use.
struct PairedSets {
    /// The wanted ruleset with these names, in rules too; no set in it is paired any more.
    private(set) var ruleset: Ruleset
    /// Names, in the ruleset, of sets that may be edited element by element: nothing in force looks into them.
    private(set) var edited: Set<SetName> = []
    /// The other of each pair, with the same content; after the swap nothing looks into it.
    private(set) var spares: [NamedSet] = []

    init(of wanted: Ruleset, in old: Ruleset, _ facts: TableFacts) {
        ruleset = wanted
        let paired = wanted.sets.values.filter(\.isPaired).sorted { $0.name < $1.name }
        guard !paired.isEmpty else { return }
        var newNames: [SetName: SetName] = [:]
        for set in paired {
            let names = set.name.pairNames.filter { $0 == set.name || wanted.sets[$0] == nil }
            let name = Self.choice(of: names, for: set, in: old, facts)
            ruleset.sets[set.name] = nil
            ruleset.sets[name] = set.named(name, editing: old.sets[name])
            if name != set.name { newNames[set.name] = name }
            if !facts.isReached(name) { edited.insert(name) }
            if let spare = names.prefix(2).first(where: { $0 != name }) {
                spares.append(set.named(spare, editing: old.sets[spare]))
            }
        }
        if !newNames.isEmpty { ruleset.renameSets(newNames) }
    }

    /// The one in force where its content is right; else one that nothing in force looks into, best one that holds the
    /// content already.
    private static func choice(
        of names: [SetName], for set: NamedSet, in old: Ruleset, _ facts: TableFacts
    ) -> SetName {
        let right = names.filter { old.sets[$0]?.isEquivalent(to: set) == true }
        if let inForce = right.first(where: facts.isReached) ?? right.first { return inForce }
        return names.first { name in
            guard let present = old.sets[name] else { return true }
            // Of another kind, it has to be deleted first, which the kernel refuses while any rule names it.
            return !facts.isReached(name) && (present.isEditable(to: set) || !facts.isInUse(name))
        } ?? set.name
    }
}

extension NamedSet {
    /// Under the name of one of its pair.
    /// - Parameter present: what has that name; where it can be edited it keeps the room it has.
    fileprivate func named(_ name: SetName, editing present: NamedSet?) -> NamedSet {
        var named = NamedSet(
            name, keyType: keyType, isInterval: isInterval, values: values, expires: expires,
            elements: elements)
        if let present, present.isEditable(to: self) {
            named.capacity = present.capacity
        } else {
            named.capacity = roomToGrow
        }
        return named
    }

    /// Half as much again. A hash table that grows while it is filled takes half as long again for each element
    /// (2.7 and 4.2 µs on Linux 6.18); intervals are in a tree, which needs no room beforehand.
    private var roomToGrow: Int? { isInterval ? nil : max(256, elements.count + elements.count / 2) }
}
