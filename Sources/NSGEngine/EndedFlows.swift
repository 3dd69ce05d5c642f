import NSGModel
import NetworkTypes

/// Connections that were ended on purpose, so that a policy which allows them again can let go of them: until then
/// whatever comes back of them is dropped, also where the other side opens a connection of its own with the same ports.
/// TCP is not among them: a SYN begins a connection of either side at once, and one that was ended stays ended.
package struct EndedFlows: Sendable {
    private struct Flow {
        var cut: CutFlow
        var passages: [Passage]
    }

    /// Beyond this the oldest are forgotten; they come free after a while (`CutFlows`). Each is judged again at
    /// every change of policy.
    package static let limit = 16_384

    /// Oldest first.
    private var flows: [Flow] = []

    package init() {}

    package var count: Int { flows.count }
    package var cuts: [CutFlow] { flows.map(\.cut) }

    /// - Parameter passages: where the flow was refused or might have been.
    package mutating func note(_ ended: some Sequence<(cut: CutFlow, passages: [Passage])>) {
        flows += ended.lazy.filter { $0.cut.original.protocol != .tcp }.map { Flow(cut: $0.cut, passages: $0.passages) }
        if flows.count > Self.limit { flows.removeFirst(flows.count - Self.limit) }
    }

    /// Those whose original direction the policy lets pass; they are forgotten here.
    package mutating func takeAllowed(by policy: Policy) -> [CutFlow] {
        var kept: [Flow] = []
        var allowed: [CutFlow] = []
        for flow in flows {
            if policy.allows(flow.cut.original, at: flow.passages) {
                allowed.append(flow.cut)
            } else {
                kept.append(flow)
            }
        }
        flows = kept
        return allowed
    }
}
