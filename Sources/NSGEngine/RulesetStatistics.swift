package import JSONText
package import NSGCompiler
package import Nftables

/// How large a ruleset is (`compile --stats`).
package struct RulesetStatistics: Hashable, Sendable {
    package var chains: Int
    package var rules: Int
    package var sets: Int
    package var elements: Int
    package var counters: Int
    /// Rules of the longest chain.
    package var longestChain: Int

    package var compiler: CompilerStatistics

    package init(_ ruleset: Ruleset, _ compiler: CompilerStatistics) {
        self.compiler = compiler
        chains = ruleset.chains.count
        rules = ruleset.chains.values.reduce(0) { $0 + $1.rules.count }
        sets = ruleset.sets.count
        elements = ruleset.sets.values.reduce(0) { $0 + $1.elements.count }
        counters = ruleset.counters.count
        longestChain = ruleset.chains.values.map(\.rules.count).max() ?? 0
    }

    package var json: JSONValue {
        [
            "chains": JSONValue(chains), "rules": JSONValue(rules), "sets": JSONValue(sets),
            "elements": JSONValue(elements), "counters": JSONValue(counters), "longestChain": JSONValue(longestChain),
            "lists": JSONValue(compiler.lists), "unreachableRules": JSONValue(compiler.unreachableRules),
            "longestRow": JSONValue(compiler.longestRow), "undividedChains": JSONValue(compiler.undividedChains),
            "cells": JSONValue(compiler.cells),
        ]
    }
}
