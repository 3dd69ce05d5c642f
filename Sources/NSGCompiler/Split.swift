import NetworkTypes

/// A list of clauses divided by the values of one dimension: for each interval of values the few clauses that can match
/// there, and the rest, which is asked where none of them does.
///
/// A clause is in the rest if it leaves the dimension open, if it spans many of the other clauses' intervals, in each
/// of which it would have to be repeated, or if too many clauses of the rest stand before it and meet it: where one is
/// taken out of the order, those before it that may match the same packets guard it, and lead to the rest.
struct Split {
    let dimension: Dimension
    /// Ascending and disjoint, with the number of the group that holds there.
    private(set) var intervals: [(values: ClosedRange<UInt128>, group: Int)] = []
    private(set) var groups: [[Member]] = []
    /// Indexes of clauses, in order.
    private(set) var rest: [Int] = []

    struct Member: Hashable {
        /// Of the clause.
        var index: Int
        /// Stays in the rest, which decides where it matches.
        var isGuard: Bool
        /// Holds for every value of the group.
        var isSettled: Bool
    }

    /// More guards than these, and a clause stays in the rest.
    private static let mostGuards = 8
    /// Nil where the dimension tells too few clauses apart.
    /// - Parameter widest: how many intervals a clause may span for each of its own; beyond that it is in the rest.
    init?(_ clauses: [Clause], by dimension: Dimension, widest: Int, _ table: ConditionTable) {
        self.dimension = dimension
        var chosen: [(index: Int, values: IntervalSet<UInt128>)] = []
        var guards: [Int: [Int]] = [:]
        let bounds = IntervalBounds(of: clauses, dimension, table)
        for (index, clause) in clauses.enumerated() {
            guard let values = table.values(clause[dimension]), !bounds.isWide(values, widest),
                let own = Self.guards(of: clause, among: rest, clauses, table)
            else {
                rest.append(index)
                continue
            }
            chosen.append((index, values))
            if !own.isEmpty { guards[index] = own }
        }
        guard chosen.count >= 2 else { return nil }
        divide(chosen, guards, clauses, table)
    }

    /// Clauses of the rest so far that may match what the clause does; nil where they are too many.
    private static func guards(
        of clause: Clause, among rest: [Int], _ clauses: [Clause], _ table: ConditionTable
    ) -> [Int]? {
        var found: [Int] = []
        for index in rest where clauses[index].meets(clause, table) {
            guard found.count < mostGuards else { return nil }
            found.append(index)
        }
        return found
    }

    private mutating func divide(
        _ chosen: [(index: Int, values: IntervalSet<UInt128>)], _ guards: [Int: [Int]], _ clauses: [Clause],
        _ table: ConditionTable
    ) {
        let guarding = Set(guards.values.joined()).compactMap { index in
            table.values(clauses[index][dimension]).map { (index: index, values: $0) }
        }
        let isChosen = Set(chosen.map(\.index))
        let sections = IntervalSections(of: chosen + guarding)
        var numbers: [[Member]: Int] = [:]
        let groupsOfSections = sections.members.map { active -> Int? in
            let members = members(active, isChosen, guards, clauses, table)
            guard !members.isEmpty else { return nil }
            if let group = numbers[members] { return group }
            numbers[members] = groups.count
            groups.append(members)
            return groups.count - 1
        }
        for (values, section) in sections.intervals {
            if let group = groupsOfSections[section] { intervals.append((values, group)) }
        }
    }

    /// The chosen clauses that are active, each behind its guards.
    private func members(
        _ active: [Int], _ isChosen: Set<Int>, _ guards: [Int: [Int]], _ clauses: [Clause], _ table: ConditionTable
    ) -> [Member] {
        var members: [Member] = []
        var known: Set<Int> = []
        for index in active where isChosen.contains(index) {
            for guarding in guards[index] ?? [] where known.insert(guarding).inserted {
                switch table[clauses[guarding][dimension]] {
                case .among:
                    let place = active.count(below: guarding)
                    guard place < active.count, active[place] == guarding else { continue }
                    members.append(Member(index: guarding, isGuard: true, isSettled: true))
                case .any: members.append(Member(index: guarding, isGuard: true, isSettled: true))
                case .named: members.append(Member(index: guarding, isGuard: true, isSettled: false))
                }
            }
            members.append(Member(index: index, isGuard: false, isSettled: true))
        }
        return members.sorted { $0.index < $1.index }
    }

    /// The clauses of a group; guards lead to `rest`.
    func clauses(ofGroup group: Int, from clauses: [Clause], rest: Clause.Outcome) -> [Clause] {
        groups[group].map { member in
            var clause = clauses[member.index]
            if member.isSettled { clause[dimension] = .any }
            if member.isGuard { clause.outcome = rest }
            return clause
        }
    }
}
