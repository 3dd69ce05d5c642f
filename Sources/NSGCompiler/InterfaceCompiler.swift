import NSGModel
import NetworkTypes
import Nftables

/// What one interface asks of a packet in one direction, as a chain for each family of addresses: first what holds
/// whatever the rules say, then the admin rules, then the security groups in Azure's order. Where all allow, the chain
/// of the device a packet enters by returns, and the interface at its other end is asked; that of the device it leaves
/// by goes on to what marks it as allowed.
struct InterfaceCompiler {
    let book: PolicyBook
    let names: ChainNames
    let numbering: RuleNumbering
    let options: CompilerOptions
    let guards: GuardCompiler
    /// Where every list has allowed.
    let allowed: ChainName
    /// On a further pass of one connection, whose label belongs to the first (KERNEL 4).
    let isAgain: Bool

    /// The chain by which the interface is asked.
    /// - Parameter cut: what keeps connections of the family that were ended from going on; on a first pass alone.
    func compile(
        _ binding: Binding, _ direction: Direction, _ family: IPFamily, cut: [Rule], into builder: inout RulesetBuilder
    ) -> ChainName {
        let base = names.interface(binding.networkInterface, direction, isAgain: isAgain)
        let end = end(binding, direction)
        var rules = cut + [dropInvalid(binding, into: &builder)]
        if direction == .inbound { rules += guards.checkReceiver(binding, family, into: &builder) }
        rules += platformRules(binding, direction, family, then: end, into: &builder)
        if let admin = adminList(of: binding, direction) {
            rules.append(entrance(of: admin, binding, family, builder))
        } else {
            rules += groups(of: binding, direction).map { entrance(of: $0, binding, family, builder) }
        }
        if end != .return { rules.append(Rule(.verdict(end))) }
        return builder.fixed("\(base)/\(family.word)", rules)
    }

    /// What becomes of a packet that the interface allows.
    private func end(_ binding: Binding, _ direction: Direction) -> Verdict {
        DeviceSide(direction, binding.attachment) == .exit ? .goto(allowed) : .return
    }

    /// The chain behind the admin rules, which may lead past the security groups (AlwaysAllow, S8); nil where no
    /// admin rules are asked, or no group.
    func compileGroups(_ binding: Binding, _ direction: Direction, into builder: inout RulesetBuilder) -> ChainName? {
        guard adminList(of: binding, direction) != nil else { return nil }
        let rules = groups(of: binding, direction).flatMap { list in
            IPFamily.allCases.map { family in
                Rule([family.test] + entrance(of: list, binding, family, builder).steps)
            }
        }
        guard !rules.isEmpty else { return nil }
        let base = names.interface(binding.networkInterface, direction, isAgain: isAgain) + "/groups"
        return builder.fixed(base, rules)
    }

    private func dropInvalid(_ binding: Binding, into builder: inout RulesetBuilder) -> Rule {
        let counter = names.invalidCounter(binding.networkInterface)
        builder.add(counter)
        return Rule(
            .match(.connectionState, .hasAny(UInt128(ConnectionState.invalid.rawValue))), .counter(counter),
            .verdict(.drop))
    }

    // MARK: Platform

    /// Services of the platform pass (S9), mail to the Internet does not (S14).
    private func platformRules(
        _ binding: Binding, _ direction: Direction, _ family: IPFamily, then end: Verdict,
        into builder: inout RulesetBuilder
    ) -> [Rule] {
        guard direction == .outbound else { return [] }
        let slot = LabelSlot(side: DeviceSide(direction, binding.attachment), level: .platform)
        var rules: [Rule] = []
        let services = endpoints(at: binding.networkInterface)
        if !services.isEmpty {
            let (steps, label) = action(of: PlatformRules.allow, in: slot, into: &builder)
            let pass = steps + (isAgain ? [] : [label]) + [.verdict(end)]
            for number in [RuleProtocol.tcp, .udp] {
                rules += inOneSet(services, number, family, then: pass, into: &builder)
            }
            for service in services where !service.isOfSingleAddresses {
                rules += compiled(PlatformRules.allow, service, family, then: pass, into: &builder)
            }
        }
        if book.estate.blocksOutboundSMTP {
            let (steps, _) = action(of: PlatformRules.blockSMTP, in: slot, into: &builder)
            let mark = DecisionMark.denied(slot, numbering.assigned(to: PlatformRules.blockSMTP))
            // The network's own space is no Internet, be it public.
            let own = AddressSet(book.estate.ownPrefixes(at: binding.networkInterface))
            let mail = Endpoints(
                protocol: .tcp, addresses: InternetPrefixes.addresses.subtracting(own), ports: IntervalSet([25...25]))
            rules += compiled(
                PlatformRules.blockSMTP, mail, family,
                then: steps + (isAgain ? [.setLabel(FlowLabel.refused)] : [])
                    + [options.packetCopy(mark)].compactMap(\.self) + [.verdict(.drop)], into: &builder)
        }
        return rules
    }

    /// Services that are told by an address and a port, all by one look-up.
    private func inOneSet(
        _ services: [Endpoints], _ number: RuleProtocol, _ family: IPFamily, then action: [Step],
        into builder: inout RulesetBuilder
    ) -> [Rule] {
        let pairs = Set(
            services.filter { $0.isOfSingleAddresses && $0.protocol == number }.flatMap { $0.pairs(family) })
        if pairs.isEmpty { return [] }
        let transport = number == .tcp ? IPProtocol.tcp : .udp
        let set = builder.set(
            "platform/\(number == .tcp ? "tcp" : "udp").\(family.word)",
            keyType: .concatenation([family.keyType, .inetService]), isInterval: false,
            pairs.sorted { ($0.address, $0.port) < ($1.address, $1.port) }.map { pair in
                let port = UInt128(pair.port)
                return SetElement(.concatenation([.values(pair.address...pair.address), .values(port...port)]))
            })
        return [
            Rule(
                [
                    family.test, .match(.protocol, .equals(UInt128(transport.rawValue))),
                    .membership([family.destination, .destinationPort], of: set, isIn: true),
                ] + action, comment: PlatformRules.allow.name)
        ]
    }

    /// Where a service is asked, or what is no service blocked.
    private struct Endpoints {
        var `protocol`: RuleProtocol
        var addresses: AddressSet
        var ports: IntervalSet<UInt16>
        var sourcePorts: IntervalSet<UInt16> = .all

        /// Whether it is told by destination address and port, each a single one.
        var isOfSingleAddresses: Bool {
            sourcePorts == .all && addresses.v4.ranges.allSatisfy { $0.count == 1 }
                && addresses.v6.ranges.allSatisfy { $0.lowerBound == $0.upperBound }
        }

        /// An address and a port of a service.
        struct Pair: Hashable {
            var address: UInt128
            var port: UInt16
        }

        func pairs(_ family: IPFamily) -> [Pair] {
            let addresses =
                family == .ipv4
                ? addresses.v4.ranges.map { UInt128($0.lowerBound) }
                : addresses.v6.ranges.map(\.lowerBound)
            return addresses.flatMap { address in
                ports.ranges.flatMap { $0 }.map { Pair(address: address, port: $0) }
            }
        }
    }

    /// The services' endpoints, those at the same addresses in one.
    private func endpoints(at interface: ResourceID) -> [Endpoints] {
        struct Place: Hashable {
            var `protocol`: RuleProtocol
            var addresses: AddressSet
            var sourcePort: UInt16?
        }
        var order: [Place] = []
        var ports: [Place: [ClosedRange<UInt16>]] = [:]
        for service in book.exemptServices(at: interface) {
            let addresses = AddressSet(service.addresses(book.estate.platform))
            for endpoint in service.endpoints {
                let place = Place(
                    protocol: endpoint.protocol == .tcp ? .tcp : .udp, addresses: addresses,
                    sourcePort: endpoint.sourcePort)
                if ports[place] == nil { order.append(place) }
                ports[place, default: []].append(endpoint.port...endpoint.port)
            }
        }
        return order.map { place in
            Endpoints(
                protocol: place.protocol, addresses: place.addresses, ports: IntervalSet(ports[place] ?? []),
                sourcePorts: place.sourcePort.map { IntervalSet([$0...$0]) } ?? .all)
        }
    }

    private func action(
        of rule: SecurityRule, in slot: LabelSlot, into builder: inout RulesetBuilder
    ) -> (count: [Step], label: Step) {
        let counter = names.counterName(of: NumberedRule(rule))
        builder.add(counter)
        return ([.counter(counter)], .setLabel(FlowLabel.bits(numbering.assigned(to: rule), in: slot)))
    }

    private func compiled(
        _ rule: SecurityRule, _ endpoints: Endpoints, _ family: IPFamily, then action: [Step],
        into builder: inout RulesetBuilder
    ) -> [Rule] {
        var rule = rule
        rule.protocol = endpoints.protocol
        let resolved = ResolvedRule(
            rule: rule, source: .all, sourcePorts: endpoints.sourcePorts, destination: endpoints.addresses,
            destinationPorts: endpoints.ports)
        var named = NamedSets()
        var table = ConditionTable()
        guard let clause = Clause(resolved, family, ordinal: 0, outcome: .rule(0), &named, &table) else { return [] }
        let writer = ClauseWriter(
            family: family, table: table, rules: [resolved], network: rule.owner, names: names)
        return writer.ways(clause, into: &builder).map { Rule($0 + action, comment: rule.name) }
    }

    // MARK: Lists

    private func adminList(of binding: Binding, _ direction: Direction) -> PolicyList? {
        book.lists(of: binding.networkInterface, direction).first { $0.key.level == .admin }
    }

    private func groups(of binding: Binding, _ direction: Direction) -> [PolicyList] {
        book.lists(of: binding.networkInterface, direction).filter { $0.key.level != .admin }
    }

    /// Into the chains of a list, which interfaces share: one for each family of addresses.
    private func entrance(
        of list: PolicyList, _ binding: Binding, _ family: IPFamily, _ builder: RulesetBuilder
    ) -> Rule {
        let use = ListUse(list: list.key, attachment: binding.attachment, writesLabel: !isAgain)
        return Rule(.verdict(.jump(builder.fixedName(ListCompiler.entrance(use, family, names)))))
    }
}

extension RuleNumbering {
    /// - Precondition: as below.
    func assigned(to list: PolicyList) -> [RuleNumber] {
        numbers(of: list) ?? list.rules.map { assigned(to: $0.rule) }
    }

    /// - Precondition: `assign(to:)` was called with the policy's book.
    func assigned(to rule: SecurityRule) -> RuleNumber {
        guard let number = number(of: rule) else {
            preconditionFailure("\(rule.name): numbers are assigned before a policy is compiled")
        }
        return number
    }
}
