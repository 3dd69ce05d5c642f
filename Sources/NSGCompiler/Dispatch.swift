import NSGModel
import NetworkTypes
import Nftables

/// Rules that lead to a chain by the value of one dimension: an interval map, or comparisons where there are few.
struct Dispatch {
    let dimension: Dimension
    /// Ascending and disjoint; a packet with another value goes on behind these rules.
    let targets: [(values: ClosedRange<UInt128>, chain: ChainName)]
    /// Where a packet with another value goes, in the end.
    let rest: ChainName
    let writer: ClauseWriter
    /// What the maps are named after.
    let base: String
    /// Whether the maps keep their names when they change, so that a change of a large one sends only the difference.
    let keepsNames: Bool

    /// A map costs more than so many comparisons.
    private static let mostComparisons = 3

    func rules(into builder: inout RulesetBuilder) -> [Rule] {
        switch dimension {
        case .source, .destination:
            let field = writer.field(dimension)
            return rules(
                [], field, writer.family == .ipv4 ? .ipv4Address : .ipv6Address, targets,
                name: dimension == .source ? "source" : "destination", into: &builder)
        case .sourcePort:
            return rules(
                [.lookup(.protocol, in: FixedNames.portProtocols)], .sourcePort, .inetService, targets,
                name: "sport", into: &builder)
        case .service: return serviceRules(into: &builder)
        }
    }

    private typealias Target = (values: ClosedRange<UInt128>, chain: ChainName)

    private func rules(
        _ beginning: [Step], _ field: Field, _ keyType: KeyType, _ targets: [Target], name: String,
        into builder: inout RulesetBuilder
    ) -> [Rule] {
        let targets = Self.merged(targets)
        if targets.count <= Self.mostComparisons {
            return targets.map { values, chain in
                let comparison =
                    keyType == .inetService ? ClauseWriter.portComparison(values) : writer.comparison(values)
                return Rule(writer.inFamily(beginning + [.match(field, comparison)]) + [.verdict(.goto(chain))])
            }
        }
        let elements = targets.map { SetElement(.values($0.values), verdict: .goto($0.chain)) }
        let map = builder.map("\(base)/\(name)", keyType: keyType, keepsName: keepsNames, elements)
        return [Rule(writer.inFamily(beginning + [.dispatch(field, through: map)]))]
    }

    /// Neighbours with one target are one.
    private static func merged(_ targets: [Target]) -> [Target] {
        var merged: [Target] = []
        for target in targets {
            if let last = merged.last, last.chain == target.chain,
                last.values.upperBound + 1 == target.values.lowerBound
            {
                merged[merged.count - 1].values = last.values.lowerBound...target.values.upperBound
            } else {
                merged.append(target)
            }
        }
        return merged
    }

    // MARK: Services

    /// What the services of one protocol lead to.
    private struct Ports {
        var numbers: [UInt8]
        var targets: [Target]
        /// Where packets go whose port cannot be read.
        var unreadable: ChainName?
        var isWhole: Bool {
            targets.count == 1 && targets[0].values == 0...0xffff && targets[0].chain == unreadable
        }
        /// Whether each of these leads to a target.
        func covers(_ values: ClosedRange<UInt128>) -> Bool {
            IntervalSet(targets.map(\.values)).covers(IntervalSet(CollectionOfOne(values)))
        }
        func isSame(as other: Ports) -> Bool {
            unreadable == other.unreadable && targets.count == other.targets.count
                && zip(targets, other.targets).allSatisfy { $0.values == $1.values && $0.chain == $1.chain }
        }
    }

    private func serviceRules(into builder: inout RulesetBuilder) -> [Rule] {
        var rules: [Rule] = []
        for ports in portsByProtocol() {
            let beginning = Transport.steps(ports.numbers, into: &builder)
            let unreadable = ports.unreadable.map { [Rule(beginning + [.verdict(.goto($0))])] } ?? []
            if ports.isWhole {
                rules += unreadable
            } else if ports.numbers == [IPProtocol.icmp.rawValue] {
                rules += typeRules(beginning, ports.targets)
                if !unreadable.isEmpty, !ports.covers(0...0xff) {
                    rules += typeRules(beginning, [(0...0xff, rest)])
                }
                rules += unreadable
            } else {
                let name = ports.numbers.count > 1 ? "ports" : ProtocolWord.of(ports.numbers[0])
                rules += self.rules(
                    beginning, .destinationPort, .inetService, ports.targets, name: name, into: &builder)
                if !unreadable.isEmpty, !ports.covers(0...0xffff) {
                    // What is readable, and of no target, is not for the next rule.
                    rules.append(
                        Rule(beginning + [.match(.destinationPort, .range(0...0xffff)), .verdict(.goto(rest))]))
                }
                rules += unreadable
            }
        }
        return rules
    }

    private func typeRules(_ beginning: [Step], _ targets: [Target]) -> [Rule] {
        targets.filter { $0.values.lowerBound <= 0xff }.map { values, chain in
            let types = values.lowerBound...min(values.upperBound, 0xff)
            return Rule(
                writer.inFamily(beginning + [.match(.icmpType, ClauseWriter.portComparison(types))])
                    + [.verdict(.goto(chain))])
        }
    }

    /// TCP and UDP first; protocols of which all leads to the same in one.
    private func portsByProtocol() -> [Ports] {
        var all: [Ports] = []
        for (values, chain) in targets {
            let number = Service.protocolNumber(of: values.lowerBound)
            if all.last?.numbers != [number] { all.append(Ports(numbers: [number], targets: [])) }
            let (first, last) = (Service.port(of: values.lowerBound), Service.port(of: values.upperBound))
            if last == Service.unreadable { all[all.count - 1].unreadable = chain }
            if first <= 0xffff { all[all.count - 1].targets.append((first...min(last, 0xffff), chain)) }
        }
        for index in all.indices { all[index].targets = Self.merged(all[index].targets) }
        var joined: [Ports] = []
        for ports in all {
            if IPProtocol(rawValue: ports.numbers[0]).hasPorts,
                let same = joined.firstIndex(where: {
                    IPProtocol(rawValue: $0.numbers[0]).hasPorts && $0.isSame(as: ports)
                })
            {
                joined[same].numbers += ports.numbers
            } else {
                joined.append(ports)
            }
        }
        let order: [UInt8] = [IPProtocol.tcp.rawValue, IPProtocol.udp.rawValue]
        return joined.sorted {
            (order.firstIndex(of: $0.numbers[0]) ?? 2, $0.numbers[0]) < (
                order.firstIndex(of: $1.numbers[0]) ?? 2, $1.numbers[0]
            )
        }
    }
}

private enum ProtocolWord {
    static func of(_ number: UInt8) -> String {
        switch IPProtocol(rawValue: number) {
        case .tcp: "tcp"
        case .udp: "udp"
        default: "protocol\(number)"
        }
    }
}
