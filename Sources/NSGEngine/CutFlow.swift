package import NSGModel

/// A connection that is to end, as `CutFlows.elements(original:reply:)` takes it.
package struct CutFlow: Hashable, Sendable {
    package var original: FlowTuple
    package var reply: FlowTuple

    package init(original: FlowTuple, reply: FlowTuple) {
        self.original = original
        self.reply = reply
    }
}
