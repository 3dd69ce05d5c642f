import NetworkTypes
import Nftables

/// A table of cells as maps, and the rules that look a packet up in them: the class of its address, then what the
/// class's cell of its protocol and port holds, then the chain that decides.
///
/// What is between is a number, since a map from numbers to numbers names no chains: the kernel need not walk it at
/// each commit, and a rule that does something else now is one element. A point's number is that of its outcome, under
/// which the map of ranges holds it once more, whatever the class, so that one rule looks up both.
struct CellRules {
    let cells: CellTable
    /// Of contents, by number.
    let targets: [Target]
    let rest: ChainName
    let writer: ClauseWriter
    /// What the maps are named after.
    let base: String

    struct Target {
        var chain: ChainName
        /// Of its name, which tells it from all others of the list (`number(ofName:)`).
        var number: UInt32
    }

    /// The number of points that the rest decides: the map of ranges does not hold it.
    private static let restNumber: UInt32 = 1

    /// In one chain, since there are few levels of them. Most packets are looked up by what they have; behind that come
    /// those of folded protocols, and those without a port.
    func rules(into builder: inout RulesetBuilder) -> [Rule] {
        guard let (maps, others) = maps(into: &builder) else { return [Rule(.verdict(.goto(rest)))] }
        var rules = [lookUp(maps, readsPort: true)]
        let folded = cells.holdsFolded ? Transport.steps(Folded.protocols.map(\.rawValue), into: &builder) : []
        if cells.holdsPortless || cells.holdsFolded {
            let unfolded = IPProtocol.withPorts.filter { !Folded.protocols.contains($0) }
            rules.append(missed(Transport.steps(unfolded.map(\.rawValue), into: &builder)))
        }
        if cells.holdsFolded { rules.append(lookUp(others, folded, of: Folded.representative, readsPort: true)) }
        if cells.holdsPortless {
            if cells.holdsFolded { rules.append(missed(folded)) }
            rules.append(lookUp(others, readsPort: false))
            if cells.holdsFolded { rules.append(lookUp(others, folded, of: Folded.representative, readsPort: false)) }
        }
        return rules + [Rule(.verdict(.goto(rest)))]
    }

    /// What has a port was looked up by it.
    private func missed(_ protocols: [Step]) -> Rule {
        Rule(protocols + [.match(.destinationPort, .range(0...0xffff)), .verdict(.goto(rest))])
    }

    // MARK: Maps

    private struct Maps {
        var classes: SetName
        var points: SetName?
        var ranges: SetName
        var outcomes: SetName
    }

    /// Nil where the rest decides everywhere. Packets without a port, and those of folded protocols, have outcomes of
    /// their own: at each commit the kernel goes through these for each rule that looks them up, and they are few.
    private func maps(into builder: inout RulesetBuilder) -> (maps: Maps, others: Maps)? {
        let numbers = Self.numbers(of: targets, rest: rest)
        let points = points(numbers)
        let ranges = ranges(numbers, points)
        guard !ranges.isEmpty else { return nil }
        let classes = cells.classes.map { SetElement(.values($0.values), number: $0.number) }
        let addressType: KeyType = writer.family == .ipv4 ? .ipv4Address : .ipv6Address
        let maps = Maps(
            classes: builder.map(
                "\(base)/classes", keyType: addressType, values: .numbers, keepsName: true, classes),
            points: points.isEmpty
                ? nil
                : builder.map(
                    "\(base)/points", keyType: Classification.pointType, isInterval: false, values: .numbers,
                    keepsName: true, points),
            ranges: builder.map(
                "\(base)/ranges", keyType: Classification.rangeType, values: .numbers, keepsName: true, ranges),
            outcomes: outcomes("outcomes", numbers, of: targets.indices, into: &builder))
        var others = maps
        let met = cells.others.filter { numbers[$0] != Self.restNumber }
        if !met.isEmpty { others.outcomes = outcomes("others", numbers, of: met, into: &builder) }
        return (maps, others)
    }

    /// - Parameter indexes: of targets.
    private func outcomes(
        _ name: String, _ numbers: [UInt32], of indexes: some Sequence<Int>, into builder: inout RulesetBuilder
    ) -> SetName {
        var outcomes: [UInt32: ChainName] = [:]
        for index in indexes where numbers[index] != Self.restNumber { outcomes[numbers[index]] = targets[index].chain }
        let verdicts = outcomes.sorted { $0.key < $1.key }.map { number, chain in
            SetElement(.values(UInt128(number)...UInt128(number)), verdict: .goto(chain))
        }
        return builder.map(
            "\(base)/\(name)", keyType: Classification.outcomeType, isInterval: false, values: .verdicts,
            keepsName: true, verdicts)
    }

    private func points(_ numbers: [UInt32]) -> [SetElement] {
        if cells.points.isEmpty { return [] }
        return cells.points.map { key, content in
            SetElement(.values(key...key), number: content.map { numbers[$0] } ?? Self.restNumber)
        } + [SetElement(.catchAll, number: Classification.noPoint)]
    }

    /// Of classes, then of points.
    private func ranges(_ numbers: [UInt32], _ points: [SetElement]) -> [SetElement] {
        let ofClasses = cells.ranges.filter { numbers[$0.content] != Self.restNumber }.map {
            SetElement(.values($0.keys), number: numbers[$0.content])
        }
        let numbersOfPoints = Set(points.compactMap(\.number)).subtracting([Classification.noPoint, Self.restNumber])
        return ofClasses
            + numbersOfPoints.sorted().map { SetElement(.values(Classification.keys(ofPoint: $0)), number: $0) }
    }

    static func number(ofName name: String) -> UInt32 {
        var digest = ContentDigest()
        digest.add(name)
        return digest.number
    }

    /// An outcome is called after the chain that decides, so that it keeps its number when others come and go. Of two
    /// names that would give one number, the second has the next one that is free.
    static func numbers(of targets: [Target], rest: ChainName) -> [UInt32] {
        var used: [UInt32: ChainName] = [:]
        return targets.map { target in
            if target.chain == rest { return restNumber }
            var number = target.number
            while number <= restNumber || used[number] != nil && used[number] != target.chain { number &+= 1 }
            used[number] = target.chain
            return number
        }
    }

    // MARK: Look-ups

    /// - Parameter number: looked up instead of the packet's protocol.
    private func lookUp(_ maps: Maps, _ beginning: [Step] = [], of number: IPProtocol? = nil, readsPort: Bool) -> Rule {
        let classification = Classification(
            address: writer.field(cells.dimension), classes: maps.classes, protocolNumber: number?.rawValue,
            readsPort: readsPort, points: readsPort ? maps.points : nil, ranges: maps.ranges, outcomes: maps.outcomes)
        return Rule(writer.inFamily(beginning + [.classify(classification)]))
    }
}
