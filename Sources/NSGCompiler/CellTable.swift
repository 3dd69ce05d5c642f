import NetworkTypes

/// A list of clauses worked out for each class of addresses and each service: the cells of a table, of which only those
/// are there that a clause with addresses of its own decides. All others are left to the rest.
///
/// Addresses are of one class if they follow one another and the same clauses hold for them. In a class the first match
/// is settled for each port that a clause names alone (`points`), and for ranges of services (`ranges`), where a
/// packet's service is looked up if it is none of the points.
struct CellTable {
    let dimension: Dimension
    /// Ascending and disjoint, each with the number of its class.
    private(set) var classes: [(values: ClosedRange<UInt128>, number: UInt32)] = []
    /// Ascending, by the key that class and service make. Nil where the rest decides within a range that is another's.
    private(set) var points: [(key: UInt128, content: Int?)] = []
    /// Ascending and disjoint.
    private(set) var ranges: [(keys: ClosedRange<UInt128>, content: Int)] = []
    /// What cells hold; none is `Content.rest`.
    private(set) var contents: [Content] = []
    /// Indexes of clauses that are not divided, in order.
    private(set) var rest: [Int] = []
    /// Whether some cell holds for packets without a port, and whether one does for the folded protocols.
    private(set) var (holdsPortless, holdsFolded) = (false, false)
    /// Of `contents`, what these cells hold.
    private(set) var others: Set<Int> = []

    private var numbers: [[Entry]: Int] = [:]
    /// Of what a clause decides alone.
    private var numbersOfClauses: [Int?]
    /// For the next version of the list.
    private(set) var kept: KeptCells

    enum Content: Equatable, Sendable {
        /// What the rest decides.
        case rest
        /// What a clause decides, by its index.
        case clause(Int)
        /// What is asked one by one, in order.
        case several([Entry])
    }

    /// A clause that decides in a cell, or may.
    struct Entry: Hashable, Sendable {
        private let number: Int32
        /// One of the rest: where it matches, the rest decides.
        let isGuard: Bool
        /// Whether all the cell's services are the clause's.
        var isSettled: Bool

        init(index: Int, isGuard: Bool, isSettled: Bool) {
            number = Int32(index)
            self.isGuard = isGuard
            self.isSettled = isSettled
        }

        /// Of the clause.
        var index: Int { Int(number) }
    }

    /// Nil where there would be too few cells for a table, or too many.
    /// - Parameter earlier: of an earlier version of the list.
    init?(
        _ clauses: [Clause], by dimension: Dimension, fewestCells: Int, _ table: ConditionTable,
        after earlier: EarlierCells? = nil
    ) {
        self.dimension = dimension
        numbersOfClauses = Array(repeating: nil, count: clauses.count)
        kept = KeptCells(clauses, by: dimension)
        let bounds = IntervalBounds(of: clauses, dimension, table)
        var divided = Array(repeating: false, count: clauses.count)
        var guards: [Int] = []
        for (index, clause) in clauses.enumerated() {
            divided[index] =
                table.values(clause[dimension]).map { !bounds.isWide($0, Self.widest) } ?? false
            if !divided[index] { guards.append(index) }
        }
        rest = guards
        let services = clauses.enumerated().map { index, clause in
            ClauseServices(clause, table, isPlain: Self.isPlain(clause, besides: divided[index] ? dimension : nil))
        }
        let sections = IntervalSections(
            of: clauses.indices.compactMap { index in
                divided[index] ? table.values(clauses[index][dimension]).map { (index, $0) } : nil
            })
        let numbers = Self.numbers(of: sections)
        let met = Self.groups(of: sections, metBy: guards, clauses, dimension, table)
        var entries: [[Entry]] = []
        var (work, comparisons) = (0, 0)
        for (group, members) in sections.members.enumerated() {
            let guards = met.isEmpty ? guards : guards.filter { met[$0]?.contains(group) ?? true }
            entries.append(Self.entries(members, guards, services))
            work += entries[group].count
            // Each piece is held against all bounds of the class.
            let pieces = entries[group].reduce(0) { $0 + services[$1.index].count }
            comparisons += pieces * pieces
            guard work <= Self.mostEntries, comparisons <= Self.mostComparisons else { return nil }
        }
        guard work >= fewestCells else { return nil }
        let known = earlier.flatMap { $0.dimension == dimension ? $0 : nil }
        let cells = ClassCells.all(of: entries, services) { known?.cells(ofClass: numbers[$0], entries[$0]) }
        for (group, cells) in cells.enumerated() {
            kept.add(entries[group])
            add(cells, number: numbers[group])
        }
        kept.close(contents)
        classes = sections.intervals.map { ($0.values, numbers[$0.group]) }
        points.sort { $0.key < $1.key }
        ranges.sort { $0.keys.lowerBound < $1.keys.lowerBound }
    }

    /// One that spans more intervals of the others than this, for each of its own, stays in the rest.
    private static let widest = 16
    /// Clauses and guards of all classes together.
    private static let mostEntries = 200_000
    /// Of points and ranges with one another, in all classes: a second or so.
    private static let mostComparisons = 100_000_000

    /// A class is called after its first address, so that it keeps its number when other classes come and go. Of two
    /// long addresses that would give one number, the second class has the next one that is free.
    private static func numbers(of sections: IntervalSections) -> [UInt32] {
        var numbers: [UInt32?] = Array(repeating: nil, count: sections.members.count)
        var used: Set<UInt32> = []
        for (values, group) in sections.intervals where numbers[group] == nil {
            let value = values.lowerBound
            var number = [32, 64, 96].reduce(UInt32(truncatingIfNeeded: value)) {
                $0 &* 0x9e37_79b1 ^ UInt32(truncatingIfNeeded: value >> UInt128($1))
            }
            if value <= UInt128(UInt32.max) { number = UInt32(value) }
            while !used.insert(number).inserted { number &+= 1 }
            numbers[group] = number
        }
        return numbers.map { $0 ?? 0 }
    }

    /// Whether it asks for nothing but services, in cells of its own addresses.
    private static func isPlain(_ clause: Clause, besides dimension: Dimension?) -> Bool {
        Dimension.allCases.allSatisfy { $0 == .service || $0 == dimension || clause[$0] == .any }
    }

    /// Of guards that ask for addresses of the dimension: the classes some addresses of which they ask for.
    private static func groups(
        of sections: IntervalSections, metBy guards: [Int], _ clauses: [Clause], _ dimension: Dimension,
        _ table: ConditionTable
    ) -> [Int: Set<Int>] {
        var groups: [Int: Set<Int>] = [:]
        for index in guards {
            guard let values = table.values(clauses[index][dimension]) else { continue }
            groups[index] = Set(
                sections.intervals.filter { values.meets(IntervalSet(CollectionOfOne($0.values))) }.map(\.group))
        }
        return groups
    }

    /// What a class's packets meet in order: its clauses, and what of the rest stands before the last of them.
    private static func entries(_ members: [Int], _ guards: [Int], _ services: [ClauseServices]) -> [Entry] {
        var entries: [Entry] = []
        var next = 0
        for member in members {
            while next < guards.count, guards[next] < member {
                entries.append(Entry(index: guards[next], isGuard: true, isSettled: true))
                if services[guards[next]].decidesAll { return entries }
                next += 1
            }
            entries.append(Entry(index: member, isGuard: false, isSettled: true))
            if services[member].decidesAll { return entries }
        }
        return entries
    }

    private mutating func add(_ cells: ClassCells, number: UInt32) {
        for (services, content) in cells.ranges {
            guard let content = self.number(of: content) else { continue }
            ranges.append((services.keys(in: number), content))
            kept.add(services, content)
            note(content, holdsPortless: services.holdsPortless, holdsFolded: services.overlaps(Folded.services))
        }
        for (service, content) in cells.points {
            let content = self.number(of: content)
            points.append((ServiceRange.key(of: service, in: number), content))
            kept.add(service, content)
            if let content { note(content, holdsPortless: false, holdsFolded: Folded.services.contains(service)) }
        }
        kept.endClass(number)
    }

    private mutating func note(_ content: Int, holdsPortless: Bool, holdsFolded: Bool) {
        guard holdsPortless || holdsFolded else { return }
        if holdsPortless { self.holdsPortless = true }
        if holdsFolded { self.holdsFolded = true }
        others.insert(content)
    }

    private mutating func number(of content: Content) -> Int? {
        switch content {
        case .rest: return nil
        case .clause(let index):
            if let number = numbersOfClauses[index] { return number }
            numbersOfClauses[index] = contents.count
        case .several(let entries):
            if let number = numbers[entries] { return number }
            numbers[entries] = contents.count
        }
        contents.append(content)
        return contents.count - 1
    }

    /// Of several entries the clauses that decide; guards lead to `rest`.
    func clauses(of entries: [Entry], from clauses: [Clause], rest: Clause.Outcome) -> [Clause] {
        entries.map { entry in
            var clause = clauses[entry.index]
            if !entry.isGuard { clause[dimension] = .any } else { clause.outcome = rest }
            if entry.isSettled { clause[.service] = .any }
            return clause
        }
    }
}
