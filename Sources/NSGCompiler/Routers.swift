import NSGModel
import NetworkTypes
import Nftables

/// The machines that route (`enableIPForwarding`). A connection through one of them passes this machine several times
/// under one entry of conntrack, and every pass of its first packet is judged (KERNEL 4).
///
/// The label tells how far a connection has come: `decided` is set on its first pass, `settled` on the one that leads
/// to its destination. In between the router holds the packet. It can forge the answer, which makes the connection
/// established, and then send the packet on; so what comes from a router and leads to the destination is judged,
/// established or not, until it has been allowed once. Other passes of an established connection are not: where a
/// router translates addresses or wraps what it forwards, none of them ever leads to the destination, and each packet
/// would be judged and logged again.
struct Routers {
    private let devices: SetName
    /// Which addresses the routers themselves have; nil for a family in which none has any.
    private let four: SetName?
    private let six: SetName?

    static func bindings(in estate: Estate) -> [Binding] {
        estate.bindings.filter { estate.networkInterfaces[$0.networkInterface]?.enableIPForwarding ?? false }
    }

    /// Nil where no bound interface has IP forwarding.
    init?(in estate: Estate, into builder: inout RulesetBuilder) {
        let bindings = Self.bindings(in: estate)
        if bindings.isEmpty { return nil }
        devices = builder.set(
            "devices/routers", keyType: .deviceName, isInterval: false,
            bindings.map(\.device).sorted().map { SetElement(.device($0)) })
        let pairs = bindings.flatMap { binding in
            (estate.networkInterfaces[binding.networkInterface]?.addresses ?? []).map {
                (device: binding.device, address: $0)
            }
        }
        (four, six) = builder.deviceAddresses("routers/addresses", pairs)
    }

    private var families: [(number: UInt128, destination: Field, own: SetName?)] {
        [(2, .ipDestination, four), (10, .ip6Destination, six)]
    }

    private func enters(byRouter isRouter: Bool) -> Step { .membership([.inputDevice], of: devices, isIn: isRouter) }
    private func leaves(byRouter isRouter: Bool) -> Step { .membership([.outputDevice], of: devices, isIn: isRouter) }

    /// Mark a connection settled whose packet leads to its destination: to no router, or to the one whose address it
    /// is. Of a router with an address that its document leaves open it is not known. An answer settles nothing, as it
    /// may be forged, nor does an ICMP error about one, which counts as of the original direction.
    var settling: [Rule] {
        let settle = Step.setLabel(FlowLabel.settled)
        let isOfOpener: [Step] = [
            .match(.connectionDirection, .equals(0)),
            .match(.connectionState, .hasNone(UInt128(ConnectionState.related.rawValue))),
        ]
        return [Rule([leaves(byRouter: false)] + isOfOpener + [settle])]
            + families.compactMap { number, destination, own in
                own.map {
                    Rule(
                        [
                            .match(.family, .equals(number)),
                            .membership([.outputDevice, destination], of: $0, isIn: true),
                        ] + isOfOpener + [settle])
                }
            }
    }

    /// Accept what passes unasked of decided connections: of one that was allowed as far as its destination everything,
    /// which is what a live connection is (S5), and of one that a later pass refused before that nothing.
    var passing: [Rule] {
        let isLawful = Step.match(.connectionLabel, .hasNone(FlowLabel.refused))
        let established = UInt128(ConnectionState.established.rawValue)
        let (isAnswered, isNot) = (
            Step.match(.connectionState, .hasAny(established)), Step.match(.connectionState, .hasNone(established))
        )
        let accept = Step.verdict(.accept)
        return [
            Rule(.match(.connectionLabel, .hasAny(FlowLabel.settled)), accept),
            Rule(isLawful, isNot, enters(byRouter: false), leaves(byRouter: false), accept),
            Rule(isLawful, isAnswered, enters(byRouter: false), accept),
        ]
            + families.map { number, destination, own in
                let isForAnother = own.map { Step.membership([.outputDevice, destination], of: $0, isIn: false) }
                return Rule(
                    [
                        isLawful, isAnswered, .match(.family, .equals(number)), leaves(byRouter: true), isForAnother,
                        accept,
                    ]
                    .compactMap(\.self))
            }
    }
}
