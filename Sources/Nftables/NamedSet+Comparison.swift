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
