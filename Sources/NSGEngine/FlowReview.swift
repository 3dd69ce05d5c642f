import FlowLog
import NSGCompiler
import NSGEvaluation
import NSGModel
package import NetworkTypes

/// Which live flows a change of policy ends (S6): those of security groups with `flushConnection` on whose rules have
/// changed, or that had it off until now, if the policy as a whole refuses them. All others live on (S5).
package struct FlowReview: Sendable {
    private var finder: PassageFinder
    /// Directions of the bound interfaces at which such a group stands.
    private let changed: [ResourceID: Set<Direction>]

    /// Nil where no flow needs to be looked at. O(rules of the groups with `flushConnection` on bound interfaces).
    /// - Parameters:
    ///   - before: nil where it is not known: then the flows of all such groups are evaluated.
    ///   - localAddresses: this machine's own.
    package init?(from before: Policy?, to after: Policy, localAddresses: Set<IPAddress>) {
        var comparison = ListComparison()
        var changed: [ResourceID: Set<Direction>] = [:]
        for interface in after.estate.bindings.map(\.networkInterface) {
            for direction in Direction.allCases {
                let earlier = before?.book.lists(of: interface, direction) ?? []
                for list in after.book.lists(of: interface, direction) where after.estate.flushes(list) {
                    let present = earlier.first { $0.key.owner == list.key.owner && $0.key.level == list.key.level }
                    if let present, let before, before.estate.flushes(present), comparison.isEqual(present, list) {
                        continue
                    }
                    changed[interface, default: []].insert(direction)
                }
            }
        }
        guard !changed.isEmpty else { return nil }
        self.changed = changed
        finder = PassageFinder(Attributor(policy: after), localAddresses: localAddresses)
    }

    /// Where a flow that ends is judged, in its original direction, as a first packet would be, another's address (S13)
    /// included; nil for one that goes on. What the platform lets pass stays. O(rules of the lists on its way).
    package mutating func refusal(of connection: Connection) -> [Passage]? {
        if connection.isClosed { return nil }
        let passages = finder.passages(of: connection)
        guard passages.contains(where: { changed[$0.interface]?.contains($0.direction) ?? false }),
            !finder.attributor.policy.allows(connection.flow, at: passages)
        else { return nil }
        return passages
    }
}

extension Estate {
    /// Whether the list is of a group whose flows are evaluated again.
    fileprivate func flushes(_ list: PolicyList) -> Bool {
        list.key.level != .admin && networkSecurityGroups[list.key.owner]?.flushConnection ?? false
    }
}

/// Whether lists of two policies decide alike. Each pair is compared once, however many interfaces share it.
private struct ListComparison {
    private struct Pair: Hashable {
        var before: PolicyList.Key
        var after: PolicyList.Key
    }

    private var known: [Pair: Bool] = [:]

    mutating func isEqual(_ before: PolicyList, _ after: PolicyList) -> Bool {
        if before.version == after.version { return true }
        let pair = Pair(before: before.key, after: after.key)
        if let result = known[pair] { return result }
        let result = before.rules.elementsEqual(after.rules) { $0.decides(like: $1) }
        known[pair] = result
        return result
    }
}

extension ResolvedRule {
    /// Names, descriptions and places in documents decide nothing, nor does the number of a priority.
    fileprivate func decides(like other: ResolvedRule) -> Bool {
        rule.access == other.rule.access && rule.protocol == other.rule.protocol && source == other.source
            && destination == other.destination && sourcePorts == other.sourcePorts
            && destinationPorts == other.destinationPorts
    }
}
