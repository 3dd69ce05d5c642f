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
}
