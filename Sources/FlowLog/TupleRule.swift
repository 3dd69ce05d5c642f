import NSGModel

/// A rule as a record of Azure's logs has it, with what its place among the others follows from.
struct TupleRule: Hashable, Sendable {
    var name: String
    var direction: Direction
    /// Nil of the platform's, which stands last.
    var priority: Priority?

    static func == (left: Self, right: Self) -> Bool { left.name == right.name && left.direction == right.direction }

    func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(direction)
    }

    /// Rules stand in the order in which they are tried, those of one direction together. NSG flow logs begin with the
    /// inbound ones, virtual network flow logs with the outbound ones; both as in recorded logs.
    func stands(before other: TupleRule, first: Direction) -> Bool {
        if direction != other.direction { return direction == first }
        return (priority?.value ?? .max, name) < (other.priority?.value ?? .max, other.name)
    }
}
