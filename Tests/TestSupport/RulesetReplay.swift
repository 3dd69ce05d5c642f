package import Nftables

/// Why the kernel would refuse an operation.
package struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    package var operation: String
    package var reason: String
    package var errno: Int32
    package var description: String { "\(operation): \(reason)" }
}

extension Ruleset {
    /// Does one operation as the kernel does, and refuses what it refuses: what is there twice, what is not there, what
    /// is still in use.
    package mutating func apply(_ operation: Operation) throws(Refusal) {
        func check(_ holds: Bool, _ reason: String, _ errno: Int32 = 2) throws(Refusal) {
            if !holds { throw Refusal(operation: "\(operation)", reason: reason, errno: errno) }
        }
        let (exists, busy, invalid): (Int32, Int32, Int32) = (17, 16, 22)
        switch operation {
        case .addTable: break
        case .wakeTable: isDormant = false
        case .addChain(let name, let point):
            try check(chains[name] == nil, "exists", exists)
            chains[name] = Chain(name, at: point, rules: [])
        case .addCounter(let name):
            try check(counters.insert(name).inserted, "exists", exists)
        case .addTimeout(let object):
            try check(timeouts.updateValue(object, forKey: object.name) == nil, "exists", exists)
        case .addSet(var set):
            try check(sets[set.name] == nil, "exists", exists)
            set.elements = []
            set.isPaired = false  // which no dump tells
            sets[set.name] = set
        case .addElements(let elements, let set):
            guard var present = sets[set.name] else { return try check(false, "no such set") }
            for element in elements {
                try check(present.admits(element.value), "not what the set's keys lead to", invalid)
                try check((element.timeout != nil) == present.expires, "time-outs where elements expire", invalid)
                try check(element.verdict?.target.map { chains[$0] != nil } ?? true, "no such chain")
            }
            if present.expires { return }
            let count = present.elements.count + elements.count
            try check(present.capacity.map { count <= $0 } ?? true, "more elements than there is room for", 23)
            present.elements += elements
            present.elements.sort { $0.key.precedes($1.key) }
            let isSound = zip(present.elements, present.elements.dropFirst()).allSatisfy { $0.key.precedes($1.key) }
            try check(isSound, "elements overlap", exists)
            sets[set.name] = present
        case .deleteElements(let elements, let set):
            guard var present = sets[set.name] else { return try check(false, "no such set") }
            if present.expires { return }
            let gone = Set(elements.map(\.key))
            let count = present.elements.count
            present.elements.removeAll { gone.contains($0.key) }
            try check(count - present.elements.count == elements.count, "no such element")
            sets[set.name] = present
        case .addRule(let rule, let name):
            try check(chains[name] != nil, "no such chain")
            try checkReferences(of: rule, operation)
            chains[name]?.rules.append(rule)
        case .insertRule(let rule, let index, let name):
            try check(index >= 0 && index <= chains[name]?.rules.count ?? -1, "no such place")
            try checkReferences(of: rule, operation)
            chains[name]?.rules.insert(rule, at: index)
        case .replaceRule(let index, let name, let rule):
            try check(chains[name]?.rules.indices.contains(index) == true, "no such rule")
            try checkReferences(of: rule, operation)
            chains[name]?.rules[index] = rule
        case .deleteRule(let index, let name):
            try check(chains[name]?.rules.indices.contains(index) == true, "no such rule")
            chains[name]?.rules.remove(at: index)
        case .flushChain(let name):
            try check(chains[name] != nil, "no such chain")
            chains[name]?.rules = []
        case .deleteChain(let name):
            try check(chains[name] != nil, "no such chain")
            // The kernel counts a chain's own rules as users.
            try check(chains[name]?.rules.isEmpty == true, "not empty", busy)
            try check(!verdicts.contains { $0.target == name }, "in use", busy)
            chains[name] = nil
        case .deleteSet(let name):
            try check(sets[name] != nil, "no such set")
            try check(!steps.contains { $0.sets.contains(name) }, "in use", busy)
            sets[name] = nil
        case .deleteCounter(let name):
            try check(counters.contains(name), "no such counter")
            try check(!steps.contains(.counter(name)), "in use", busy)
            counters.remove(name)
        case .deleteTimeout(let name):
            try check(timeouts[name] != nil, "no such object")
            try check(!steps.contains(.setTimeout(name)), "in use", busy)
            timeouts[name] = nil
        case .deleteTable:
            self = Ruleset(table: table)
        }
    }

    package mutating func apply(_ operations: [Operation]) throws(Refusal) {
        for operation in operations { try apply(operation) }
    }

    private func checkReferences(of rule: Rule, _ operation: Operation) throws(Refusal) {
        for step in rule.steps {
            let isThere =
                switch step {
                case .verdict(let verdict):
                    verdict.target.map { chains[$0] != nil && chains[$0]?.attachpoint == nil } ?? true
                case .counter(let name): counters.contains(name)
                case .setTimeout(let name): timeouts[name] != nil
                case .lookup(_, let set), .membership(_, let set, _): sets[set]?.isMap == false
                case .dispatch(_, let map): sets[map]?.isVerdictMap == true
                case .classify(let maps):
                    sets[maps.classes]?.values == .numbers && maps.points.map(holdsPoints) ?? true
                        && sets[maps.ranges]?.values == .numbers
                        && sets[maps.ranges]?.keyType == Classification.rangeType
                        && sets[maps.outcomes]?.keyType == Classification.outcomeType
                        && sets[maps.outcomes]?.values == .verdicts
                case .match, .setLabel, .log: true
                }
            if !isThere {
                throw Refusal(operation: "\(operation)", reason: "\(step) names what is not there", errno: 2)
            }
        }
    }

    /// Those of no other kind, also before there is any.
    private func holdsPoints(_ name: SetName) -> Bool {
        sets[name]?.values == .numbers && sets[name]?.keyType == Classification.pointType
    }

    private var steps: [Step] { chains.values.flatMap(\.rules).flatMap(\.steps) }

    /// Every verdict of rules and maps.
    private var verdicts: [Verdict] {
        steps.compactMap { if case .verdict(let verdict) = $0 { verdict } else { nil } }
            + sets.values.flatMap(\.elements).compactMap(\.verdict)
    }

    /// How deep chains nest below the base chains as the kernel counts when it validates a table: jumps and gotos
    /// alike, in rules and in maps. `NFT_JUMP_STACK_SIZE`, 16, is refused (`EMLINK`). Nil for a loop.
    package var depth: Int? {
        var known: [ChainName: Int] = [:]
        var open: Set<ChainName> = []
        func depth(of name: ChainName) -> Int? {
            if let depth = known[name] { return depth }
            guard open.insert(name).inserted else { return nil }
            var deepest = 0
            for step in chains[name]?.rules.flatMap(\.steps) ?? [] {
                let targets: [ChainName]
                switch step {
                case .verdict(let verdict): targets = [verdict.target].compactMap(\.self)
                default:
                    guard let map = step.verdictMap else { continue }
                    targets = sets[map]?.elements.compactMap { $0.verdict?.target } ?? []
                }
                for target in Set(targets) {
                    guard let below = depth(of: target) else { return nil }
                    deepest = max(deepest, below + 1)
                }
            }
            open.remove(name)
            known[name] = deepest
            return deepest
        }
        var deepest = 0
        for chain in chains.values where chain.attachpoint != nil {
            guard let below = depth(of: chain.name) else { return nil }
            deepest = max(deepest, below)
        }
        return deepest
    }
}

extension SetKey {
    /// Wholly before: keys that overlap precede neither way.
    fileprivate func precedes(_ other: SetKey) -> Bool {
        switch (self, other) {
        case (.values(let left), .values(let right)): left.upperBound < right.lowerBound
        case (.device(let left), .device(let right)): left < right
        case (.concatenation(let left), .concatenation(let right)):
            zip(left, right).lazy.filter { $0 != $1 }.map { $0.precedes($1) }.first ?? false
        case (.values, _), (.device, .concatenation), (.device, .catchAll), (.concatenation, .catchAll): true
        case (.device, _), (.concatenation, _), (.catchAll, _): false
        }
    }
}
