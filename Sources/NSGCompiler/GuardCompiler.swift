import NSGModel
import NetworkTypes
import Nftables

/// Guests that do not route keep to their addresses (S13). What they send is checked before conntrack sees it, every
/// packet of it, or a guest could put words into another's connection (KERNEL 8): one look-up of device and address.
struct GuardCompiler {
    let book: PolicyBook
    let names: ChainNames

    private var guarded: [(binding: Binding, addresses: [IPAddress])] {
        book.estate.bindings.compactMap { binding in
            book.estate.guardedAddresses(of: binding).map { (binding, $0) }
        }
    }

    /// Which addresses are at which device, as sets of both; nil for a family that no guest has an address of.
    struct Addresses {
        var four: SetName?
        var six: SetName?
        /// The trampoline to what drops, and counts at its interface, a packet for another than the guest it goes out to.
        /// One for all: where each interface's chain named the sets itself, one more guest would change every chain.
        var receivers: ChainName
    }

    /// With what `receivers` leads to. Nil where no guest is held to its addresses.
    func addresses(into builder: inout RulesetBuilder) -> Addresses? {
        if guarded.isEmpty { return nil }
        let pairs = guarded.flatMap { guest in guest.addresses.map { (guest.binding.device, $0) } }
        let of = { (family: IPFamily) in
            pairs.filter { $0.1.family == family }.map { (device: $0.0, address: $0.1.number) }
        }
        let (four, six) = (of(.ipv4), of(.ipv6))
        var own = Addresses(receivers: ChainName(ChainName.trampolinePrefix + FixedNames.receivers))
        if !four.isEmpty { own.four = builder.deviceAddresses("guests/addresses.v4", .ipv4Address, four) }
        if !six.isEmpty { own.six = builder.deviceAddresses("guests/addresses.v6", .ipv6Address, six) }
        compileReceivers(own, into: &builder)
        return own
    }

    /// What `Addresses.receivers` leads to. Back to the interface's chain with what is for its guest.
    private func compileReceivers(_ own: Addresses, into builder: inout RulesetBuilder) {
        let drops = dropMap("devices/guarded-exit", .inbound, into: &builder)
        let returns = Self.passing(own, .outputDevice, .ipDestination, .ip6Destination, .return)
        let check = builder.content(
            FixedNames.receivers, returns + [Rule(.dispatch(.outputDevice, through: drops))])
        _ = builder.trampoline(FixedNames.receivers, to: check)
    }

    /// Ends the chain with a verdict where the device and the address are of one guest.
    private static func passing(
        _ own: Addresses, _ device: Field, _ four: Field, _ six: Field, _ verdict: Verdict
    ) -> [Rule] {
        [(own.four, four, 2), (own.six, six, 10)].compactMap { set, address, family in
            set.map { set in
                Rule(
                    .match(.family, .equals(family)), .membership([device, address], of: set, isIn: true),
                    .verdict(verdict))
            }
        }
    }

    /// From the devices of guests to chains that count and drop.
    /// - Parameter exempt: asked first; what it accepts is not dropped.
    private func dropMap(
        _ name: String, _ direction: Direction, exempt: ChainName? = nil, into builder: inout RulesetBuilder
    ) -> SetName {
        let drops = guarded.sorted { $0.binding.device < $1.binding.device }.map { guest -> SetElement in
            let counter = names.foreignCounter(guest.binding.networkInterface, direction)
            builder.add(counter)
            let chain = builder.content(
                names.guardChain(guest.binding.networkInterface, direction),
                (exempt.map { [Rule(.verdict(.jump($0)))] } ?? []) + [Rule(.counter(counter), .verdict(.drop))])
            return SetElement(.device(guest.binding.device), verdict: .goto(chain))
        }
        return builder.set(name, keyType: .deviceName, isInterval: false, isVerdictMap: true, drops)
    }

    /// What `prerouting` leads to.
    func compile(_ own: Addresses, into builder: inout RulesetBuilder) -> ChainName {
        let exempt = builder.content("guests/link", Self.exemptions)
        let drops = dropMap("devices/guarded", .outbound, exempt: exempt, into: &builder)
        let accepts = Self.passing(own, .inputDevice, .ipSource, .ip6Source, .accept)
        return builder.content("prerouting", accepts + [Rule(.dispatch(.inputDevice, through: drops))])
    }

    /// What `AddressGuard.exempts` says.
    private static let exemptions: [Rule] = {
        let four: [Step] = [.match(.family, .equals(2)), .match(.ipSource, .equals(0))]
        let unspecified: [Step] = [.match(.family, .equals(10)), .match(.ip6Source, .equals(0))]
        let linkLocal: [Step] = [.match(.family, .equals(10)), .match(.ip6Source, .prefix(0xfe80 << 112, length: 10))]
        let isProtocol = { (number: IPProtocol) in Step.match(.protocol, .equals(UInt128(number.rawValue))) }
        let ports = { (source: UInt128, destination: UInt128) -> [Step] in
            [isProtocol(.udp), .match(.sourcePort, .equals(source)), .match(.destinationPort, .equals(destination))]
        }
        let types = { (ranges: [ClosedRange<UInt8>]) in
            ranges.map { range -> [Step] in
                [isProtocol(.icmpv6), .match(.icmpv6Type, Comparison(widening: range))]
            }
        }
        let matches =
            [four + ports(68, 67), four + [isProtocol(.igmp)], linkLocal + ports(546, 547)]
            + types(AddressGuard.unspecifiedICMPv6Types).map { unspecified + $0 }
            + types(AddressGuard.linkLocalICMPv6Types).map { linkLocal + $0 }
        return matches.map { Rule($0 + [.verdict(.accept)]) }
    }()
}

extension Comparison {
    /// Equality with the one value of a range, or the range.
    init(widening range: ClosedRange<UInt8>) {
        self =
            range.lowerBound == range.upperBound
            ? .equals(UInt128(range.lowerBound)) : .range(UInt128(range.lowerBound)...UInt128(range.upperBound))
    }
}
