import NSGModel
import NetworkTypes
import Nftables

/// Clauses as the steps of rules: what a packet is held against.
struct ClauseWriter {
    let family: IPFamily
    let table: ConditionTable
    /// By the ordinals of clauses.
    let rules: [ResolvedRule]
    let network: ResourceID
    let names: ChainNames

    /// More comparisons in a row than these become a look-up in a set.
    private static let mostRules = 12

    /// How many rules a clause takes.
    /// - Parameter settled: a dimension that need not be asked.
    func count(_ clause: Clause, without settled: Dimension? = nil) -> Int {
        var widths = widths(clause)
        if let settled { widths[settled.rawValue] = 1 }
        return min(widths.reduce(1, *), Self.mostRules)
    }

    /// Into how many parts a clause falls, each with one interval of every dimension.
    func extent(_ clause: Clause) -> Int { widths(clause).reduce(1, *) }

    private func widths(_ clause: Clause) -> [Int] {
        Dimension.allCases.map { dimension in
            switch table[clause[dimension]] {
            case .any, .named: 1
            case .among(let values):
                dimension == .service ? Transport.all(in: values).reduce(0) { $0 + $1.width } : values.ranges.count
            }
        }
    }

    /// The ways in which a packet can match, no two of them at once.
    func ways(_ clause: Clause, into builder: inout RulesetBuilder) -> [[Step]] {
        var widths = widths(clause)
        var inSets: Set<Dimension> = []
        while widths.reduce(1, *) > Self.mostRules,
            let widest = Dimension.allCases.filter({ !inSets.contains($0) }).max(by: {
                widths[$0.rawValue] < widths[$1.rawValue]
            })
        {
            inSets.insert(widest)
            if widest != .service {
                widths[widest.rawValue] = 1
            } else if let values = table.values(clause[.service]) {
                widths[widest.rawValue] = Transport.all(in: values).reduce(0) { $0 + $1.widthInSets }
            }
        }
        let services = services(table[clause[.service]], inSets: inSets.contains(.service), into: &builder)
        let ports = ports(table[clause[.sourcePort]], .sourcePort, inSet: inSets.contains(.sourcePort), into: &builder)
        let sources = addresses(clause, .source, inSet: inSets.contains(.source), into: &builder)
        let destinations = addresses(clause, .destination, inSet: inSets.contains(.destination), into: &builder)
        return services.flatMap { service in
            ports.flatMap { port in
                sources.flatMap { source in
                    destinations.map { inFamily(service.protocol + port + service.ports + source + $0) }
                }
            }
        }
    }

    /// With a test of the family before what only packets of it have: without, nft shows such a field by its number.
    func inFamily(_ steps: [Step]) -> [Step] {
        let needsFamily = steps.contains { step in
            switch step {
            case .match(let field, _), .lookup(let field, _), .dispatch(let field, _):
                field == .icmpType || field == self.field(.source) || field == self.field(.destination)
            case .classify: true
            default: false
            }
        }
        return needsFamily ? [.match(.family, .equals(family == .ipv4 ? 2 : 10))] + steps : steps
    }

    // MARK: Addresses

    func field(_ dimension: Dimension) -> Field {
        switch (dimension, family) {
        case (.source, .ipv4): .ipSource
        case (.source, .ipv6): .ip6Source
        case (.destination, .ipv4): .ipDestination
        case (.destination, .ipv6): .ip6Destination
        case (.service, _): .destinationPort
        case (.sourcePort, _): .sourcePort
        }
    }

    private var addressType: KeyType { family == .ipv4 ? .ipv4Address : .ipv6Address }

    private func addresses(
        _ clause: Clause, _ dimension: Dimension, inSet: Bool, into builder: inout RulesetBuilder
    ) -> [[Step]] {
        switch table[clause[dimension]] {
        case .any: return [[]]
        case .among(let values):
            guard inSet else { return values.ranges.map { [.match(field(dimension), comparison($0))] } }
            let set = builder.set(
                base(clause, dimension), keyType: addressType, isInterval: true,
                values.ranges.map { SetElement(.values($0)) }, suffix: suffix)
            return [[.lookup(field(dimension), in: set)]]
        case .named:
            let rule = rules[clause.ordinal]
            let elements = rule.ranges(family, dimension).map { SetElement(.values($0)) }
            let set = builder.pairedSet(
                base(clause, dimension) + suffix, keyType: addressType, isInterval: true, elements)
            return [[.lookup(field(dimension), in: set)]]
        }
    }

    private var suffix: String { family == .ipv4 ? ".v4" : ".v6" }

    private func base(_ clause: Clause, _ dimension: Dimension) -> String {
        let rule = rules[clause.ordinal].rule
        return names.addresses(dimension == .source ? rule.source : rule.destination, in: network)
    }

    /// Equality, a prefix where the range is one, or the range.
    func comparison(_ range: ClosedRange<UInt128>) -> Comparison {
        if range.lowerBound == range.upperBound { return .equals(range.lowerBound) }
        let span = range.upperBound - range.lowerBound
        if span & (span &+ 1) == 0, range.lowerBound & span == 0 {
            let bits = UInt128.bitWidth - span.leadingZeroBitCount
            return .prefix(range.lowerBound, length: (family == .ipv4 ? 32 : 128) - bits)
        }
        return .range(range)
    }

    // MARK: Protocol and ports

    /// nft writes the source port between the two.
    private typealias ServiceSteps = (protocol: [Step], ports: [Step])

    private func services(
        _ condition: Condition, inSets: Bool, into builder: inout RulesetBuilder
    ) -> [ServiceSteps] {
        guard case .among(let values) = condition else { return [([], [])] }
        return Transport.all(in: values).flatMap { transport -> [ServiceSteps] in
            let beginning = Transport.steps(transport.numbers, into: &builder)
            if transport.isWhole { return [(beginning, [])] }
            if transport.numbers == [IPProtocol.icmp.rawValue] {
                return transport.ports.map { (beginning, [.match(.icmpType, Self.portComparison($0))]) }
            }
            let ports = ports(
                .among(IntervalSet(transport.ports)), .destinationPort, inSet: inSets, into: &builder)
            return ports.map { (beginning, $0) }
        }
    }

    private func ports(
        _ condition: Condition, _ field: Field, inSet: Bool, into builder: inout RulesetBuilder
    ) -> [[Step]] {
        guard case .among(let values) = condition else { return [[]] }
        guard inSet, values.ranges.count > 1 else {
            return values.ranges.map { [.match(field, Self.portComparison($0))] }
        }
        let set = builder.set(
            "ports", keyType: .inetService, isInterval: true, values.ranges.map { SetElement(.values($0)) })
        return [[.lookup(field, in: set)]]
    }

    static func portComparison(_ range: ClosedRange<UInt128>) -> Comparison {
        range.lowerBound == range.upperBound ? .equals(range.lowerBound) : .range(range)
    }
}

/// Protocols that a condition asks the same ports of.
struct Transport {
    var numbers: [UInt8]
    /// Ports, or types of ICMP messages.
    var ports: [ClosedRange<UInt128>]

    /// Whatever the ports, be they readable or not.
    var isWhole: Bool { ports == [0...Service.unreadable] }
    var width: Int { isWhole ? 1 : ports.count }
    /// Where ports may be looked up in a set; types of ICMP messages are not.
    var widthInSets: Int { numbers == [IPProtocol.icmp.rawValue] ? width : 1 }

    static func all(in services: IntervalSet<UInt128>) -> [Transport] {
        var transports: [Transport] = []
        var index = services.ranges.startIndex
        while index < services.ranges.endIndex {
            let number = Service.protocolNumber(of: services.ranges[index].lowerBound)
            var ports: [ClosedRange<UInt128>] = []
            while index < services.ranges.endIndex,
                Service.protocolNumber(of: services.ranges[index].lowerBound) == number
            {
                let range = services.ranges[index]
                ports.append(Service.port(of: range.lowerBound)...Service.port(of: range.upperBound))
                index += 1
            }
            let hasPorts = IPProtocol(rawValue: number).hasPorts
            if hasPorts,
                let same = transports.firstIndex(where: {
                    IPProtocol(rawValue: $0.numbers[0]).hasPorts && $0.ports == ports
                })
            {
                transports[same].numbers.append(number)
            } else {
                transports.append(Transport(numbers: [number], ports: ports))
            }
        }
        return transports
    }

    static func steps(_ numbers: [UInt8], into builder: inout RulesetBuilder) -> [Step] {
        if numbers.count == 1 { return [.match(.protocol, .equals(UInt128(numbers[0])))] }
        if Set(numbers) == Set(IPProtocol.withPorts.map(\.rawValue)) {
            return [.lookup(.protocol, in: FixedNames.portProtocols)]
        }
        let elements = numbers.sorted().map { SetElement(.values(UInt128($0)...UInt128($0))) }
        return [
            .lookup(.protocol, in: builder.set("protocols", keyType: .inetProtocol, isInterval: false, elements))
        ]
    }
}

extension ResolvedRule {
    /// Addresses of one side and family, as numbers.
    func ranges(_ family: IPFamily, _ dimension: Dimension) -> [ClosedRange<UInt128>] {
        let side = dimension == .source ? source : destination
        return switch family {
        case .ipv4: side.v4.widened.ranges
        case .ipv6: side.v6.ranges
        }
    }
}
