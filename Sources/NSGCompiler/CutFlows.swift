package import NSGModel
import NetworkTypes
package import Nftables

/// Connections that were ended on purpose, and whose next packets would otherwise begin them anew in the direction of
/// whichever side speaks first (KERNEL 7). The judging chains drop what is in these sets: of TCP what is no SYN, in
/// both directions; of other protocols what comes back, since what goes on in the original direction is judged by the
/// rules. ICMP is not among them: its answers begin no connection.
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
    /// others longer than most wait for an answer. No packet of theirs tells whether the other side goes on with the
    /// old flow or opens one of its own with the same ports, which rules may allow; so they are not kept out for good.
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

    /// At the head of what judges first packets of a family. UDP, whose first packets cost most beside the rest of
    /// their way, is asked for at once; of TCP what is no SYN, and what is rare, in a chain of its own. ICMP passes.
    static func rules(_ family: IPFamily, into builder: inout RulesetBuilder) -> [Rule] {
        for set in sets { builder.add(set) }
        builder.add(counter)
        let isTCP = Step.match(.protocol, .equals(UInt128(IPProtocol.tcp.rawValue)))
        let udp = UInt128(IPProtocol.udp.rawValue)
        let isSYN: UInt128 = 2
        let begins = Rule(isTCP, .match(.tcpFlags, .hasAny(isSYN)), .verdict(.return))
        let not = builder.set(
            "cut/not-by-hosts", keyType: .inetProtocol, isInterval: false,
            (IPProtocol.withPorts + [.icmp, .icmpv6]).sorted { $0.rawValue < $1.rawValue }.map {
                SetElement(.values(UInt128($0.rawValue)...UInt128($0.rawValue)))
            })
        let drop = { (sets: (four: NamedSet, six: NamedSet), kind: Step, fields: [Field]) in
            Rule(
                family.test, kind,
                .membership(
                    [family.source, family.destination] + fields, of: (family == .ipv4 ? sets.four : sets.six).name,
                    isIn: true), .counter(counter), .verdict(.drop))
        }
        let connection = [Field.sourcePort, .destinationPort]
        let others = builder.content(
            "cut/others/\(family.word)",
            [
                begins, drop(tcp, isTCP, connection),
                drop(ports, .lookup(.protocol, in: FixedNames.portProtocols), [.protocol] + connection),
                drop(hosts, .membership([.protocol], of: not, isIn: false), [.protocol]),
            ])
        return [
            drop(ports, .match(.protocol, .equals(udp)), [.protocol] + connection),
            Rule(.match(.protocol, .isNot(udp)), .verdict(.jump(others))),
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
