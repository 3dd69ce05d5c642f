import NetworkTypes
import Nftables

/// Reads the kernel's table piece by piece and holds each against what is known of it, so that no second copy of the
/// table is made and whoever waits may come in between.
struct TableProof {
    enum State { case unfinished, equal, differs }

    /// Of the kernel's ruleset when the reading began, or after commits of our own since that leave what is read alone.
    var generation: Generation
    private var chains: [ChainName]
    private var sets: [SetName]

    /// Reads what the table is made of; nil where that differs from what is known.
    init?(of known: Ruleset, in store: any RulesetStore) throws(KernelError) {
        generation = try store.generation()
        guard let outline = try store.outline(of: known.table), known.hasOutline(outline) else { return nil }
        chains = Array(known.chains.keys)
        sets = known.sets.values.filter { !$0.expires }.map(\.name)
    }

    /// Goes on although we have committed something ourselves: that is read once more.
    /// - Parameters:
    ///   - before: that these commits have expected; where the reading began at another one, it cannot go on.
    ///   - after: that they have left.
    mutating func follow(_ operations: [Operation], from before: Generation, to after: Generation) {
        guard generation == before else { return }
        generation = after
        let touched = TouchedObjects(operations)
        chains += touched.chains
        sets += touched.sets
    }

    /// Goes on with the chains, then the sets, in no order, until told to leave. Passes over what is no longer known.
    /// - Parameter shallPause: asked after each of them.
    mutating func goOn(
        over known: Ruleset, in store: any RulesetStore, until shallPause: () -> Bool
    ) throws(KernelError) -> State {
        while let name = chains.popLast() {
            guard known.chains[name] != nil else { continue }
            guard try store.rules(of: name, table: known.table) == known.chains[name]?.rules else { return .differs }
            if shallPause() { return .unfinished }
        }
        while let name = sets.popLast() {
            guard let set = known.sets[name], !set.expires else { continue }
            guard try store.elements(of: set, table: known.table) == set.elements else {
                return .differs
            }
            if shallPause() { return .unfinished }
        }
        return try store.generation() == generation ? .equal : .differs
    }
}
