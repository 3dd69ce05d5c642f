import NetworkTypes

/// What the classes of a table of cells hold, kept for the next version of the list: where the same clauses hold in a
/// class, its cells are the same. Without the clauses, and in few bytes: a large table has a hundred thousand cells.
struct KeptCells: Sendable {
    private struct Class {
        var number: UInt32
        // Where in the arrays that follow they end; they begin where those of the class before end.
        var entries: Int32
        var ranges: Int32
        var points: Int32
    }

    /// Of each clause, which of the list's it is.
    private let ordinals: [Int32]
    let dimension: Dimension
    private var classes: [Class] = []
    private var entries: [CellTable.Entry] = []
    private var ranges: [(services: ServiceRange, content: Int32)] = []
    private var points: [(service: UInt32, content: Int32)] = []
    private(set) var contents: [CellTable.Content] = []

    /// Stands for the number of a cell's content where the rest decides.
    static let rest: Int32 = -1

    init(_ clauses: [Clause], by dimension: Dimension) {
        ordinals = clauses.map { Int32($0.ordinal) }
        self.dimension = dimension
    }

    /// Of each clause, where it is among others; nil where it is none of them.
    func places(_ moves: RuleMoves, among clauses: [Clause]) -> [Int?] {
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

    /// Of each class, in the order in which they came.
    var classNumbers: some Sequence<UInt32> { classes.lazy.map(\.number) }

    /// A class's entries and its cells, with the numbers of what these hold, or `rest`.
    /// - Parameter index: among the classes, in the order in which they came.
    func cells(
        ofClassAt index: Int
    ) -> (
        entries: ArraySlice<CellTable.Entry>, ranges: ArraySlice<(services: ServiceRange, content: Int32)>,
        points: ArraySlice<(service: UInt32, content: Int32)>
    ) {
        let (start, end) = (index == 0 ? nil : classes[index - 1], classes[index])
        return (
            entries[Int(start?.entries ?? 0)..<Int(end.entries)], ranges[Int(start?.ranges ?? 0)..<Int(end.ranges)],
            points[Int(start?.points ?? 0)..<Int(end.points)]
        )
    }
}
