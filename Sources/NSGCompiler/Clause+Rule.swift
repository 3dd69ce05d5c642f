import NSGModel
import NetworkTypes

/// Numbers for the large sets that something has a name for (`Condition.named`).
struct NamedSets {
    private var numbers: [AddressScope: Int] = [:]

    mutating func number(of scope: AddressScope) -> Int {
        let number = numbers[scope] ?? numbers.count
        numbers[scope] = number
        return number
    }
}

extension Clause {
    /// What a rule asks of packets of a family; nil if it matches none of them.
    /// - Parameter destinations: that packets may have; nil for any.
    init?(
        _ rule: ResolvedRule, _ family: IPFamily, ordinal: Int, outcome: Outcome,
        destinations: IntervalSet<UInt128>? = nil, _ named: inout NamedSets, _ table: inout ConditionTable
    ) {
        // `Icmp` is ICMP of IPv4 alone.
        guard family == .ipv4 || rule.rule.protocol != .icmp,
            let source = Self.condition(rule, family, .source, among: nil, &named),
            let destination = Self.condition(rule, family, .destination, among: destinations, &named),
            let service = Service.condition(of: rule)
        else { return nil }
        self.init(
            ordinal: ordinal, outcome: outcome, source: table.number(of: source),
            destination: table.number(of: destination), service: table.number(of: service),
            sourcePort: table.number(of: Self.sourcePorts(of: rule)))
    }

    /// Nil where the side has no address of the family.
    /// - Parameter possible: the addresses that packets may have; nil for any.
    private static func condition(
        _ rule: ResolvedRule, _ family: IPFamily, _ dimension: Dimension, among possible: IntervalSet<UInt128>?,
        _ named: inout NamedSets
    ) -> Condition? {
        let side = dimension == .source ? rule.source : rule.destination
        let scope = dimension == .source ? rule.rule.source : rule.rule.destination
        let (count, isAll) =
            family == .ipv4 ? (side.v4.ranges.count, side.v4.isAll) : (side.v6.ranges.count, side.v6.isAll)
        if count == 0 { return nil }
        if isAll { return .any }
        if let possible {
            let values = IntervalSet(ascending: rule.ranges(family, dimension))
            if !values.meets(possible) { return nil }
            if values.covers(possible) { return .any }
        }
        if scope.isNamed, count > RulesetBuilder.mostOfSmallSet { return .named(named.number(of: scope)) }
        return .among(IntervalSet(ascending: rule.ranges(family, dimension)))
    }

    /// Of ICMP they are compared with the type, like those of the other side.
    private static func sourcePorts(of rule: ResolvedRule) -> Condition {
        if rule.sourcePorts.isAll || rule.rule.protocol == .icmp { return .any }
        return .among(
            IntervalSet(ascending: rule.sourcePorts.ranges.map { UInt128($0.lowerBound)...UInt128($0.upperBound) }))
    }
}

extension AddressScope {
    /// Whether the addresses are those of something with a name, which are the same in every rule and change by
    /// themselves.
    fileprivate var isNamed: Bool {
        switch self {
        case .serviceTag, .applicationSecurityGroups, .networkGroup: true
        case .any, .prefixes, .either: false
        }
    }
}
