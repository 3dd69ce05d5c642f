import NSGModel
import NetworkTypes
import Nftables

/// What the rules of a list tell packets of one address family apart by. The values of each are numbers.
enum Dimension: Int, CaseIterable {
    case source, destination, service, sourcePort
}

/// Protocol and destination port as one number: the protocol above the lowest 17 bits, below it the port, or the type
/// of an ICMP message. What has no port, or none that can be read, has a number of its own, so that a rule for a whole
/// protocol is told from one for all of its ports.
enum Service {
    private static let shift: UInt128 = 17
    static let unreadable: UInt128 = 0x1_0000

    static func number(_ number: UInt8, _ port: UInt128) -> UInt128 { UInt128(number) << shift | port }

    static func all(of number: UInt8) -> ClosedRange<UInt128> {
        Self.number(number, 0)...Self.number(number, unreadable)
    }

    static func protocolNumber(of service: UInt128) -> UInt8 { UInt8(truncatingIfNeeded: service >> shift) }
    static func port(of service: UInt128) -> UInt128 { service & 0x1_ffff }

    /// What a rule asks for; nil for what no packet has (S1): no ports, or ports of a protocol without any.
    static func condition(of rule: ResolvedRule) -> Condition? {
        if rule.sourcePorts.isEmpty || rule.destinationPorts.isEmpty { return nil }
        let isAnyPort = rule.sourcePorts.isAll && rule.destinationPorts.isAll
        switch rule.rule.protocol {
        case .any where isAnyPort: return .any
        case .any: return ports(rule.destinationPorts, of: IPProtocol.withPorts)
        case .tcp: return ports(rule.destinationPorts, of: [.tcp], isAnyPort: isAnyPort)
        case .udp: return ports(rule.destinationPorts, of: [.udp], isAnyPort: isAnyPort)
        case .icmp: return icmp(rule)
        case .esp, .ah:
            guard isAnyPort, let number = rule.rule.protocol.number else { return nil }
            return .among(IntervalSet(CollectionOfOne(all(of: number.rawValue))))
        }
    }

    /// - Parameter protocols: ascending.
    private static func ports(
        _ ports: IntervalSet<UInt16>, of protocols: [IPProtocol], isAnyPort: Bool = false
    ) -> Condition {
        let ranges = protocols.flatMap { number -> [ClosedRange<UInt128>] in
            if isAnyPort { return [all(of: number.rawValue)] }
            return ports.ranges.map {
                Self.number(
                    number.rawValue, UInt128($0.lowerBound))...Self.number(
                        number.rawValue, UInt128($0.upperBound))
            }
        }
        return .among(IntervalSet(ascending: ranges))
    }

    /// Port numbers are compared with the ICMP type, those of both sides.
    private static func icmp(_ rule: ResolvedRule) -> Condition? {
        let number = IPProtocol.icmp.rawValue
        if rule.sourcePorts.isAll && rule.destinationPorts.isAll {
            return .among(IntervalSet(CollectionOfOne(all(of: number))))
        }
        var types = IntervalSet<UInt16>(CollectionOfOne(0...255))
        for ports in [rule.sourcePorts, rule.destinationPorts] where !ports.isAll { types = types.intersection(ports) }
        if types.isEmpty { return nil }
        return .among(
            IntervalSet(
                types.ranges.map {
                    Self.number(number, UInt128($0.lowerBound))...Self.number(number, UInt128($0.upperBound))
                }))
    }
}

/// What a clause asks of one dimension.
enum Condition: Hashable {
    case any
    case among(IntervalSet<UInt128>)
    /// One of the large sets that something has a name for, by its number. It is looked up as a whole, since its
    /// members change by themselves (S10).
    case named(Int)
}

extension Condition {
    /// Of many intervals a few: conditions of a list that begin, go on and end alike are mostly equal.
    func hash(into hasher: inout Hasher) {
        switch self {
        case .any: hasher.combine(0)
        case .named(let number): hasher.combine(number)
        case .among(let values):
            let ranges = values.ranges
            hasher.combine(ranges.count)
            for index in [0, ranges.count / 2, ranges.count - 1] where ranges.indices.contains(index) {
                hasher.combine(ranges[index].lowerBound)
                hasher.combine(ranges[index].upperBound)
            }
        }
    }
}

/// The conditions of a list, each once: clauses are compared and copied often, and hold their numbers.
struct ConditionTable {
    /// Equal conditions have equal numbers.
    struct Number: Hashable {
        fileprivate var value: Int32
        static let any = Number(value: 0)
    }

    private struct Entry {
        var condition: Condition
        /// All that it lets pass is in these bounds; of all values where that is not known.
        var bounds: ClosedRange<UInt128>
    }

    private var entries = [Entry(condition: .any, bounds: 0...UInt128.max)]
    private var numbers: [Condition: Number] = [.any: .any]

    mutating func number(of condition: Condition) -> Number {
        if let number = numbers[condition] { return number }
        let number = Number(value: Int32(entries.count))
        var bounds = 0...UInt128.max
        if case .among(let values) = condition, let first = values.ranges.first, let last = values.ranges.last {
            bounds = first.lowerBound...last.upperBound
        }
        entries.append(Entry(condition: condition, bounds: bounds))
        numbers[condition] = number
        return number
    }

    subscript(number: Number) -> Condition { entries[Int(number.value)].condition }

    /// The values of a condition that can be divided; nil of others.
    func values(_ number: Number) -> IntervalSet<UInt128>? {
        if case .among(let values) = self[number] { values } else { nil }
    }

    /// Whether all that meets the second meets the first; false where that is not known.
    func covers(_ first: Number, _ second: Number) -> Bool {
        if first == second || first == .any { return true }
        if second == .any || !bounds(first).contains(bounds(second)) { return false }
        guard case .among(let values) = self[first], case .among(let others) = self[second] else { return false }
        return values.covers(others)
    }

    /// Whether something may meet both; true where that is not known.
    func meets(_ first: Number, _ second: Number) -> Bool {
        if first == second || first == .any || second == .any { return true }
        if !bounds(first).overlaps(bounds(second)) { return false }
        guard case .among(let values) = self[first], case .among(let others) = self[second] else { return true }
        return values.meets(others)
    }

    private func bounds(_ number: Number) -> ClosedRange<UInt128> { entries[Int(number.value)].bounds }
}
