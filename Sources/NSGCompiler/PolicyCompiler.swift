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

/// Security groups on bound interfaces as a table (sections 3 and 4 of docs/architecture.md say how it is laid out).
package struct PolicyCompiler {
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
        var builder = RulesetBuilder(table: FixedNames.table, salt: options.salt)
        var lists = CompiledLists(of: requests(builder), names: names, after: earlier)
        let targets = book.estate.bindings.isEmpty ? Targets() : compileTargets(into: &builder)
        Skeleton.add(
            to: &builder, input: targets.input, forward: targets.forward, output: targets.output,
            again: targets.again, prerouting: targets.prerouting)
        lists.setFrame(builder.ruleset, after: earlier)
        return Output(
            wanted: ComposedRuleset(table: FixedNames.table, parts: lists.parts), statistics: lists.statistics,
            lists: lists)
    }

    /// Every use of a list on a bound interface, once.
    private func requests(_ builder: RulesetBuilder) -> [ListRequest] {
        let levels = ListLevels(hasAdminLists: book.hasAdminLists)
        let passes = Routers.bindings(in: book.estate).isEmpty ? [false] : [false, true]
        var requests: [ListRequest] = []
        var known: Set<ListUse> = []
        for binding in book.estate.bindings {
            for list in Direction.allCases.flatMap({ book.lists(of: binding.networkInterface, $0) }) {
                for isAgain in passes {
                    let use = ListUse(list: list.key, attachment: binding.attachment, writesLabel: !isAgain)
                    guard known.insert(use).inserted else { continue }
                    let isAdmin = list.key.level == .admin
                    let next = isAdmin ? builder.fixedName(FixedNames.groups(use.slot.side, isAgain: isAgain)) : nil
                    let inputs = ListRequest.Inputs(
                        version: list.version, numbers: numbering.assigned(to: list), options: options,
                        levels: isAdmin ? levels.admin : levels.groups, next: next)
                    requests.append(ListRequest(list: list, use: use, inputs: inputs))
                }
            }
        }
        return requests
    }

    /// What the trampolines of the skeleton lead to.
    private struct Targets {
        /// Only where guests route.
        var again: ChainName?
        /// Only where guests are held to their addresses.
        var prerouting: ChainName?
        var input: ChainName?
        var forward: ChainName?
        var output: ChainName?
    }

    private func compileTargets(into builder: inout RulesetBuilder) -> Targets {
        let cut = CutFlows.rules(into: &builder)
        builder.add(FixedNames.routersCounter)
        let guardCompiler = GuardCompiler(book: book, names: names)
        let guests = guardCompiler.addresses(into: &builder)
        let first = dispatch(isAgain: false, guests, into: &builder)
        let routers = Routers(in: book.estate, into: &builder)
        let allowed = allowedChain(isAgain: false, routers, into: &builder)
        let entry = Rule(.dispatch(.inputDevice, through: first.entry))
        let exit = Rule(.dispatch(.outputDevice, through: first.exit))
        let passed = Rule(.verdict(.goto(allowed)))
        let bound = devices("bound", book.estate.bindings, into: &builder)
        let unbound = { (fields: [Field]) in
            Rule(fields.map { .membership([$0], of: bound, isIn: false) } + [.verdict(.return)])
        }

        let input = [unbound([.inputDevice])] + cut + linkRules(.entry, into: &builder) + [entry, passed]
        let forward =
            [unbound([.inputDevice, .outputDevice])] + cut + Self.multicast(into: &builder) + [entry, exit, passed]
        let output = [unbound([.outputDevice])] + cut + linkRules(.exit, into: &builder) + [exit, passed]
        let judgeAgain = routers.map { routers in
            let passing = self.again(routers, guests, into: &builder)
            return builder.content("again", [unbound([.inputDevice, .outputDevice])] + passing)
        }
        return Targets(
            again: judgeAgain, prerouting: guests.map { guardCompiler.compile($0, into: &builder) },
            input: builder.content("input", input), forward: builder.content("forward", forward),
            output: builder.content("output", output))
    }

    /// Where guests route, one connection may come by twice, and every pass is judged (KERNEL 4).
    private func again(
        _ routers: Routers, _ guests: GuardCompiler.Addresses?, into builder: inout RulesetBuilder
    ) -> [Rule] {
        let maps = dispatch(isAgain: true, guests, into: &builder)
        return routers.passing + [
            Rule(.dispatch(.inputDevice, through: maps.entry)), Rule(.dispatch(.outputDevice, through: maps.exit)),
            Rule(.verdict(.goto(allowedChain(isAgain: true, routers, into: &builder)))),
        ]
    }

    /// A guest must not become this machine's router, whatever its rules allow (KERNEL 9).
    private static let noRouters = Rule(
        .match(.family, .equals(10)), .match(.protocol, .equals(UInt128(IPProtocol.icmpv6.rawValue))),
        .match(.icmpv6Type, .equals(UInt128(Exemption.icmpv6RouterAdvertisement))),
        .counter(FixedNames.routersCounter), .verdict(.drop))

    /// DHCP and router advertisements between this machine and the other end of a link (S12); what is forwarded is judged.
    private func linkRules(_ side: DeviceSide, into builder: inout RulesetBuilder) -> [Rule] {
        let field = side == .entry ? Field.inputDevice : .outputDevice
        return NSGModel.Attachment.allCases.flatMap { attachment -> [Rule] in
            let bindings = book.estate.bindings.filter { $0.attachment == attachment }
            guard !bindings.isEmpty,
                let direction = Direction.allCases.first(where: { DeviceSide($0, attachment) == side })
            else { return [] }
            let device = Step.lookup(field, in: devices("\(attachment.rawValue)s", bindings, into: &builder))
            return (Skeleton.linkRules(direction) + (side == .entry && attachment == .guest ? [Self.noRouters] : []))
                .map {
                    Rule([device] + $0.steps)
                }
        }
    }

    /// A virtual network carries neither multicast nor broadcast.
    private static func multicast(into builder: inout RulesetBuilder) -> [Rule] {
        builder.add(FixedNames.multicastCounter)
        let drop: [Step] = [.counter(FixedNames.multicastCounter), .verdict(.drop)]
        return [
            Rule([.match(.family, .equals(2)), .match(.ipDestination, .prefix(0xe000_0000, length: 4))] + drop),
            Rule([.match(.family, .equals(2)), .match(.ipDestination, .equals(0xffff_ffff))] + drop),
            Rule([.match(.family, .equals(10)), .match(.ip6Destination, .prefix(0xff << 120, length: 8))] + drop),
        ]
    }

    private func devices(_ name: String, _ bindings: [Binding], into builder: inout RulesetBuilder) -> SetName {
        builder.set(
            "devices/\(name)", keyType: .deviceName, isInterval: false,
            bindings.map(\.device).sorted().map { SetElement(.device($0)) })
    }

    // MARK: Interfaces

    /// Maps from devices to the chains of their interfaces, for packets that come in and for packets that go out.
    private func dispatch(
        isAgain: Bool, _ guests: GuardCompiler.Addresses?, into builder: inout RulesetBuilder
    ) -> (entry: SetName, exit: SetName) {
        let compiler = InterfaceCompiler(
            book: book, names: names, numbering: numbering, options: options, guests: guests,
            isAgain: isAgain)
        var elements: [DeviceSide: [SetElement]] = [:]
        var groups: [DeviceSide: [SetElement]] = [:]
        for binding in book.estate.bindings.sorted(by: { $0.device < $1.device }) {
            for direction in Direction.allCases {
                let side = DeviceSide(direction, binding.attachment)
                let chain = compiler.compile(binding, direction, into: &builder)
                elements[side, default: []].append(SetElement(.device(binding.device), verdict: .jump(chain)))
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
                "devices/\(name)\(isAgain ? "-again" : "")", keyType: .deviceName, isInterval: false,
                isVerdictMap: true, elements[side] ?? [])
        }
        return (map("entry", .entry, &builder), map("exit", .exit, &builder))
    }

    /// Where admin rules go on to: the security groups of whichever interface is being asked.
    private func addGroupDispatch(
        _ side: DeviceSide, _ elements: [SetElement], isAgain: Bool, into builder: inout RulesetBuilder
    ) {
        let base = FixedNames.groups(side, isAgain: isAgain)
        let map = builder.set(
            "devices/\(base)", keyType: .deviceName, isInterval: false, isVerdictMap: true, elements)
        let field = side == .entry ? Field.inputDevice : .outputDevice
        _ = builder.fixed(base, [Rule(.dispatch(field, through: map))])
    }

    // MARK: Settled

    /// Where every list has allowed: the connection is marked, and its first packet logged (KERNEL 13). Where nobody routes
    /// it is settled at once, so that it is also when a later policy has a router.
    private func allowedChain(isAgain: Bool, _ routers: Routers?, into builder: inout RulesetBuilder) -> ChainName {
        let counter = isAgain ? FixedNames.allowedAgainCounter : FixedNames.allowedCounter
        builder.add(counter)
        let label = routers == nil ? FlowLabel.decided | FlowLabel.settled : FlowLabel.decided
        var steps: [Step] = isAgain ? [] : [.setLabel(label)]
        steps.append(.counter(counter))
        steps += [options.packetCopy(isAgain ? .allowedAgain : .allowed)].compactMap(\.self) + [.verdict(.accept)]
        let rules = (isAgain ? [] : timeoutRules(into: &builder)) + (routers?.settling ?? [])
        return builder.content(isAgain ? "allowed-again" : "allowed", rules + [Rule(steps)])
    }

    /// `flowTimeoutInMinutes` of the networks at both ends; the last that is set wins, so the shortest comes last (S6,
    /// KERNEL 16). Objects have no effect on protocols other than their own.
    private func timeoutRules(into builder: inout RulesetBuilder) -> [Rule] {
        var devices: [Int: [Binding]] = [:]
        for binding in book.estate.bindings {
            guard let interface = book.estate.networkInterfaces[binding.networkInterface],
                let minutes = book.estate.virtualNetwork(of: interface)?.flowTimeoutMinutes
            else { continue }
            devices[minutes, default: []].append(binding)
        }
        return devices.sorted { $0.key > $1.key }.flatMap { minutes, bindings -> [Rule] in
            let objects = TimeoutObject.Transport.allCases.map { transport in
                TimeoutObject(
                    FixedNames.timeout(transport, minutes: minutes), transport: transport, seconds: UInt32(minutes * 60)
                )
            }
            for object in objects { builder.add(object) }
            let set = self.devices("timeout-\(minutes)min", bindings, into: &builder)
            return [Field.inputDevice, .outputDevice].map { device in
                Rule([.lookup(device, in: set)] + objects.map { .setTimeout($0.name) })
            }
        }
    }
}
