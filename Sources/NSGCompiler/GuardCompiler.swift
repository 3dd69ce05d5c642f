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
        let pairs = guarded.flatMap { guest in guest.addresses.map { (device: guest.binding.device, address: $0) } }
        let (four, six) = builder.deviceAddresses("guests/addresses", pairs)
        let own = Addresses(
            four: four, six: six, receivers: ChainName(ChainName.trampolinePrefix + FixedNames.receivers))
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

    private static let exemptions: [Rule] = AddressGuard.exemptions.flatMap { messages -> [Rule] in
        let isIPv4 = messages.source.family == .ipv4
        let beginning: [Step] = [
            .match(.family, .equals(isIPv4 ? 2 : 10)),
            .match(isIPv4 ? .ipSource : .ip6Source, Comparison(messages.source)),
            .match(.protocol, .equals(UInt128(messages.protocol.rawValue))),
        ]
        let kinds: [[Step]] =
            switch messages.kind {
            case .all: [[]]
            case .ports(let source, let destination):
                [
                    [
                        .match(.sourcePort, .equals(UInt128(source))),
                        .match(.destinationPort, .equals(UInt128(destination))),
                    ]
                ]
            case .types(let ranges): ranges.map { [.match(.icmpv6Type, Comparison(widening: $0))] }
            }
        return kinds.map { Rule(beginning + $0 + [.verdict(.accept)]) }
    }
}

extension Comparison {
    /// Equality with an address, or the prefix.
    fileprivate init(_ prefix: IPPrefix) {
        let number = prefix.address.number
        let isAddress = prefix.length == (prefix.family == .ipv4 ? 32 : 128)
        self = isAddress ? .equals(number) : .prefix(number, length: prefix.length)
    }

    /// Equality with the one value of a range, or the range.
    init(widening range: ClosedRange<UInt8>) {
        self =
            range.lowerBound == range.upperBound
            ? .equals(UInt128(range.lowerBound)) : .range(UInt128(range.lowerBound)...UInt128(range.upperBound))
    }
}
