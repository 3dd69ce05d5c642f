/// One rule, or one alternative of a rule, for packets of one family, and what becomes of those that meet it.
struct Clause {
    enum Outcome: Hashable {
        /// The list's rule of this number decides.
        case rule(Int)
        /// What stands behind a chain decides, by its number in the tree.
        case chain(Int)
    }

    /// Which of the clauses that the list began with.
    let ordinal: Int
    var outcome: Outcome
    private var source: ConditionTable.Number
    private var destination: ConditionTable.Number
    private var service: ConditionTable.Number
    private var sourcePort: ConditionTable.Number

    init(
        ordinal: Int, outcome: Outcome, source: ConditionTable.Number, destination: ConditionTable.Number,
        service: ConditionTable.Number, sourcePort: ConditionTable.Number
    ) {
        self.ordinal = ordinal
        self.outcome = outcome
        self.source = source
        self.destination = destination
        self.service = service
        self.sourcePort = sourcePort
    }

    subscript(dimension: Dimension) -> ConditionTable.Number {
        get {
            switch dimension {
            case .source: source
            case .destination: destination
            case .service: service
            case .sourcePort: sourcePort
            }
        }
        set {
            switch dimension {
            case .source: source = newValue
            case .destination: destination = newValue
            case .service: service = newValue
            case .sourcePort: sourcePort = newValue
            }
        }
    }

    var isUnconditional: Bool {
        source == .any && destination == .any && service == .any && sourcePort == .any
    }

    /// Whether every packet that meets the other clause meets this one. What most often tells two apart comes first.
    func covers(_ other: Clause, _ table: ConditionTable) -> Bool {
        table.covers(service, other.service) && table.covers(source, other.source)
            && table.covers(destination, other.destination) && table.covers(sourcePort, other.sourcePort)
    }

    /// Whether a packet may meet both.
    func meets(_ other: Clause, _ table: ConditionTable) -> Bool {
        table.meets(service, other.service) && table.meets(source, other.source)
            && table.meets(destination, other.destination) && table.meets(sourcePort, other.sourcePort)
    }

    /// Tells it from every other that comes of the same list: what is settled before is not asked again.
    struct Identity: Hashable {
        var ordinal: Int
        var outcome: Outcome
        var asks: UInt8
    }

    var identity: Identity {
        let asks = Dimension.allCases.reduce(UInt8(0)) { $0 << 1 | (self[$1] == .any ? 0 : 1) }
        return Identity(ordinal: ordinal, outcome: outcome, asks: asks)
    }
}

extension [Clause] {
    /// Without those that no packet comes to: behind one that every packet meets, or covered by one before; and without
    /// those at the end that lead where all goes that meets none.
    func reachable(before rest: Clause.Outcome?, _ table: ConditionTable) -> [Clause] {
        var kept: [Clause] = []
        kept.reserveCapacity(count)
        for clause in self where !kept.contains(where: { $0.covers(clause, table) }) {
            kept.append(clause)
            if clause.isUnconditional { break }
        }
        while let rest, let last = kept.last, last.outcome == rest { kept.removeLast() }
        return kept
    }
}
