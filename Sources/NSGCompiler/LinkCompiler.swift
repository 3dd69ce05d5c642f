import NSGModel
import NetworkTypes
import Nftables

/// What belongs to a link rather than to an interface's rules: whether a device is bound at all, what keeps a link
/// alive, and what a virtual network does not carry.
struct LinkCompiler {
    private let book: PolicyBook
    /// The set of all bound devices.
    let bound: SetName

    init(book: PolicyBook, into builder: inout RulesetBuilder) {
        self.book = book
        bound = builder.devices("bound", book.estate.bindings)
        builder.add(FixedNames.routersCounter)
        builder.add(FixedNames.multicastCounter)
    }

    /// Lets go of packets of devices none of which is bound.
    func unbound(_ fields: [Field]) -> Rule {
        Rule(fields.map { .membership([$0], of: bound, isIn: false) } + [.verdict(.return)])
    }

    /// DHCP and router advertisements between this machine and the other end of a link (S12); what is forwarded is
    /// judged. A chain of their own tells them apart: packets between low ports come to it, and router advertisements.
    /// - Parameter cut: comes before everything else at a bound device.
    func rules(
        _ side: DeviceSide, _ family: IPFamily, cut: [Rule], into builder: inout RulesetBuilder
    ) -> [Rule] {
        let field = side == .entry ? Field.inputDevice : .outputDevice
        let rules = NSGModel.Attachment.allCases.flatMap { attachment -> [Rule] in
            let bindings = book.estate.bindings.filter { $0.attachment == attachment }
            guard !bindings.isEmpty,
                let direction = Direction.allCases.first(where: { DeviceSide($0, attachment) == side })
            else { return [] }
            let device = Step.lookup(field, in: builder.devices("\(attachment.rawValue)s", bindings))
            let announcements = side == .entry && attachment == .guest && family == .ipv6 ? [Self.noRouters] : []
            return (Skeleton.linkRules(direction, family) + announcements).map { Rule([device] + $0.steps) }
        }
        if rules.isEmpty { return [] }
        let chain = builder.content(
            "\(side == .entry ? "input" : "output")/link/\(family.word)", [unbound([field])] + cut + rules)
        let announces = Rule(
            family.test, .match(.protocol, .equals(UInt128(IPProtocol.icmpv6.rawValue))),
            .match(.icmpv6Type, .equals(UInt128(Exemption.icmpv6RouterAdvertisement))), .verdict(.jump(chain)))
        return [
            Rule(
                .match(.protocol, .equals(UInt128(IPProtocol.udp.rawValue))),
                .match(.sourcePort, .range(Self.lowPorts)), .match(.destinationPort, .range(Self.lowPorts)),
                .verdict(.jump(chain)))
        ] + (family == .ipv6 ? [announces] : [])
    }

    /// From the first port of DHCP to the last of DHCPv6.
    private static let lowPorts: ClosedRange<UInt128> = {
        let ports = Exemption.dhcpPorts(.inbound).flatMap { [UInt128($0.source), UInt128($0.destination)] }
        return (ports.min() ?? 0)...(ports.max() ?? 0xffff)
    }()

    /// A guest must not become this machine's router, whatever its rules allow (KERNEL 9).
    private static let noRouters = Rule(
        .match(.family, .equals(10)), .match(.protocol, .equals(UInt128(IPProtocol.icmpv6.rawValue))),
        .match(.icmpv6Type, .equals(UInt128(Exemption.icmpv6RouterAdvertisement))),
        .counter(FixedNames.routersCounter), .verdict(.drop))

    /// A virtual network carries neither multicast nor broadcast. One comparison sends what might be either aside.
    /// - Parameter cut: comes before everything else at a bound device.
    func multicast(_ family: IPFamily, cut: [Rule], into builder: inout RulesetBuilder) -> [Rule] {
        let groups: [Comparison] =
            family == .ipv4
            ? [.prefix(0xe000_0000, length: 4), .equals(0xffff_ffff)] : [.prefix(0xff << 120, length: 8)]
        let drops = groups.map {
            Rule(
                family.test, .match(family.destination, $0), .counter(FixedNames.multicastCounter), .verdict(.drop))
        }
        let chain = builder.content(
            "multicast/\(family.word)", [unbound([.inputDevice, .outputDevice])] + cut + drops)
        let all: Comparison = family == .ipv4 ? .prefix(0xe000_0000, length: 3) : groups[0]
        return [Rule(family.test, .match(family.destination, all), .verdict(.jump(chain)))]
    }
}
