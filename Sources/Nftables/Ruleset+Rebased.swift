extension Ruleset {
    /// The same ruleset, with chains that differ little from those in force under the names these have, so that a few
    /// of their rules are edited instead of a whole chain being built beside.
    ///
    /// A chain that a trampoline leads to is named after its content when it is built (`LIST.HASH`); edited later, it
    /// keeps that name. So a name that is in force may hold other content than its hash says: then the new chain is
    /// edited, or takes a name of its own.
    ///
    /// - Parameter mentions: how often chains are named in the ruleset that this one is a part of.
    func rebased(
        onto old: Ruleset, _ facts: TableFacts, mentions: (() -> [ChainName: Int])? = nil
    ) -> Ruleset {
        let trampolines = chains.keys.filter { $0.isTrampoline && !leadsToTheSame($0, in: old) }.sorted()
        if trampolines.isEmpty { return self }
        var rebased = self
        let mentioned = mentions?() ?? self.mentions
        let mentionedBefore = facts.mentions
        let edited = edited(of: old, trampolines, mentioned, mentionedBefore)
        for trampoline in trampolines {
            guard let target = goal(of: trampoline), let chain = chains[target], mentioned[target] == 1 else {
                continue
            }
            if let present = edited[trampoline] {
                rebased.rename(target, present, for: trampoline)
            } else if let squatter = old.chains[target], squatter.rules != chain.rules, mentionedBefore[target] != nil {
                rebased.rename(target, freeName(for: target, besides: old), for: trampoline)
            }
        }
        return rebased
    }

    /// Whether a trampoline leads to a chain of the same name and content as before, or there is none that could be
    /// edited or is in the way.
    private func leadsToTheSame(_ trampoline: ChainName, in old: Ruleset) -> Bool {
        guard let target = goal(of: trampoline), let chain = chains[target] else { return true }
        let goal = old.goal(of: trampoline)
        if goal == target { return old.chains[target]?.rules == chain.rules }
        return goal == nil && old.chains[target] == nil
    }

    /// Chains in force that shall be edited to become wanted ones, by the trampolines that lead to these.
    private func edited(
        of old: Ruleset, _ trampolines: [ChainName], _ mentioned: [ChainName: Int],
        _ mentionedBefore: [ChainName: Int]
    ) -> [ChainName: ChainName] {
        var edited: [ChainName: ChainName] = [:]
        for trampoline in trampolines {
            guard let target = goal(of: trampoline), let chain = chains[target], mentioned[target] == 1,
                let present = old.chains[old.goal(of: trampoline) ?? target], present.name.stem == target.stem,
                old.chains[target] == nil || present.name == target,
                chains[present.name] == nil || present.name == target, mentionedBefore[present.name, default: 0] <= 1,
                RuleEdits(from: present.rules, to: chain.rules).count <= Self.mostEdits
            else { continue }
            edited[trampoline] = present.name
        }
        return edited
    }

    /// Beyond this a chain is built beside, which costs the swap one operation.
    private static let mostEdits = 64

    func goal(of trampoline: ChainName) -> ChainName? {
        guard let rules = chains[trampoline]?.rules, rules.count == 1,
            case .verdict(.goto(let target))? = rules[0].steps.first
        else { return nil }
        return target
    }

    private mutating func rename(_ name: ChainName, _ newName: ChainName, for trampoline: ChainName) {
        guard name != newName, let chain = chains.removeValue(forKey: name) else { return }
        chains[newName] = Chain(newName, at: chain.attachpoint, rules: chain.rules)
        chains[trampoline]?.rules = [Rule(.verdict(.goto(newName)))]
    }

    private func freeName(for name: ChainName, besides old: Ruleset) -> ChainName {
        var number = 2
        while true {
            let candidate = ChainName("\(name)-\(number)")
            if chains[candidate] == nil, old.chains[candidate] == nil { return candidate }
            number += 1
        }
    }
}

extension ChainName {
    /// What stands before the hash of a chain that is named after its content.
    fileprivate var stem: Substring { description.lastIndex(of: ".").map { description[..<$0] } ?? description[...] }
}
