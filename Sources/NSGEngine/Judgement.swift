import FlowLog

/// What decided about a packet at one interface.
struct Judgement: Hashable, Sendable {
    /// One for each list that was asked, in order; none where the platform decided before them (S9, S14).
    var stages: [StageRecord] = []
    var isPlatform = false

    static let platform = Judgement(isPlatform: true)
}
