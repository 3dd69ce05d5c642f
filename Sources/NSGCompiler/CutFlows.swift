package import NSGModel
import NetworkTypes
package import Nftables

/// Connections that were ended on purpose, and whose next packets would otherwise begin them anew in the direction of
/// whichever side speaks first (KERNEL 7). The judging chains drop what is in these sets: of TCP what is no SYN, in both
/// directions; of UDP what comes back, since what goes on in the original direction is judged by the rules.
package enum CutFlows {
    package static let four = set("cut/v4", .ipv4Address)
    package static let six = set("cut/v6", .ipv6Address)
    package static let counter = CounterName("dropped/cut")

    /// How long: as long as the kernel by itself would remember an established TCP connection; for UDP several times the
    /// longest idle time that its flows survive.
    static let tcpTimeout: UInt64 = 5 * 24 * 3_600_000
    static let udpTimeout: UInt64 = 30 * 60_000

    /// The elements that keep a connection from going on, and their set; nil for other protocols than TCP and UDP, which
    /// begin anew with every packet.
    /// - Parameters:
    ///   - original: as rules saw its first packet: after destination NAT, before source NAT.
    ///   - reply: as the answers reach this host: conntrack's reply tuple.
    package static func elements(
        original: FlowTuple, reply: FlowTuple
    ) -> (set: NamedSet, elements: [SetElement])? {
        let set = original.source.family == .ipv4 ? four : six
        switch original.protocol {
        case .tcp:
            return (set, [original, reply].compactMap { element($0, timeout: tcpTimeout) })
        case .udp:
            return (set, [element(reply, timeout: udpTimeout)].compactMap(\.self))
        default: return nil
        }
    }

    private static func element(_ flow: FlowTuple, timeout: UInt64) -> SetElement? {
        guard let source = flow.sourcePort, let destination = flow.destinationPort else { return nil }
        func key(_ value: UInt128) -> SetKey { .values(value...value) }
        return SetElement(
            .concatenation([
                key(flow.source.number), key(flow.destination.number), key(UInt128(flow.protocol.rawValue)),
                key(UInt128(source)), key(UInt128(destination)),
            ]), timeout: timeout)
    }

    private static func set(_ name: String, _ address: KeyType) -> NamedSet {
        NamedSet(
            SetName(name), keyType: .concatenation([address, address, .inetProtocol, .inetService, .inetService]),
            isInterval: false, expires: true, elements: [])
    }

    static func add(to builder: inout RulesetBuilder) {
        builder.add(four)
        builder.add(six)
        builder.add(counter)
    }

    /// At the head of what judges first packets.
    static let rules: [Rule] =
        rules(of: four, family: 2, .ipSource, .ipDestination) + rules(of: six, family: 10, .ip6Source, .ip6Destination)

    private static func rules(of set: NamedSet, family: UInt128, _ source: Field, _ destination: Field) -> [Rule] {
        let key = [source, destination, .protocol, .sourcePort, .destinationPort]
        let end: [Step] = [.membership(key, of: set.name, isIn: true), .counter(counter), .verdict(.drop)]
        let isSYN: UInt128 = 2
        return [
            Rule(
                [.match(.family, .equals(family)), .match(.protocol, .equals(6)), .match(.tcpFlags, .hasNone(isSYN))]
                    + end),
            Rule([.match(.family, .equals(family)), .match(.protocol, .equals(17))] + end),
        ]
    }
}

extension IPAddress {
    /// As a key of a set: 32 or 128 bits, in host order.
    var number: UInt128 {
        switch self {
        case .v4(let address): UInt128(address.value)
        case .v6(let address): address.value
        }
    }
}
