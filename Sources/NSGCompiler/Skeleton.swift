import NSGModel
import NetworkTypes
import Nftables

/// What outlives every reload: the base chains, with what passes before any policy is asked, and the trampolines into
/// it.
///
/// Priority 20 is behind the filters of others (firewalld 10, Docker 0) and before source NAT (100): what we allow has
/// passed them, and addresses are those of S7. What this machine sends is judged in `postrouting`, since destination
/// NAT in `output` changes the outgoing device after `output` has seen it (KERNEL 1).
enum Skeleton {
    /// What a hook leads to, for each family of addresses; what is missing accepts.
    typealias Target = [IPFamily: ChainName]

    /// - Parameter senders: what `prerouting` asks; nil for no such chain.
    static func add(
        to builder: inout RulesetBuilder, input: Target, forward: Target, output: Target, again: ChainName?,
        senders: Rule?
    ) {
        if let senders {
            let check = ChainName(ChainName.trampolinePrefix + "prerouting")
            builder.add(Chain(check, rules: [senders]))
            // Before conntrack (-200), which would take a forged packet for one of another's connection.
            builder.add(base("prerouting", .prerouting, priority: -300, [Rule(.verdict(.jump(check)))]))
        }
        builder.add(Chain(FixedNames.errors, rules: errorRules))
        builder.add(Chain(FixedNames.neighbours, rules: neighbourRules))
        let judgeAgain = again.map { builder.trampoline("again", to: $0) }
        let decided = Rule(isDecided, .verdict(judgeAgain.map { .jump($0) } ?? .accept))
        let routed = judgeAgain.map(routedRules) ?? []
        // An error about a flow that a router sends on passes, whether or not the flow was allowed to its destination.
        let known = judgeAgain == nil ? [answered, decided, errors] : [answered, errors, decided]
        builder.add(base("input", .input, known + linkRules + judge("input", by: input, &builder)))
        builder.add(base("forward", .forward, routed + known + judge("forward", by: forward, &builder)))
        builder.add(
            base(
                "postrouting", .postrouting,
                [answered, Rule(isDecided, .verdict(.accept)), errors] + linkRules
                    + judge("output", by: output, &builder)))
        builder.add(Chain(FixedNames.features, rules: featureRules))
        builder.add(
            NamedSet(
                FixedNames.portProtocols, keyType: .inetProtocol, isInterval: false,
                elements: IPProtocol.withPorts.map { UInt128($0.rawValue) }.sorted().map {
                    SetElement(.values($0...$0))
                }))
    }

    private static func base(_ name: String, _ hook: Hook, priority: Int32 = 20, _ rules: [Rule]) -> Chain {
        Chain(ChainName(name), at: Attachpoint(hook: hook, priority: priority), rules: rules)
    }

    /// The end of a base chain: what judges IPv4, else IPv6, behind which nothing comes.
    private static func judge(_ hook: String, by targets: Target, _ builder: inout RulesetBuilder) -> [Rule] {
        let trampolines = IPFamily.allCases.map { builder.trampoline("\(hook)/\($0.word)", to: targets[$0]) }
        return zip(IPFamily.allCases, trampolines).map { family, trampoline in
            Rule((family == .ipv4 ? [family.test] : []) + [.verdict(.goto(trampoline))])
        }
    }

    /// A flow that is decided passes without being judged again (S4), whether or not it is ever answered.
    private static let isDecided = Step.match(.connectionLabel, .hasAny(FlowLabel.decided))

    /// Where machines route, "established" is not yet "allowed": an answer can be forged between two passes of one
    /// packet (KERNEL 4). So a connection that was not allowed as far as its destination is judged in its original
    /// direction, and at every packet once a later pass was refused. One that was lives on (S5), at the cost of the
    /// first rule.
    private static func routedRules(judge: ChainName) -> [Rule] {
        let (decided, refused, settled) = (FlowLabel.decided, FlowLabel.refused, FlowLabel.settled)
        return [
            Rule(.match(.connectionLabel, .hasAny(settled)), .verdict(.accept)),
            Rule(.match(.connectionLabel, .hasAny(refused)), .verdict(.jump(judge))),
            // Those without `decided` are older than any policy, and live on (S5).
            Rule(
                state(.established), .match(.connectionLabel, .hasAny(decided)),
                .match(.connectionDirection, .equals(0)), .verdict(.jump(judge))),
        ]
    }

    private static func state(_ state: ConnectionState) -> Step {
        .match(.connectionState, .hasAny(UInt128(state.rawValue)))
    }

    private static let answered = Rule(state(.established), .verdict(.accept))

    /// ICMP errors about a flow that was allowed; `related` alone would admit what helpers expect (KERNEL 9).
    private static let errors = Rule(state(.related), .verdict(.jump(FixedNames.errors)))
    private static let errorRules = [IPProtocol.icmp, .icmpv6].map { number in
        Rule(.match(.protocol, .equals(UInt128(number.rawValue))), .verdict(.accept))
    }

    /// S12: of no connection (`untracked`), or of one that nobody would follow.
    private static let linkRules: [Rule] = [
        Rule(
            .match(.protocol, .equals(UInt128(IPProtocol.icmpv6.rawValue))), .verdict(.jump(FixedNames.neighbours))),
        Rule(
            .match(.family, .equals(2)), .match(.protocol, .equals(UInt128(IPProtocol.igmp.rawValue))),
            .match(.ipDestination, .prefix(0xe000_0000, length: 4)), .verdict(.accept)),
    ]
    private static let neighbourRules = Exemption.icmpv6Types.map { icmpv6(Comparison(widening: $0)) }

    private static func icmpv6(_ types: Comparison) -> Rule {
        Rule(
            .match(.family, .equals(10)), .match(.protocol, .equals(UInt128(IPProtocol.icmpv6.rawValue))),
            .match(.icmpv6Type, types), .verdict(.accept))
    }

    /// What passes on a link in one direction, as the virtual machine sees it: DHCP, whose client it is, and towards it
    /// the announcements of routers.
    static func linkRules(_ direction: Direction, _ family: IPFamily) -> [Rule] {
        let dhcp = Exemption.dhcpPorts(direction).map { ports in
            Rule(
                .match(.protocol, .equals(UInt128(IPProtocol.udp.rawValue))),
                .match(.sourcePort, .equals(UInt128(ports.source))),
                .match(.destinationPort, .equals(UInt128(ports.destination))), .verdict(.accept))
        }
        let isToMachine = direction == .inbound && family == .ipv6
        return isToMachine ? dhcp + [icmpv6(.equals(UInt128(Exemption.icmpv6RouterAdvertisement)))] : dhcp
    }

    /// Never reached. A rule that reads counters turns conntrack accounting on (KERNEL 17), one that sets labels keeps
    /// room for them in every new connection, also while a policy has no rule that does.
    private static let featureRules = [
        Rule(.match(.originalPackets, .isGreater(than: 0))), Rule(.setLabel(FlowLabel.decided)),
    ]
}
