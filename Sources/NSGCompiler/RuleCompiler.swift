import NSGModel
import NetworkTypes
import Nftables

/// One security rule as nft rules: one where both families look alike, else one a family. A rule that can match nothing
/// gives none.
struct RuleCompiler {
    let rule: ResolvedRule
    let network: ResourceID
    let names: ChainNames
    /// What a match does: count, label or log, verdict.
    let action: [Step]

    func compile(into builder: inout RulesetBuilder) -> [Rule] {
        families.flatMap { family -> [Rule] in
            let transports = transports(into: &builder)
            if transports.isEmpty { return [] }
            let beginning = familySteps(family)
            let addresses = addressSteps(family, into: &builder)
            return transports.map { Rule(beginning + $0 + addresses + action, comment: comment) }
        }
    }

    private var comment: String {
        switch rule.rule.kind {
        case .platform: rule.rule.name
        case .admin where rule.rule.isNoAdminRule: "no admin rule"
        case .admin, .custom, .default: "\(rule.rule.priority) \(rule.rule.name)"
        }
    }

    /// Nil: one rule serves both families.
    private var families: [IPFamily?] {
        let both = rule.source == .all && rule.destination == .all
        if both && rule.rule.protocol != .icmp { return [nil] }
        let four = !rule.source.v4.isEmpty && !rule.destination.v4.isEmpty
        let six = !rule.source.v6.isEmpty && !rule.destination.v6.isEmpty && rule.rule.protocol != .icmp
        return (four ? [.ipv4] : []) + (six ? [.ipv6] : [])
    }

    private func familySteps(_ family: IPFamily?) -> [Step] {
        switch family {
        case nil: []
        case .ipv4: [.match(.family, .equals(2))]
        case .ipv6: [.match(.family, .equals(10))]
        }
    }

    // MARK: Protocol and ports

    /// The ways in which a packet can match, no two of them at once; none where the rule matches nothing: a side without
    /// ports, or ports under a protocol that has none (S1).
    private func transports(into builder: inout RulesetBuilder) -> [[Step]] {
        if rule.sourcePorts.isEmpty || rule.destinationPorts.isEmpty { return [] }
        let anyPort = rule.sourcePorts.isAll && rule.destinationPorts.isAll
        switch rule.rule.protocol {
        case .any where anyPort: return [[]]
        case .any: return [[.lookup(.protocol, in: FixedNames.portProtocols)] + portSteps(into: &builder)]
        case .icmp: return icmpTransports
        case .esp, .ah:
            guard anyPort else { return [] }
        case .tcp, .udp: break
        }
        let number = rule.rule.protocol.number.map { UInt128($0.rawValue) } ?? 0
        return [[.match(.protocol, .equals(number))] + portSteps(into: &builder)]
    }

    private func portSteps(into builder: inout RulesetBuilder) -> [Step] {
        var steps: [Step] = []
        for (field, ports) in [(Field.sourcePort, rule.sourcePorts), (.destinationPort, rule.destinationPorts)]
        where !ports.isAll {
            if ports.ranges.count == 1, let range = ports.ranges.first {
                steps.append(.match(field, comparison(range)))
            } else {
                let elements = ports.ranges.map { SetElement(.values(widened($0))) }
                steps.append(
                    .lookup(field, in: builder.set("ports", keyType: .inetService, isInterval: true, elements)))
            }
        }
        return steps
    }

    /// Port numbers are compared with the ICMP type, those of both sides. One rule a range of types: the kernel takes
    /// 128 expressions a rule (`NFT_RULE_MAXEXPRS`), which a list of the types between two ranges can exceed.
    private var icmpTransports: [[Step]] {
        let icmp = Step.match(.protocol, .equals(UInt128(IPProtocol.icmp.rawValue)))
        if rule.sourcePorts.isAll && rule.destinationPorts.isAll { return [[icmp]] }
        var types = IntervalSet<UInt16>(CollectionOfOne(0...255))
        for ports in [rule.sourcePorts, rule.destinationPorts] where !ports.isAll { types = types.intersection(ports) }
        return types.ranges.map { [icmp, .match(.icmpType, comparison($0))] }
    }

    // MARK: Addresses

    private func addressSteps(_ family: IPFamily?, into builder: inout RulesetBuilder) -> [Step] {
        switch family {
        case nil: return []
        case .ipv4:
            return [
                step(.ipSource, rule.source.v4, rule.rule.source, .ipv4Address, into: &builder),
                step(.ipDestination, rule.destination.v4, rule.rule.destination, .ipv4Address, into: &builder),
            ].compactMap(\.self)
        case .ipv6:
            return [
                step(.ip6Source, rule.source.v6, rule.rule.source, .ipv6Address, into: &builder),
                step(.ip6Destination, rule.destination.v6, rule.rule.destination, .ipv6Address, into: &builder),
            ].compactMap(\.self)
        }
    }

    /// One prefix is compared in place; more are a set, shared by all rules with the same addresses.
    private func step<Bound>(
        _ field: Field, _ addresses: IntervalSet<Bound>, _ scope: AddressScope, _ keyType: KeyType,
        into builder: inout RulesetBuilder
    ) -> Step? {
        if addresses.isAll { return nil }
        if addresses.ranges.count == 1, let range = addresses.ranges.first {
            return .match(field, comparison(range))
        }
        let elements = addresses.ranges.map { SetElement(.values(widened($0))) }
        let base = names.addresses(scope, in: network)
        let suffix = keyType == .ipv4Address ? ".v4" : ".v6"
        if scope.isNamed, elements.count > RulesetBuilder.mostOfSmallSet {
            return .lookup(
                field, in: builder.pairedSet(base + suffix, keyType: keyType, isInterval: true, elements))
        }
        return .lookup(
            field, in: builder.set(base, keyType: keyType, isInterval: true, elements, suffix: suffix))
    }

    /// Equality, a prefix where the range is one, or the range.
    private func comparison<Bound: FixedWidthInteger & UnsignedInteger>(_ range: ClosedRange<Bound>) -> Comparison {
        let wide = widened(range)
        if range.lowerBound == range.upperBound { return .equals(wide.lowerBound) }
        let span = range.upperBound - range.lowerBound
        if Bound.bitWidth >= 32, span & (span &+ 1) == 0, range.lowerBound & span == 0 {
            return .prefix(wide.lowerBound, length: span.leadingZeroBitCount)
        }
        return .range(wide)
    }

    private func widened<Bound: FixedWidthInteger & UnsignedInteger>(_ range: ClosedRange<Bound>) -> ClosedRange<
        UInt128
    > {
        UInt128(range.lowerBound)...UInt128(range.upperBound)
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
