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
    static func add(
        to builder: inout RulesetBuilder, input: ChainName?, forward: ChainName?, output: ChainName?,
        again: ChainName?, prerouting: ChainName?
    ) {
        let judgeInput = builder.trampoline("input", to: input)
        let judgeForward = builder.trampoline("forward", to: forward)
        let judgeOutput = builder.trampoline("output", to: output)

        if let prerouting {
            // Before conntrack (-200), which would take a forged packet for one of another's connection.
            let check = builder.trampoline("prerouting", to: prerouting)
            builder.add(base("prerouting", .prerouting, priority: -300, [], then: check))
        }
        let judgeAgain = again.map { builder.trampoline("again", to: $0) }
        let decided = Rule(isDecided, .verdict(judgeAgain.map { .jump($0) } ?? .accept))
        let routed = judgeAgain.map(routedRules) ?? []
        // An error about a flow that a router sends on passes whether or not that was allowed as far as its destination.
        let known = judgeAgain == nil ? [answered, decided] + errors : [answered] + errors + [decided]
        builder.add(base("input", .input, known + neighbourRules, then: judgeInput))
        builder.add(base("forward", .forward, routed + known, then: judgeForward))
        builder.add(
            base(
                "postrouting", .postrouting, [answered, Rule(isDecided, .verdict(.accept))] + errors + neighbourRules,
                then: judgeOutput))
        builder.add(Chain(FixedNames.features, rules: featureRules))
        builder.add(
            NamedSet(
                FixedNames.portProtocols, keyType: .inetProtocol, isInterval: false,
                elements: IPProtocol.withPorts.map { UInt128($0.rawValue) }.sorted().map {
                    SetElement(.values($0...$0))
                }))
    }

    private static func base(
        _ name: String, _ hook: Hook, priority: Int32 = 20, _ rules: [Rule], then target: ChainName
    ) -> Chain {
        Chain(
            ChainName(name), at: Attachpoint(hook: hook, priority: priority),
            rules: rules + [Rule(.verdict(.jump(target)))])
    }

    /// A flow that is decided passes without being judged again (S4), whether or not it is ever answered.
    private static let isDecided = Step.match(.connectionLabel, .hasAny(FlowLabel.decided))

    /// Where machines route, "established" is not yet "allowed": an answer can be forged between two passes of one packet
    /// (KERNEL 4). So a connection that was not allowed as far as its destination is judged in its original direction, and
    /// at every packet once a later pass was refused. One that was lives on (S5); the first rule is what it pays.
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
    private static let errors = [IPProtocol.icmp, .icmpv6].map { number in
        Rule(state(.related), .match(.protocol, .equals(UInt128(number.rawValue))), .verdict(.accept))
    }

    /// S12: of no connection (`untracked`), or of one that nobody would follow.
    private static let neighbourRules: [Rule] =
        Exemption.icmpv6Types.map { icmpv6(Comparison(widening: $0)) } + [
            Rule(
                .match(.family, .equals(2)), .match(.protocol, .equals(UInt128(IPProtocol.igmp.rawValue))),
                .match(.ipDestination, .prefix(0xe000_0000, length: 4)), .verdict(.accept))
        ]

    private static func icmpv6(_ types: Comparison) -> Rule {
        Rule(
            .match(.family, .equals(10)), .match(.protocol, .equals(UInt128(IPProtocol.icmpv6.rawValue))),
            .match(.icmpv6Type, types), .verdict(.accept))
    }

    /// What passes on a link in one direction, as the virtual machine sees it: DHCP, whose client it is, and towards it the
    /// announcements of routers.
    static func linkRules(_ direction: Direction) -> [Rule] {
        let dhcp = Exemption.dhcpPorts(direction).map { ports in
            Rule(
                .match(.protocol, .equals(UInt128(IPProtocol.udp.rawValue))),
                .match(.sourcePort, .equals(UInt128(ports.source))),
                .match(.destinationPort, .equals(UInt128(ports.destination))), .verdict(.accept))
        }
        return direction == .inbound ? dhcp + [icmpv6(.equals(UInt128(Exemption.icmpv6RouterAdvertisement)))] : dhcp
    }

    /// Never reached. A rule that reads counters turns conntrack accounting on (KERNEL 17), one that sets labels keeps
    /// room for them in every new connection, also while a policy has no rule that does.
    private static let featureRules = [
        Rule(.match(.originalPackets, .isGreater(than: 0))), Rule(.setLabel(FlowLabel.decided)),
    ]
}
