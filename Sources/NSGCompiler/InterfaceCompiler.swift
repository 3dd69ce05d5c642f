import NSGModel
import NetworkTypes
import Nftables

/// What one interface asks of a packet in one direction, as chains: first what holds whatever the rules say, then the
/// admin rules, then the security groups in Azure's order. Where all allow, the chain ends and the caller goes on to the
/// interface at the packet's other end.
struct InterfaceCompiler {
    let book: PolicyBook
    let names: ChainNames
    let numbering: RuleNumbering
    let options: CompilerOptions
    /// Nil where no guest is held to its addresses.
    let guests: GuardCompiler.Addresses?
    /// On a further pass of one connection, whose label belongs to the first (KERNEL 4).
    let isAgain: Bool

    /// The chain by which the interface is asked.
    func compile(_ binding: Binding, _ direction: Direction, into builder: inout RulesetBuilder) -> ChainName {
        let base = names.interface(binding.networkInterface, direction, isAgain: isAgain)
        var rules = [dropInvalid(binding, into: &builder)]
        rules += checkReceiver(binding, direction)
        rules += platformRules(binding, direction, into: &builder)
        if let admin = adminList(of: binding, direction) {
            rules += entrances(of: admin, binding, builder) { .goto($0) }
        } else {
            rules += groups(of: binding, direction, builder)
        }
        return builder.fixed(base, rules)
    }

    /// The chain behind the admin rules, which may lead past the security groups (AlwaysAllow, S8); nil where no
    /// admin rules are asked, or no group.
    func compileGroups(_ binding: Binding, _ direction: Direction, into builder: inout RulesetBuilder) -> ChainName? {
        guard adminList(of: binding, direction) != nil else { return nil }
        let rules = groups(of: binding, direction, builder)
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

    /// What is for another than the guest (S13). What comes from another was dropped before conntrack saw it.
    private func checkReceiver(_ binding: Binding, _ direction: Direction) -> [Rule] {
        guard direction == .inbound, let guests, book.estate.guardedAddresses(of: binding) != nil else { return [] }
        return [Rule(.verdict(.jump(guests.receivers)))]
    }

    // MARK: Platform

    /// Services of the platform pass (S9), mail to the Internet does not (S14).
    private func platformRules(
        _ binding: Binding, _ direction: Direction, into builder: inout RulesetBuilder
    ) -> [Rule] {
        guard direction == .outbound else { return [] }
        let slot = LabelSlot(side: DeviceSide(direction, binding.attachment), level: .platform)
        var rules: [Rule] = []
        for service in endpoints(at: binding.networkInterface) {
            let (steps, label) = action(of: PlatformRules.allow, in: slot, into: &builder)
            rules += compiled(
                PlatformRules.allow, service,
                then: steps + (isAgain ? [] : [label]) + [.verdict(.return)], into: &builder)
        }
        if book.estate.blocksOutboundSMTP {
            let (steps, _) = action(of: PlatformRules.blockSMTP, in: slot, into: &builder)
            let mark = DecisionMark.denied(slot, numbering.assigned(to: PlatformRules.blockSMTP))
            // The network's own space is no Internet, be it public.
            let own = AddressSet(book.estate.ownPrefixes(at: binding.networkInterface))
            let mail = Endpoints(
                protocol: .tcp, addresses: InternetPrefixes.addresses.subtracting(own), ports: IntervalSet([25...25]))
            rules += compiled(
                PlatformRules.blockSMTP, mail,
                then: steps + (isAgain ? [.setLabel(FlowLabel.refused)] : [])
                    + [options.packetCopy(mark)].compactMap(\.self) + [.verdict(.drop)], into: &builder)
        }
        return rules
    }

    /// Where a service is asked, or what is no service blocked.
    private struct Endpoints {
        var `protocol`: RuleProtocol
        var addresses: AddressSet
        var ports: IntervalSet<UInt16>
        var sourcePorts: IntervalSet<UInt16> = .all
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
        _ rule: SecurityRule, _ endpoints: Endpoints, then action: [Step], into builder: inout RulesetBuilder
    ) -> [Rule] {
        var rule = rule
        rule.protocol = endpoints.protocol
        let resolved = ResolvedRule(
            rule: rule, source: .all, sourcePorts: endpoints.sourcePorts, destination: endpoints.addresses,
            destinationPorts: endpoints.ports)
        return [IPFamily.ipv4, .ipv6].flatMap { family -> [Rule] in
            var named = NamedSets()
            var table = ConditionTable()
            guard let clause = Clause(resolved, family, ordinal: 0, outcome: .rule(0), &named, &table) else {
                return []
            }
            let writer = ClauseWriter(
                family: family, table: table, rules: [resolved], network: rule.owner, names: names)
            return writer.ways(clause, into: &builder).map { Rule($0 + action, comment: rule.name) }
        }
    }

    // MARK: Lists

    private func adminList(of binding: Binding, _ direction: Direction) -> PolicyList? {
        book.lists(of: binding.networkInterface, direction).first { $0.key.level == .admin }
    }

    private func groups(
        of binding: Binding, _ direction: Direction, _ builder: RulesetBuilder
    ) -> [Rule] {
        book.lists(of: binding.networkInterface, direction).filter { $0.key.level != .admin }.flatMap { list in
            entrances(of: list, binding, builder) { .jump($0) }
        }
    }

    /// Into the chains of a list, which interfaces share: one for each family of addresses.
    private func entrances(
        of list: PolicyList, _ binding: Binding, _ builder: RulesetBuilder, by enter: (ChainName) -> Verdict
    ) -> [Rule] {
        let use = ListUse(list: list.key, attachment: binding.attachment, writesLabel: !isAgain)
        return [(IPFamily.ipv4, UInt128(2)), (.ipv6, 10)].map { family, number in
            let entrance = builder.fixedName(ListCompiler.entrance(use, family, names))
            return Rule(.match(.family, .equals(number)), .verdict(enter(entrance)))
        }
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
