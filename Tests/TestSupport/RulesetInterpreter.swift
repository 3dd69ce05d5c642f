import NSGModel
import NetworkTypes
package import Nftables

/// Runs packets through a ruleset as the kernel's `nft_do_chain` does: base chains in the order of hooks and
/// priorities, a `jump` with a frame, a `goto` without, `accept` for one base chain, `drop` for good. It traps on
/// nothing.
package struct RulesetInterpreter: Sendable {
    package let ruleset: Ruleset
    private let sets: [SetName: IndexedSet]
    private let baseChains: [Hook: [Chain]]

    package init(_ ruleset: Ruleset) {
        self.ruleset = ruleset
        sets = ruleset.sets.mapValues { IndexedSet($0) }
        baseChains = Dictionary(grouping: ruleset.chains.values.filter { $0.attachpoint != nil }) {
            $0.attachpoint?.hook ?? .prerouting
        }
        .mapValues { $0.sorted { ($0.attachpoint?.priority ?? 0, $0.name) < ($1.attachpoint?.priority ?? 0, $1.name) } }
    }

    package func outcome(of packet: TestPacket) -> PacketOutcome {
        var walk = Walk(packet: packet, outcome: PacketOutcome(label: packet.label))
        for hook in packet.path.hooks {
            for chain in baseChains[hook] ?? [] {
                walk.hook = hook
                pass(chain, &walk)
                if walk.outcome.verdict == .drop { return walk.outcome }
            }
        }
        return walk.outcome
    }

    // MARK: Walking

    private struct Walk {
        var packet: TestPacket
        var hook = Hook.prerouting
        var outcome: PacketOutcome
    }

    private struct Frame {
        var chain: Chain
        var next = 0
    }

    /// `NFT_JUMP_STACK_SIZE`.
    private static let deepest = 16
    /// No ruleset without a loop comes near.
    private static let longestWalk = 1_000_000

    /// One base chain; its policy is accept.
    private func pass(_ base: Chain, _ walk: inout Walk) {
        var stack: [Frame] = []
        var current = Frame(chain: base)
        while true {
            guard current.next < current.chain.rules.count else {
                guard let caller = stack.popLast() else { return }
                current = caller
                continue
            }
            let rule = current.chain.rules[current.next]
            current.next += 1
            walk.outcome.rules += 1
            guard walk.outcome.rules < Self.longestWalk else {
                return walk.outcome.faults.append("a walk without end, at \(current.chain.name)")
            }
            guard let verdict = evaluate(rule, &walk) else { continue }
            switch verdict {
            case .accept: return
            case .drop:
                walk.outcome.verdict = .drop
                return
            case .return:
                guard let caller = stack.popLast() else { return }
                current = caller
            case .jump(let target), .goto(let target):
                guard let chain = ruleset.chains[target] else {
                    return walk.outcome.faults.append("\(current.chain.name): no chain \(target)")
                }
                if case .jump = verdict { stack.append(current) }
                guard stack.count < Self.deepest else {
                    return walk.outcome.faults.append("more than \(Self.deepest) frames at \(target)")
                }
                current = Frame(chain: chain)
            }
        }
    }

    /// The verdict of a rule, nil where it does not match or has none.
    private func evaluate(_ rule: Rule, _ walk: inout Walk) -> Verdict? {
        for step in rule.steps {
            switch step {
            case .match(let field, let comparison):
                guard let value = load(field, rule, &walk), comparison.holds(for: value, of: field) else { return nil }
            case .lookup(let field, let name):
                guard find(field, in: name, rule, &walk) != nil else { return nil }
            case .membership(let fields, let name, let isIn):
                guard let element = find(fields, in: name, rule, &walk), (element != nil) == isIn else { return nil }
            case .dispatch(let field, let name):
                guard let element = find(field, in: name, rule, &walk) else { return nil }
                guard let verdict = element.verdict else {
                    walk.outcome.faults.append("\(name): a map element without a verdict")
                    return nil
                }
                return verdict
            case .classify(let classification):
                return verdict(of: classification, rule, &walk)
            case .counter(let name):
                if !ruleset.counters.contains(name) { walk.outcome.faults.append("no counter \(name)") }
                walk.outcome.counters[name, default: 0] += 1
            case .setLabel(let bits):
                if let label = walk.packet.label { walk.packet.label = label | bits }
                walk.outcome.label = walk.packet.label
            case .setTimeout(let name):
                guard let object = ruleset.timeouts[name] else {
                    walk.outcome.faults.append("no ct timeout \(name)")
                    continue
                }
                // `nft_ct_timeout_obj_eval`: of the packet's own protocol alone, and while a connection is new.
                if object.transport.rawValue == walk.packet.flow.protocol.rawValue, walk.packet.label != nil,
                    walk.packet.state == .new
                {
                    walk.outcome.timeout = name
                }
            case .log(let copy):
                walk.outcome.logs.append(copy.prefix)
            case .verdict(let verdict):
                return verdict
            }
        }
        return nil
    }

    /// Nil where a map does not hold the packet, or its port cannot be read.
    private func verdict(of classification: Classification, _ rule: Rule, _ walk: inout Walk) -> Verdict? {
        guard let address = load(classification.address, rule, &walk),
            let number = number(of: address, in: classification.classes, rule, &walk),
            let keys = keys(of: number, classification, rule, &walk)
        else { return nil }
        var point = Classification.noPoint
        if let points = classification.points {
            guard let number = self.number(of: keys, in: points, rule, &walk) else { return nil }
            point = number
        }
        let beginning = Classification.keys(ofPoint: point).lowerBound
        let rangeKeys = (beginning | keys.lowerBound)...(beginning | keys.upperBound)
        guard let outcome = self.number(of: rangeKeys, in: classification.ranges, rule, &walk),
            let last = find(UInt128(outcome), in: classification.outcomes, rule, &walk)
        else { return nil }
        if last.verdict == nil {
            walk.outcome.faults.append("\(classification.outcomes): a map element without a verdict")
        }
        return last.verdict
    }

    /// What a class's packet may be looked up by: where a protocol has no ports, the kernel reads what else the packet
    /// has in their place. Nil where there is nothing to be read.
    private func keys(
        of number: UInt32, _ classification: Classification, _ rule: Rule, _ walk: inout Walk
    ) -> ClosedRange<UInt128>? {
        let own = UInt8(walk.packet.flow.protocol.rawValue)
        let key = { (port: UInt16?) in
            Classification.key(class: number, protocol: classification.protocolNumber ?? own, port: port)
        }
        guard classification.readsPort else { return key(nil)...key(nil) }
        if let port = walk.packet.number(of: .destinationPort, at: walk.hook) {
            let key = key(UInt16(truncatingIfNeeded: port))
            return key...key
        }
        return walk.packet.flow.protocol.hasPorts ? nil : key(0)...key(.max)
    }

    private func number(of value: UInt128, in map: SetName, _ rule: Rule, _ walk: inout Walk) -> UInt32? {
        number(of: value...value, in: map, rule, &walk)
    }

    /// What a map of numbers has for all of these keys.
    private func number(of keys: ClosedRange<UInt128>, in map: SetName, _ rule: Rule, _ walk: inout Walk) -> UInt32? {
        guard let element = find(keys.lowerBound, in: map, rule, &walk) else { return nil }
        if sets[map]?.isUniform(over: keys) == false {
            walk.outcome.faults.append("`\(rule)` tells ports of \(walk.packet.flow) apart")
        }
        if element.number == nil { walk.outcome.faults.append("\(map): a map element without a number") }
        return element.number
    }

    private func find(_ value: UInt128, in name: SetName, _ rule: Rule, _ walk: inout Walk) -> SetElement? {
        guard let set = sets[name] else {
            walk.outcome.faults.append("`\(rule)`: no set \(name)")
            return nil
        }
        walk.outcome.lookups += 1
        return set.element(holding: value)
    }

    private func load(_ field: Field, _ rule: Rule, _ walk: inout Walk) -> UInt128? {
        let value = walk.packet.number(of: field, at: walk.hook)
        if value == nil, !TestPacket.mayBeAbsent(field) {
            walk.outcome.faults.append("`\(rule)` loads \(field) of \(walk.packet.flow)")
        }
        return value
    }

    /// Nil where a field cannot be loaded.
    private func find(_ fields: [Field], in name: SetName, _ rule: Rule, _ walk: inout Walk) -> SetElement?? {
        guard let set = sets[name] else {
            walk.outcome.faults.append("`\(rule)`: no set \(name)")
            return nil
        }
        walk.outcome.lookups += 1
        var keys: [SetKey] = []
        for field in fields {
            if field.isDevice {
                keys.append(.device(walk.packet.device(field, at: walk.hook)))
            } else {
                guard let value = load(field, rule, &walk) else { return nil }
                keys.append(.values(value...value))
            }
        }
        return .some(set.element(keys.count == 1 ? keys[0] : .concatenation(keys)))
    }

    private func find(_ field: Field, in name: SetName, _ rule: Rule, _ walk: inout Walk) -> SetElement? {
        guard let set = sets[name] else {
            walk.outcome.faults.append("`\(rule)`: no set \(name)")
            return nil
        }
        walk.outcome.lookups += 1
        if field.isDevice { return set.element(device: walk.packet.device(field, at: walk.hook)) }
        return load(field, rule, &walk).flatMap { set.element(holding: $0) }
    }
}

extension Comparison {
    fileprivate func holds(for value: UInt128, of field: Field) -> Bool {
        switch self {
        case .equals(let expected): value == expected
        case .isNot(let other): value != other
        case .prefix(let prefix, let length):
            (1...field.width * 8).contains(length)
                ? (value ^ prefix) >> UInt128(field.width * 8 - length) == 0 : length == 0
        case .range(let range): range.contains(value)
        case .hasAny(let bits): value & bits != 0
        case .hasNone(let bits): value & bits == 0
        case .isGreater(let bound): value > bound
        }
    }
}

/// A set made ready for look-ups: of numbers by the beginnings of its ranges, else by hash.
private struct IndexedSet: Sendable {
    private var devices: [String: SetElement] = [:]
    private var concatenations: [SetKey: SetElement] = [:]
    private var ranges: [(range: ClosedRange<UInt128>, element: SetElement)] = []
    private var all: SetElement?

    init(_ set: NamedSet) {
        for element in set.elements {
            switch element.key {
            case .device(let name): devices[name] = element
            case .concatenation: concatenations[element.key] = element
            case .values(let range): ranges.append((range, element))
            case .catchAll: all = element
            }
        }
        ranges.sort { $0.range.lowerBound < $1.range.lowerBound }
    }

    func element(device: String) -> SetElement? { devices[device] ?? all }

    /// Of a single value, a device or a concatenation.
    func element(_ key: SetKey) -> SetElement? {
        switch key {
        case .values(let range): element(holding: range.lowerBound)
        case .device(let name): element(device: name)
        case .concatenation: concatenations[key] ?? all
        case .catchAll: all
        }
    }

    func element(holding value: UInt128) -> SetElement? {
        let index = index(ofFirstUpTo: value)
        return index < ranges.count && ranges[index].range.contains(value) ? ranges[index].element : all
    }

    /// Whether one element holds all these values, or none of its own any.
    func isUniform(over values: ClosedRange<UInt128>) -> Bool {
        let index = index(ofFirstUpTo: values.lowerBound)
        guard index < ranges.count, ranges[index].range.overlaps(values) else { return true }
        return ranges[index].range.contains(values.lowerBound) && ranges[index].range.contains(values.upperBound)
    }

    /// Of the first range that does not end before a value.
    private func index(ofFirstUpTo value: UInt128) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].range.upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
