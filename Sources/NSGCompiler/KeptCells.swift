import NetworkTypes

/// What the classes of a table of cells hold, kept for the next version of the list: where the same clauses hold in a class,
/// its cells are the same. Without the clauses, and in few bytes: a large table has a hundred thousand cells.
struct KeptCells: Sendable {
    fileprivate struct Class {
        var number: UInt32
        // Where in the arrays that follow they end; they begin where those of the class before end.
        var entries: Int32
        var ranges: Int32
        var points: Int32
    }

    /// Of each clause, which of the list's it is.
    private let ordinals: [Int32]
    fileprivate let dimension: Dimension
    fileprivate private(set) var classes: [Class] = []
    fileprivate private(set) var entries: [CellTable.Entry] = []
    /// With the numbers of what they hold; what the rest decides has `rest`.
    fileprivate private(set) var ranges: [(services: ServiceRange, content: Int32)] = []
    fileprivate private(set) var points: [(service: UInt32, content: Int32)] = []
    fileprivate private(set) var contents: [CellTable.Content] = []

    fileprivate static let rest: Int32 = -1

    init(_ clauses: [Clause], by dimension: Dimension) {
        ordinals = clauses.map { Int32($0.ordinal) }
        self.dimension = dimension
    }

    /// Of each clause, where it is among others; nil where it is none of them.
    fileprivate func places(_ moves: RuleMoves, among clauses: [Clause]) -> [Int?] {
        let places = Dictionary(clauses.enumerated().map { ($1.ordinal, $0) }) { first, _ in first }
        return ordinals.map { moves[Int($0)].flatMap { places[$0] } }
    }

    // A class is its entries, then its cells, with the numbers of what they hold, then its end.

    mutating func add(_ entries: [CellTable.Entry]) { self.entries += entries }
    mutating func add(_ services: ServiceRange, _ content: Int) { ranges.append((services, Int32(content))) }
    mutating func add(_ service: UInt32, _ content: Int?) {
        points.append((service, content.map(Int32.init) ?? Self.rest))
    }
    mutating func endClass(_ number: UInt32) {
        classes.append(
            Class(
                number: number, entries: Int32(entries.count), ranges: Int32(ranges.count),
                points: Int32(points.count)))
    }

    /// No more are added.
    mutating func close(_ contents: [CellTable.Content]) {
        self.contents = contents
        // An array that grew has room for up to as much again, and these live long.
        (classes, entries) = (classes.map(\.self), entries.map(\.self))
        (ranges, points) = (ranges.map(\.self), points.map(\.self))
    }
}

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
        classes = Dictionary(kept.classes.enumerated().map { ($1.number, $0) }) { first, _ in first }
        contents = kept.contents.map { $0.moved(to: places) }
    }

    var dimension: Dimension { kept.dimension }

    /// Those of a class, if the clauses that hold in it are the ones that held in the earlier class of the number.
    func cells(ofClass number: UInt32, _ entries: [CellTable.Entry]) -> ClassCells? {
        guard let index = classes[number] else { return nil }
        let (start, end) = (index == 0 ? nil : kept.classes[index - 1], kept.classes[index])
        let before = kept.entries[Int(start?.entries ?? 0)..<Int(end.entries)]
        guard before.count == entries.count,
            zip(before, entries).allSatisfy({ places[$0.index] == $1.index && $0.isGuard == $1.isGuard })
        else { return nil }
        var cells = ClassCells()
        for (services, content) in kept.ranges[Int(start?.ranges ?? 0)..<Int(end.ranges)] {
            guard let content = contents[Int(content)] else { return nil }
            cells.add(services, content)
        }
        for (service, content) in kept.points[Int(start?.points ?? 0)..<Int(end.points)] {
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
