import NSGEvaluation
package import NSGModel

/// One bound interface on a flow's way, and the direction of its lists that the flow meets there.
package struct Passage: Hashable, Sendable {
    package var interface: ResourceID
    package var direction: Direction
    /// This machine routes the flow on, so that it is no matter between neighbours (S12).
    package var isForwarded: Bool

    package init(_ interface: ResourceID, _ direction: Direction, isForwarded: Bool = true) {
        self.interface = interface
        self.direction = direction
        self.isForwarded = isForwarded
    }
}

extension Policy {
    /// Whether a first packet of the flow passes the lists of every one of these interfaces.
    func allows(_ flow: FlowTuple, at passages: [Passage]) -> Bool {
        passages.allSatisfy {
            evaluator.decision(for: flow, at: $0.interface, $0.direction, isForwarded: $0.isForwarded).passes
        }
    }
}
