/// What to take from a set and what to add to it, so that it holds other elements. O(n) where both are ascending.
struct ElementEdits {
    private(set) var gone: [SetElement] = []
    private(set) var come: [SetElement] = []

    init(from old: [SetElement], to new: [SetElement]) {
        var (left, right) = (0, 0)
        while left < old.count, right < new.count {
            if old[left] == new[right] {
                left += 1
                right += 1
            } else if new[right].comesBefore(old[left]) {
                come.append(new[right])
                right += 1
            } else {
                gone.append(old[left])
                left += 1
            }
        }
        gone += old[left...]
        come += new[right...]
    }

    /// Deletions first, since an interval that comes may overlap one that goes.
    func operations(on set: NamedSet) -> [Operation] {
        (gone.isEmpty ? [] : [.deleteElements(gone, from: set)]) + (come.isEmpty ? [] : [.addElements(come, to: set)])
    }
}

extension SetKey: Comparable {
    /// The order of a set's elements, in which a dump gives them too: ranges by their first value, names by their
    /// letters, concatenations part by part; what holds all else is the last.
    package static func < (left: SetKey, right: SetKey) -> Bool {
        switch (left, right) {
        case (.values(let left), .values(let right)):
            (left.lowerBound, left.upperBound) < (right.lowerBound, right.upperBound)
        case (.device(let left), .device(let right)): left < right
        case (.concatenation(let left), .concatenation(let right)): left.lexicographicallyPrecedes(right)
        case (.values, _), (.device, .concatenation), (.device, .catchAll), (.concatenation, .catchAll): true
        case (.device, _), (.concatenation, _), (.catchAll, _): false
        }
    }
}
