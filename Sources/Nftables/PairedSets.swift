// Paired sets: large ones that change a little now and then. A packet may look into the same set in two lists, so that
// an edit of a set in use could have it judged by the old content in one and by the new in the other (KERNEL 2). So the
// kernel holds two sets of the same content, of which rules use one; a change is made in the other, element by element,
// the swap replaces the rules that look into it, and the sweep makes the same change in the first. Maps too: the idle one
// of a pair leads to chains before packets come to them, and as long as it does they stay.

extension SetName {
    /// Under which the kernel may hold a paired set, in order of preference: the wanted name and its twin; the others
    /// serve where somebody else's hand has both in use.
    package var pairNames: [SetName] {
        [self] + "bcdefgh".map { SetName("\(self).\($0)") }
    }
}

extension NamedSet {
    /// Of the same kind, whatever it holds.
    func isOfKind(_ other: NamedSet) -> Bool {
        keyType == other.keyType && isInterval == other.isInterval && values == other.values
            && expires == other.expires
    }

    /// Whether both do the same for packets. What expires by itself is no part of that, nor is what a set is paired
    /// with.
    package func isEquivalent(to other: NamedSet) -> Bool {
        isOfKind(other) && (expires || elements == other.elements)
    }

    /// Whether elements can be added and deleted, so that it becomes equivalent to another set. Not where it holds what
    /// cannot be read, or has no room for what comes.
    func isEditable(to other: NamedSet) -> Bool {
        isOfKind(other) && (elements.first.map { keyType.admits($0.key) } ?? true)
            && capacity.map { other.elements.count <= $0 } ?? true
    }
}

extension KeyType {
    /// Whether a key is of this type, whatever its value.
    func admits(_ key: SetKey) -> Bool {
        switch (self, key) {
        case (.deviceName, .device(let name)): (1...15).contains(name.utf8.count)
        case (.concatenation(let types), .concatenation(let keys)):
            types.count == keys.count && zip(types, keys).allSatisfy { $0.admits($1) }
        case (.deviceName, .values), (.concatenation, .values): false
        case (_, .values), (_, .catchAll): true
        case (_, .device), (_, .concatenation): false
        }
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

extension Ruleset {
    fileprivate mutating func renameSets(_ names: [SetName: SetName]) {
        var renamed: [ChainName] = []
        for (name, chain) in chains where chain.rules.contains(where: { $0.names(anyOf: names) }) {
            renamed.append(name)
        }
        for name in renamed {
            guard let rules = chains[name]?.rules else { continue }
            chains[name]?.rules = rules.map { rule in
                rule.names(anyOf: names)
                    ? Rule(rule.steps.map { $0.renamingSet(names) }, comment: rule.comment) : rule
            }
        }
    }
}

extension Rule {
    fileprivate func names(anyOf names: [SetName: SetName]) -> Bool { steps.contains { $0.names(anyOf: names) } }
}

extension Step {
    /// The sets and maps it looks into.
    package var sets: [SetName] {
        switch self {
        case .lookup(_, let name), .membership(_, let name, _), .dispatch(_, let name): [name]
        case .classify(let classification): classification.sets
        case .match, .counter, .setLabel, .log, .setTimeout, .verdict: []
        }
    }

    /// The map whose verdicts it may give.
    package var verdictMap: SetName? {
        switch self {
        case .dispatch(_, let name): name
        case .classify(let classification): classification.outcomes
        case .match, .lookup, .membership, .counter, .setLabel, .log, .setTimeout, .verdict: nil
        }
    }

    fileprivate func names(anyOf names: [SetName: SetName]) -> Bool { sets.contains { names[$0] != nil } }

    fileprivate func renamingSet(_ names: [SetName: SetName]) -> Step {
        switch self {
        case .lookup(let field, let name): .lookup(field, in: names[name] ?? name)
        case .membership(let fields, let name, let isIn): .membership(fields, of: names[name] ?? name, isIn: isIn)
        case .dispatch(let field, let name): .dispatch(field, through: names[name] ?? name)
        case .classify(let classification): .classify(classification.renamingSets(names))
        case .match, .counter, .setLabel, .log, .setTimeout, .verdict: self
        }
    }
}

extension Classification {
    fileprivate func renamingSets(_ names: [SetName: SetName]) -> Classification {
        var renamed = self
        renamed.classes = names[classes] ?? classes
        renamed.points = points.map { names[$0] ?? $0 }
        renamed.ranges = names[ranges] ?? ranges
        renamed.outcomes = names[outcomes] ?? outcomes
        return renamed
    }
}
