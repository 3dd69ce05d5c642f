import NetworkTypes

/// The cells of an earlier version of the list, in terms of this one's clauses.
struct EarlierCells {
    private let kept: KeptCells
    /// Of each earlier clause, where it is now; nil where it has changed or gone.
    private let places: [Int?]
    /// By number, where it is among the kept ones.
    private let classes: [UInt32: Int]
    /// What the cells held; nil where that was made of clauses that are no more.
    let contents: [CellTable.Content?]

    init(_ kept: KeptCells, _ moves: RuleMoves, _ clauses: [Clause]) {
        self.kept = kept
        let places = kept.places(moves, among: clauses)
        self.places = places
        classes = Dictionary(kept.classNumbers.enumerated().map { ($1, $0) }) { first, _ in first }
        contents = kept.contents.map { $0.moved(to: places) }
    }

    var dimension: Dimension { kept.dimension }

    /// Those of a class, if the clauses that hold in it are the ones that held in the earlier class of the number.
    func cells(ofClass number: UInt32, _ entries: [CellTable.Entry]) -> ClassCells? {
        guard let index = classes[number] else { return nil }
        let before = kept.cells(ofClassAt: index)
        guard before.entries.count == entries.count,
            zip(before.entries, entries).allSatisfy({ places[$0.index] == $1.index && $0.isGuard == $1.isGuard })
        else { return nil }
        var cells = ClassCells()
        for (services, content) in before.ranges {
            guard let content = contents[Int(content)] else { return nil }
            cells.add(services, content)
        }
        for (service, content) in before.points {
            guard let content = content == KeptCells.rest ? .rest : contents[Int(content)] else { return nil }
            cells.add(service, content)
        }
        return cells
    }
}

extension CellTable.Content {
    /// The same of clauses that stand elsewhere now; nil if one of them is no more.
    fileprivate func moved(to places: [Int?]) -> CellTable.Content? {
        switch self {
        case .rest: return .rest
        case .clause(let index): return places[index].map { .clause($0) }
        case .several(let entries):
            let moved = entries.compactMap { entry in
                places[entry.index].map {
                    CellTable.Entry(index: $0, isGuard: entry.isGuard, isSettled: entry.isSettled)
                }
            }
            return moved.count == entries.count ? .several(moved) : nil
        }
    }
}
