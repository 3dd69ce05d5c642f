package import NSGModel
import NetworkTypes
package import Nftables

/// Connections that were ended on purpose, and whose next packets would otherwise begin them anew in the direction of
/// whichever side speaks first (KERNEL 7). The judging chains drop what is in these sets: of TCP what is no SYN, in both
/// directions; of other protocols what comes back, since what goes on in the original direction is judged by the rules.
/// ICMP is not among them: its answers begin no connection.
package enum CutFlows {
    /// `saddr . daddr . sport . dport`.
    private static let tcp = family("tcp", [.inetService, .inetService])
    /// Of other protocols with ports: `saddr . daddr . protocol . sport . dport`.
    private static let ports = family("ports", [.inetProtocol, .inetService, .inetService])
    /// Of those without: `saddr . daddr . protocol`, which is all that the kernel tells their connections by.
    private static let hosts = family("hosts", [.inetProtocol])

    package static let sets = [tcp.four, tcp.six, ports.four, ports.six, hosts.four, hosts.six]
    package static let counter = CounterName("dropped/cut")

    /// How long, in milliseconds: of TCP as long as the kernel by itself would remember an established connection; of
    /// others longer than most wait for an answer. No packet of theirs tells whether the other side goes on with the old
    /// flow or opens one of its own with the same ports, which rules may allow; so they are not kept out for good.
    static let tcpTimeout: UInt64 = 5 * 24 * 3_600_000
    static let otherTimeout: UInt64 = 5 * 60_000

    /// The elements that keep a connection from going on, and their set; nil for ICMP.
    /// - Parameters:
    ///   - original: as rules saw its first packet: after destination NAT, before source NAT.
    ///   - reply: as the answers reach this host: conntrack's reply tuple.
    package static func elements(
        original: FlowTuple, reply: FlowTuple
    ) -> (set: NamedSet, elements: [SetElement])? {
        let number = original.protocol
        if number == .icmp || number == .icmpv6 { return nil }
        let isTCP = number == .tcp
        let sets = isTCP ? tcp : number.hasPorts ? ports : hosts
        let elements = (isTCP ? [original, reply] : [reply]).compactMap { flow in
            key(of: flow).map { SetElement(.concatenation($0), timeout: isTCP ? tcpTimeout : otherTimeout) }
        }
        return (original.source.family == .ipv4 ? sets.four : sets.six, elements)
    }

    private static func key(of flow: FlowTuple) -> [SetKey]? {
        var values = [flow.source.number, flow.destination.number]
        if flow.protocol != .tcp { values.append(UInt128(flow.protocol.rawValue)) }
        if flow.protocol.hasPorts {
            guard let source = flow.sourcePort, let destination = flow.destinationPort else { return nil }
            values += [UInt128(source), UInt128(destination)]
        }
        return values.map { .values($0...$0) }
    }

    private static func family(_ name: String, _ rest: [KeyType]) -> (four: NamedSet, six: NamedSet) {
        func set(_ version: String, _ address: KeyType) -> NamedSet {
            NamedSet(
                SetName("cut/\(name).\(version)"), keyType: .concatenation([address, address] + rest),
                isInterval: false, expires: true, elements: [])
        }
        return (set("v4", .ipv4Address), set("v6", .ipv6Address))
    }

    /// At the head of what judges first packets: by the protocol to chains that ask the sets. ICMP passes.
    static func rules(into builder: inout RulesetBuilder) -> [Rule] {
        for set in sets { builder.add(set) }
        builder.add(counter)
        let isTCP = Step.match(.protocol, .equals(UInt128(IPProtocol.tcp.rawValue)))
        let isSYN: UInt128 = 2
        let begins = Rule(isTCP, .match(.tcpFlags, .hasAny(isSYN)), .verdict(.return))
        let connection = [Field.sourcePort, .destinationPort]
        let ofTCP = builder.content("cut/tcp", [begins] + drops(tcp, isTCP, connection))
        let ofOthers = builder.content("cut/ports", drops(ports, nil, [.protocol] + connection))
        let ofHosts = builder.content("cut/hosts", drops(hosts, nil, [.protocol]))
        let withPorts = IPProtocol.withPorts.sorted { $0.rawValue < $1.rawValue }
        let map = builder.set(
            "cut/with-ports", keyType: .inetProtocol, isInterval: false, isVerdictMap: true,
            withPorts.map { SetElement(Self.key(of: $0), verdict: .jump($0 == .tcp ? ofTCP : ofOthers)) })
        let not = builder.set(
            "cut/not-by-hosts", keyType: .inetProtocol, isInterval: false,
            (withPorts + [.icmp, .icmpv6]).sorted { $0.rawValue < $1.rawValue }.map { SetElement(Self.key(of: $0)) })
        return [
            Rule(.dispatch(.protocol, through: map)),
            Rule(.membership([.protocol], of: not, isIn: false), .verdict(.jump(ofHosts))),
        ]
    }

    private static func key(of number: IPProtocol) -> SetKey {
        .values(UInt128(number.rawValue)...UInt128(number.rawValue))
    }

    private static func drops(_ sets: (four: NamedSet, six: NamedSet), _ first: Step?, _ fields: [Field]) -> [Rule] {
        [(UInt128(2), [Field.ipSource, .ipDestination], sets.four), (10, [.ip6Source, .ip6Destination], sets.six)].map {
            family, addresses, set in
            Rule(
                [.match(.family, .equals(family)), first, .membership(addresses + fields, of: set.name, isIn: true)]
                    .compactMap(\.self) + [.counter(counter), .verdict(.drop)])
        }
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
