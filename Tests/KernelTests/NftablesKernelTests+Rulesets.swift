import NetworkTypes
import Nftables

/// Rulesets of the tests: every step, field, comparison and key type, with edge values.
enum SampleRulesets {
    static func everything(table: String) -> Ruleset {
        Ruleset(
            table: table,
            chains: [
                Chain(ChainName("leaf"), rules: []),
                Chain(ChainName("to/nic-1"), rules: [Rule(.verdict(.accept))]),
                Chain(
                    ChainName("forward"), at: Attachpoint(hook: .forward, priority: 20),
                    rules: addressRules + portRules + stateRules),
                Chain(ChainName("pre"), at: Attachpoint(hook: .prerouting, priority: -300), rules: mapRules),
                Chain(ChainName("in"), at: Attachpoint(hook: .input, priority: 20), rules: actionRules),
                Chain(ChainName("out"), at: Attachpoint(hook: .output, priority: 20), rules: []),
                Chain(ChainName("post"), at: Attachpoint(hook: .postrouting, priority: 20), rules: []),
            ],
            sets: sets, counters: [CounterName("hits"), CounterName("misses")],
            timeouts: [
                TimeoutObject(TimeoutName("tcp-240"), transport: .tcp, seconds: 240),
                TimeoutObject(TimeoutName("udp-1800"), transport: .udp, seconds: 1800),
            ])
    }

    /// The same with base chains that do nothing but jump to a trampoline: what `Change` is made for.
    static func withPlainBaseChains(table: String) -> Ruleset {
        var ruleset = everything(table: table)
        for chain in ruleset.chains.values where chain.attachpoint != nil {
            let plain = ChainName("all-\(chain.name)")
            ruleset.chains[plain] = Chain(plain, rules: chain.rules)
            ruleset.chains[chain.name]?.rules = [Rule(.verdict(.jump(ChainName("to/nic-1"))))]
        }
        return ruleset
    }

    private static let isIPv4 = Step.match(.family, .equals(2))
    private static let isIPv6 = Step.match(.family, .equals(10))
    private static let isTCP = Step.match(.protocol, .equals(6))
    private static let accept = Step.verdict(.accept)

    private static let addressRules: [Rule] = {
        let address: UInt128 = 0x0a01_0203
        let long: UInt128 = 0xfd00_0001_0002_0003_0004_0005_0006_0007
        let four: [Comparison] = [
            .equals(address), .equals(0), .equals(0xffff_ffff), .isNot(address), .prefix(0, length: 0),
            .prefix(0x8000_0000, length: 1), .prefix(0x0a00_0000, length: 8), .prefix(0x0a00_0000, length: 9),
            .prefix(0x0a01_0000, length: 16), .prefix(0x0a01_0200, length: 24), .prefix(0x0a01_0202, length: 31),
            .range(address...(address + 5)), .range(0...0xffff_ffff), .isGreater(than: address),
        ]
        let six: [Comparison] = [
            .equals(long), .equals(0), .equals(.max), .isNot(long), .prefix(0, length: 0),
            .prefix(0xfd << 120, length: 8), .prefix(0xfd00 << 112, length: 12),
            .prefix((long >> 64) << 64, length: 64),
            .prefix((long >> 1) << 1, length: 127), .range(long...(long + 5)), .range(0...(.max)),
        ]
        return four.map { Rule(isIPv4, .match(.ipSource, $0), accept) }
            + four.map { Rule(isIPv4, .match(.ipDestination, $0), accept) }
            + six.map { Rule(isIPv6, .match(.ip6Source, $0), accept) }
            + six.map { Rule(isIPv6, .match(.ip6Destination, $0), accept) }
    }()

    private static let portRules: [Rule] = {
        let ports: [Comparison] = [
            .equals(443), .equals(0), .equals(65535), .isNot(22), .range(8000...8010), .range(0...65535),
            .isGreater(than: 1023),
        ]
        let protocols: [UInt128] = [6, 17, 33, 132, 136]
        return ports.map { Rule(isTCP, .match(.sourcePort, $0), accept) }
            + ports.map { Rule(isTCP, .match(.destinationPort, $0), accept) }
            + protocols.map { Rule(.match(.protocol, .equals($0)), .match(.destinationPort, .equals(53)), accept) }
            + [1, 2, 47, 50, 51, 58, 255].map { Rule(.match(.protocol, .equals($0)), accept) }
            + [
                Rule(.match(.protocol, .isNot(6)), accept), Rule(.match(.protocol, .range(0...5)), accept),
                Rule(.match(.destinationPort, .equals(53)), accept), Rule(isIPv4, accept), Rule(isIPv6, accept),
                Rule(isIPv4, .match(.protocol, .equals(1)), .match(.icmpType, .equals(8)), accept),
                Rule(isIPv4, .match(.protocol, .equals(1)), .match(.icmpType, .range(13...18)), accept),
                Rule(isIPv6, .match(.protocol, .equals(58)), .match(.icmpv6Type, .range(133...137)), accept),
                Rule(isIPv6, .match(.protocol, .equals(58)), .match(.icmpv6Type, .equals(135)), accept),
                Rule(.match(.inputDevice, .equals(DeviceName.value(of: "eth0") ?? 0)), accept),
                Rule(.match(.outputDevice, .isNot(DeviceName.value(of: "veth-a_b.100-15") ?? 0)), accept),
            ]
    }()

    private static let stateRules: [Rule] = [
        Rule(.match(.connectionState, .hasAny(2)), accept), Rule(.match(.connectionState, .hasAny(1 | 8 | 64)), accept),
        Rule(.match(.connectionState, .isNot(8)), accept), Rule(.match(.connectionState, .equals(4)), accept),
        Rule(.match(.connectionLabel, .hasAny(1 << 120)), accept), Rule(.match(.connectionLabel, .hasAny(1)), accept),
        Rule(.match(.connectionLabel, .hasAny(1 << 127 | 1 << 64 | 0xfffff)), accept),
        Rule(.match(.connectionDirection, .equals(0)), accept), Rule(.match(.connectionDirection, .equals(1)), accept),
        Rule(.match(.connectionDirection, .isNot(1)), accept),
        Rule(.match(.connectionLabel, .hasAny(1 << 122)), .match(.connectionLabel, .hasNone(1 << 121)), accept),
        Rule(.match(.originalPackets, .isGreater(than: 0)), accept),
        Rule(.match(.connectionState, .hasNone(8)), accept), Rule(.match(.connectionLabel, .hasNone(1 << 120)), accept),
        Rule(isTCP, .match(.tcpFlags, .hasNone(2)), accept), Rule(isTCP, .match(.tcpFlags, .hasNone(0x12)), accept),
        Rule(isTCP, .match(.tcpFlags, .hasAny(0x12)), accept), Rule(isTCP, .match(.tcpFlags, .equals(2)), accept),
        Rule(isTCP, .match(.tcpFlags, .isNot(0x12)), accept), Rule(isTCP, .match(.tcpFlags, .equals(0)), accept),
        Rule(.match(.originalPackets, .equals(5)), accept), Rule(.match(.originalPackets, .isNot(5)), accept),
        Rule(.match(.originalPackets, .range(5...1_000_000)), accept),
    ]

    private static let mapRules: [Rule] = [
        Rule(isIPv4, .lookup(.ipSource, in: SetName("v4-ranges")), accept),
        Rule(isIPv4, .lookup(.ipDestination, in: SetName("v4")), accept),
        Rule(isIPv6, .lookup(.ip6Destination, in: SetName("v6-ranges")), accept),
        Rule(isTCP, .lookup(.destinationPort, in: SetName("ports")), accept),
        Rule(.lookup(.inputDevice, in: SetName("nics")), accept),
        Rule(.lookup(.protocol, in: SetName("protocols")), accept),
        Rule(.dispatch(.inputDevice, through: SetName("by-device"))),
        Rule(.dispatch(.protocol, through: SetName("by-protocol"))),
        Rule(isTCP, .dispatch(.destinationPort, through: SetName("by-port"))),
        Rule(isIPv4, .dispatch(.ipSource, through: SetName("by-v4"))),
        Rule(isIPv6, .dispatch(.ip6Source, through: SetName("by-v6"))),
        Rule(.membership([.inputDevice], of: SetName("nics"), isIn: true), accept),
        Rule(.membership([.inputDevice], of: SetName("nics"), isIn: false), accept),
        Rule(isIPv4, .membership([.ipSource], of: SetName("v4-ranges"), isIn: false), accept),
        Rule(isIPv4, .membership([.inputDevice, .ipSource], of: SetName("guard/v4"), isIn: true), accept),
        Rule(isIPv4, .membership([.inputDevice, .ipSource], of: SetName("guard/v4"), isIn: false), .verdict(.drop)),
        Rule(isIPv6, .membership([.outputDevice, .ip6Destination], of: SetName("guard/v6"), isIn: false), accept),
        Rule(isIPv4, .membership([.protocol, .ipSource], of: SetName("odd"), isIn: true), accept),
        Rule(isTCP, .match(.tcpFlags, .hasNone(2)), isIPv4, .membership(tuple4, of: SetName("cut/v4"), isIn: true)),
        Rule(isIPv4, isUDP, .membership(tuple4, of: SetName("cut/v4"), isIn: true), .verdict(.drop)),
        Rule(isIPv6, isUDP, .membership(tuple6, of: SetName("cut/v6"), isIn: true), .verdict(.drop)),
        Rule(isIPv6, .membership(tuple6, of: SetName("cut/v6"), isIn: false), .verdict(.drop)),
    ]

    private static let isUDP = Step.match(.protocol, .equals(17))
    private static let tuple4: [Field] = [.ipSource, .ipDestination, .protocol, .sourcePort, .destinationPort]
    private static let tuple6: [Field] = [.ip6Source, .ip6Destination, .protocol, .sourcePort, .destinationPort]

    private static let actionRules: [Rule] = [
        Rule(.setTimeout(TimeoutName("tcp-240")), .setTimeout(TimeoutName("udp-1800")), .verdict(.accept)),
        Rule(.setLabel(1 << 120)), Rule(.setLabel(0b1000 | 1 << 127)), Rule(.counter(CounterName("hits"))),
        Rule(.log(PacketCopy(group: 5, snapLength: 128, prefix: "nsgd a 12 "))),
        Rule(.log(PacketCopy(group: 65535, snapLength: 0, prefix: ""))),
        Rule(.counter(CounterName("hits")), .log(PacketCopy(group: 0, snapLength: 1, prefix: "p")), .verdict(.drop)),
        Rule(.match(.connectionState, .hasAny(8)), .setLabel(1 << 20), .verdict(.jump(ChainName("leaf")))),
        Rule(.verdict(.goto(ChainName("to/nic-1")))),
        Rule(.verdict(.return), comment: "rule 17 of web-nsg: allow https"),
    ]

    static func values(_ range: ClosedRange<UInt128>, _ verdict: Verdict? = nil) -> SetElement {
        SetElement(.values(range), verdict: verdict)
    }

    private static func one(_ value: UInt128) -> SetKey { .values(value...value) }

    private static let sets: [NamedSet] = [
        NamedSet(
            SetName("v4-ranges"), keyType: .ipv4Address, isInterval: true,
            elements: [
                values(0x0a00_0000...0x0aff_ffff), values(0x0b00_0001...0x0b00_0001), values(0xc0a8_0105...0xc0a8_0109),
                values(0xff00_0000...0xffff_ffff),
            ]),
        NamedSet(SetName("v4-all"), keyType: .ipv4Address, isInterval: true, elements: [values(0...0xffff_ffff)]),
        NamedSet(
            SetName("v4"), keyType: .ipv4Address, isInterval: false,
            elements: [values(0...0), values(0x0a00_0001...0x0a00_0001), values(0xffff_ffff...0xffff_ffff)]),
        NamedSet(
            SetName("v6-ranges"), keyType: .ipv6Address, isInterval: true,
            elements: [
                values(0...0), values(0xfd << 120...(0xfd << 120 | (1 << 120 - 1))), values((.max - 3)...(.max)),
            ]),
        NamedSet(SetName("v6-all"), keyType: .ipv6Address, isInterval: true, elements: [values(0...(.max))]),
        NamedSet(
            SetName("v6"), keyType: .ipv6Address, isInterval: false,
            elements: [values(0...0), values(1...1), values(.max...(.max))]),
        NamedSet(
            SetName("ports"), keyType: .inetService, isInterval: true,
            elements: [values(0...5), values(80...80), values(65535...65535)]),
        NamedSet(SetName("ports-all"), keyType: .inetService, isInterval: true, elements: [values(0...65535)]),
        NamedSet(
            SetName("protocols"), keyType: .inetProtocol, isInterval: false,
            elements: [values(6...6), values(255...255)]),
        NamedSet(
            SetName("nics"), keyType: .deviceName, isInterval: false,
            elements: [SetElement(.device("eth0")), SetElement(.device("veth-a_b.100-15"))]),
        NamedSet(
            SetName("guard/v4"), keyType: .concatenation([.deviceName, .ipv4Address]), isInterval: false,
            elements: [
                SetElement(.concatenation([.device("eth0"), one(0x0a00_0004)])),
                SetElement(.concatenation([.device("eth0"), one(0x0a00_0005)])),
                SetElement(.concatenation([.device("veth-a_b.100-15"), one(0)])),
            ]),
        NamedSet(
            SetName("guard/v6"), keyType: .concatenation([.deviceName, .ipv6Address]), isInterval: false,
            elements: [SetElement(.concatenation([.device("lo"), one(1)]))]),
        NamedSet(
            SetName("odd"), keyType: .concatenation([.inetProtocol, .ipv4Address]), isInterval: false,
            elements: [SetElement(.concatenation([one(6), one(0xffff_ffff)]))]),
        NamedSet(
            SetName("cut/v4"),
            keyType: .concatenation([.ipv4Address, .ipv4Address, .inetProtocol, .inetService, .inetService]),
            isInterval: false, expires: true, elements: []),
        NamedSet(
            SetName("cut/v6"),
            keyType: .concatenation([.ipv6Address, .ipv6Address, .inetProtocol, .inetService, .inetService]),
            isInterval: false, expires: true, elements: []),
        NamedSet(SetName("empty"), keyType: .ipv4Address, isInterval: true, elements: []),
        NamedSet(
            SetName("by-device"), keyType: .deviceName, isInterval: false, values: .verdicts,
            elements: [
                SetElement(.device("eth0"), verdict: .jump(ChainName("to/nic-1"))),
                SetElement(.device("lo"), verdict: .accept),
            ]),
        NamedSet(
            SetName("by-protocol"), keyType: .inetProtocol, isInterval: false, values: .verdicts,
            elements: [values(6...6, .goto(ChainName("leaf"))), values(17...17, .return)]),
        NamedSet(
            SetName("by-port"), keyType: .inetService, isInterval: true, values: .verdicts,
            elements: [
                values(22...22, .drop), values(100...200, .accept), values(201...65535, .goto(ChainName("leaf"))),
            ]),
        NamedSet(
            SetName("by-v4"), keyType: .ipv4Address, isInterval: true, values: .verdicts,
            elements: [values(0...0x0aff_fffe, .drop), values(0x0aff_ffff...0xffff_ffff, .goto(ChainName("leaf")))]),
        NamedSet(
            SetName("by-v6"), keyType: .ipv6Address, isInterval: true, values: .verdicts,
            elements: [values(0...(.max), .jump(ChainName("leaf")))]),
    ]
}
