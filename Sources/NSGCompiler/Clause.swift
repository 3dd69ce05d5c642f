import Nftables

/// One rule, or one alternative of a rule, for packets of one family, and what becomes of those that meet it.
struct Clause {
    enum Outcome: Hashable {
        /// The list's rule of this number decides.
        case rule(Int)
        /// What stands behind a chain decides.
        case chain(ChainName)
    }

    /// Which of the clauses that the list began with.
    let ordinal: Int
    var outcome: Outcome
    private var source: Condition
    private var destination: Condition
    private var service: Condition
    private var sourcePort: Condition

    init(
        ordinal: Int, outcome: Outcome, source: Condition, destination: Condition, service: Condition,
        sourcePort: Condition
    ) {
        self.ordinal = ordinal
        self.outcome = outcome
        self.source = source
        self.destination = destination
        self.service = service
        self.sourcePort = sourcePort
    }

    subscript(dimension: Dimension) -> Condition {
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

    var isUnconditional: Bool { Dimension.allCases.allSatisfy { self[$0] == .any } }

    /// What most often tells two clauses apart comes first.
    func covers(_ other: Clause) -> Bool {
        service.covers(other.service) && source.covers(other.source) && destination.covers(other.destination)
            && sourcePort.covers(other.sourcePort)
    }

    func meets(_ other: Clause) -> Bool {
        service.meets(other.service) && source.meets(other.source) && destination.meets(other.destination)
            && sourcePort.meets(other.sourcePort)
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
    /// Without those that no packet comes to: behind one that every packet meets, or covered by one before; and without those
    /// at the end that lead where all goes that meets none.
    func reachable(before rest: ChainName?) -> [Clause] {
        var kept: [Clause] = []
        for clause in self where !kept.contains(where: { $0.covers(clause) }) {
            kept.append(clause)
            if clause.isUnconditional { break }
        }
        while let rest, let last = kept.last, last.outcome == .chain(rest) { kept.removeLast() }
        return kept
    }
}
