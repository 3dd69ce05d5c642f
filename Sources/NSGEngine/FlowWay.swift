import FlowLog

/// What the connections have in common that the same rules allowed on the same way. There are few of these, and of
/// connections up to a million.
final class FlowWay: Sendable {
    /// What records say; none of a connection whose packet has not come: nothing is recorded of it (F2).
    let sides: [LoggedSide]
    let label: UInt128?

    init(sides: [LoggedSide], label: UInt128?) {
        self.sides = sides
        self.label = label
    }
}
