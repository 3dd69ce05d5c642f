import JSONText

/// The way to a value, as cheap to extend as documents are deep: a place is asked for its path by faults and notes
/// alone, and every value that is read has one.
struct Trail: Hashable, Sendable {
    /// A step with those before it, which many values share.
    private final class Node: Hashable, Sendable {
        let above: Node?
        let step: JSONPath.Step

        init(above: Node?, step: JSONPath.Step) {
            self.above = above
            self.step = step
        }

        static func == (left: Node, right: Node) -> Bool { left.step == right.step && left.above == right.above }
        func hash(into hasher: inout Hasher) { hasher.combine(step) }
    }

    private var above: Node?
    /// Not yet a node: most values lead to no others.
    private var last: JSONPath.Step?

    private init(above: Node?, last: JSONPath.Step?) {
        self.above = above
        self.last = last
    }

    /// The document itself.
    static let root = Trail(above: nil, last: nil)

    func appending(_ key: String) -> Trail { Trail(above: node, last: .key(key)) }
    func appending(_ index: Int) -> Trail { Trail(above: node, last: .index(index)) }

    /// The same, prepared to be extended often.
    var prepared: Trail { Trail(above: node, last: nil) }

    private var node: Node? { last.map { Node(above: above, step: $0) } ?? above }

    var path: JSONPath {
        var steps = last.map { [$0] } ?? []
        var next = above
        while let node = next {
            steps.append(node.step)
            next = node.above
        }
        return JSONPath(steps.reversed())
    }

    static func == (left: Self, right: Self) -> Bool { left.path == right.path }
    func hash(into hasher: inout Hasher) { hasher.combine(path) }
}
