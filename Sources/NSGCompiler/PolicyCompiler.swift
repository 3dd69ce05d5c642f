package import NSGModel
import NetworkTypes
package import Nftables

/// Where copies of first packets go; nil where nobody reads them.
package struct CompilerOptions: Hashable, Sendable {
    package var packetLogGroup: UInt16?
    /// Enough for the headers of the longest first packet that is of use.
    package var snapLength: UInt32
    /// See `RulesetBuilder`.
    package var salt: String
    package var division = Division()

    /// Nil where nobody reads copies.
    func packetCopy(_ mark: DecisionMark) -> Step? {
        packetLogGroup.map { .log(PacketCopy(group: $0, snapLength: snapLength, prefix: mark.description)) }
    }

    package init(packetLogGroup: UInt16?, snapLength: UInt32 = 128, salt: String = "") {
        self.packetLogGroup = packetLogGroup
        self.snapLength = snapLength
        self.salt = salt
    }
}

/// How large a list is divided (`DecisionTree`). Tests take small ones, and one way at a time.
package struct Division: Hashable, Sendable {
    /// So many comparisons one after the other are no more work than a look-up and the memory of its map.
    package var shortRow = 30
    /// Where classes of addresses have fewer clauses, each class with its own, there are no cells (`CellTable`); nil
    /// for none at all.
    package var fewestCells: Int? = 2_000
    /// Nor where more rules would compare what cells cannot settle: where destinations and ports of many rules lie
    /// across each other, every class has rows of its own.
    package var mostRulesBehindCells = 50_000

    package init() {}
}

/// Security groups on bound interfaces as a table (sections 3 and 4 of docs/architecture.md say how it is laid out).
package struct PolicyCompiler: Sendable {
    private let book: PolicyBook
    private let numbering: RuleNumbering
    private let options: CompilerOptions
    private let names: ChainNames

    /// - Parameter numbering: has a number for every rule of `book`'s bound interfaces (`RuleNumbering.assign(to:)`).
    package init(_ book: PolicyBook, numbering: RuleNumbering, options: CompilerOptions) {
        self.book = book
        self.numbering = numbering
        self.options = options
        names = ChainNames(book)
    }

    package func ruleset() -> Ruleset { compiled().wanted.ruleset }

    /// What a policy becomes; the same input gives the same.
    package struct Output: Sendable {
        /// The frame, and a part for each use of a list. Parts that did not change are those of the earlier output.
        package let wanted: ComposedRuleset
        package let statistics: CompilerStatistics
        /// For the compilation of the next policy.
        package let lists: CompiledLists
    }

    /// O(rules of lists that the earlier policy did not have + objects).
    package func compiled(after earlier: CompiledLists? = nil) -> Output {
        var (lists, frame) = sideBySide {
            CompiledLists(of: requests(), names: names, after: earlier)
        } _: {
            compiledFrame()
        }
        lists.setFrame(frame, after: earlier)
        return Output(
            wanted: ComposedRuleset(table: FixedNames.table, parts: lists.parts), statistics: lists.statistics,
            lists: lists)
    }

    private var emptyBuilder: RulesetBuilder { RulesetBuilder(table: FixedNames.table, salt: options.salt) }

    /// All that is no list.
    private func compiledFrame() -> Ruleset {
        var builder = emptyBuilder
        let targets = book.estate.bindings.isEmpty ? Targets() : compileTargets(into: &builder)
        Skeleton.add(
            to: &builder, input: targets.input, forward: targets.forward, output: targets.output,
            again: targets.again, senders: targets.senders)
        return builder.ruleset
    }

    /// Every use of a list on a bound interface, once.
    private func requests() -> [ListRequest] {
        let builder = emptyBuilder
        let levels = ListLevels(hasAdminLists: book.hasAdminLists)
        let passes = Routers.bindings(in: book.estate).isEmpty ? [false] : [false, true]
        var requests: [ListRequest] = []
        var known: [ListUse: Destinations] = [:]
        for binding in book.estate.bindings {
            let destinations = book.estate.destinationsAtRules(of: binding)
            for list in Direction.allCases.flatMap({ book.lists(of: binding.networkInterface, $0) }) {
                for isAgain in passes {
                    let use = ListUse(list: list.key, attachment: binding.attachment, writesLabel: !isAgain)
                    let isNew = known[use] == nil
                    known[use, default: Destinations()].add(list.key.direction == .inbound ? destinations : nil)
                    guard isNew else { continue }
                    let isAdmin = list.key.level == .admin
                    let next = isAdmin ? builder.fixedName(FixedNames.groups(use.slot.side, isAgain: isAgain)) : nil
                    let inputs = ListRequest.Inputs(
                        version: list.version, numbers: numbering.assigned(to: list), options: options,
                        levels: isAdmin ? levels.admin : levels.groups, next: next)
                    requests.append(ListRequest(list: list, use: use, inputs: inputs))
                }
            }
        }
        for index in requests.indices { requests[index].inputs.destinations = known[requests[index].use]?.union }
        return requests
    }

    /// Of the interfaces that use a list.
    private struct Destinations {
        private var parts: [AddressSet] = []
        private var hasAny = false

        mutating func add(_ addresses: AddressSet?) {
            if let addresses { parts.append(addresses) } else { hasAny = true }
        }

        /// Nil for any.
        var union: AddressSet? {
            hasAny
                ? nil
                : AddressSet(
                    v4: IntervalSet(parts.flatMap(\.v4.ranges)), v6: IntervalSet(parts.flatMap(\.v6.ranges)))
        }
    }

    /// What the trampolines of the skeleton lead to.
    private struct Targets {
        /// Only where guests route.
        var again: ChainName?
        /// Only where guests are held to their addresses.
        var senders: Rule?
        var input = Skeleton.Target()
        var forward = Skeleton.Target()
        var output = Skeleton.Target()
    }

    private func compileTargets(into builder: inout RulesetBuilder) -> Targets {
        let routers = Routers(in: book.estate, into: &builder)
        let allowed = AllowedCompiler(book: book, options: options).compile(isAgain: false, routers, into: &builder)
        let links = LinkCompiler(book: book, into: &builder)
        var targets = Targets()
        for family in IPFamily.allCases {
            let cut = CutFlows.rules(family, into: &builder)
            let maps = dispatch(family, cut: cut, allowed, isAgain: false, into: &builder)
            let (entry, exit) = (
                Rule(.dispatch(.inputDevice, through: maps.entry)), Rule(.dispatch(.outputDevice, through: maps.exit))
            )
            let input =
                [links.unbound([.inputDevice])] + links.rules(.entry, family, cut: cut, into: &builder)
                + [entry, Rule(.verdict(.goto(allowed)))]
            // The map of the exit does not return, and one without either leads nowhere.
            let forward =
                links.multicast(family, cut: cut, into: &builder)
                + [entry, exit, Rule(.lookup(.inputDevice, in: links.bound), .verdict(.goto(allowed)))]
            let output = links.rules(.exit, family, cut: cut, into: &builder) + [exit]
            targets.input[family] = builder.content("input/\(family.word)", input)
            targets.forward[family] = builder.content("forward/\(family.word)", forward)
            targets.output[family] = builder.content("output/\(family.word)", output)
        }
        targets.senders = GuardCompiler(book: book, names: names).checkSenders(into: &builder)
        targets.again = routers.map { again($0, links, into: &builder) }
        return targets
    }

    /// Where guests route, one connection may come by twice, and every pass is judged (KERNEL 4).
    private func again(_ routers: Routers, _ links: LinkCompiler, into builder: inout RulesetBuilder) -> ChainName {
        let allowed = AllowedCompiler(book: book, options: options).compile(isAgain: true, routers, into: &builder)
        let maps = IPFamily.allCases.map { family in
            (family, dispatch(family, cut: [], allowed, isAgain: true, into: &builder))
        }
        let entries = maps.map { family, maps in Rule(family.test, .dispatch(.inputDevice, through: maps.entry)) }
        let exits = maps.map { family, maps in Rule(family.test, .dispatch(.outputDevice, through: maps.exit)) }
        return builder.content(
            "again",
            [links.unbound([.inputDevice, .outputDevice])] + routers.passing + entries + exits
                + [Rule(.verdict(.goto(allowed)))])
    }

    // MARK: Interfaces

    /// Maps from devices to the chains of their interfaces, for packets that come in and for packets that go out. The
    /// former return what they allow, the latter go on to `allowed`.
    private func dispatch(
        _ family: IPFamily, cut: [Rule], _ allowed: ChainName, isAgain: Bool, into builder: inout RulesetBuilder
    ) -> (entry: SetName, exit: SetName) {
        let compiler = InterfaceCompiler(
            book: book, names: names, numbering: numbering, options: options,
            guards: GuardCompiler(book: book, names: names), allowed: allowed, isAgain: isAgain)
        var elements: [DeviceSide: [SetElement]] = [:]
        var groups: [DeviceSide: [SetElement]] = [:]
        for binding in book.estate.bindings.sorted(by: { $0.device < $1.device }) {
            for direction in Direction.allCases {
                let side = DeviceSide(direction, binding.attachment)
                let chain = compiler.compile(binding, direction, family, cut: cut, into: &builder)
                elements[side, default: []].append(
                    SetElement(.device(binding.device), verdict: side == .entry ? .jump(chain) : .goto(chain)))
                if let chain = compiler.compileGroups(binding, direction, into: &builder) {
                    groups[side, default: []].append(SetElement(.device(binding.device), verdict: .goto(chain)))
                }
            }
        }
        if book.hasAdminLists {
            for side in DeviceSide.allCases {
                addGroupDispatch(side, groups[side] ?? [], isAgain: isAgain, into: &builder)
            }
        }
        let map = { (name: String, side: DeviceSide, builder: inout RulesetBuilder) in
            builder.set(
                "devices/\(name)\(isAgain ? "-again" : "").\(family.word)", keyType: .deviceName, isInterval: false,
                values: .verdicts, elements[side] ?? [])
        }
        return (map("entry", .entry, &builder), map("exit", .exit, &builder))
    }

    /// Where admin rules go on to: the security groups of whichever interface is being asked.
    private func addGroupDispatch(
        _ side: DeviceSide, _ elements: [SetElement], isAgain: Bool, into builder: inout RulesetBuilder
    ) {
        let base = FixedNames.groups(side, isAgain: isAgain)
        let map = builder.set(
            "devices/\(base)", keyType: .deviceName, isInterval: false, values: .verdicts, elements)
        let field = side == .entry ? Field.inputDevice : .outputDevice
        _ = builder.fixed(base, [Rule(.dispatch(field, through: map))])
    }
}
