import NSGModel
import NetworkTypes
import Nftables

/// Guests that do not route keep to their addresses (S13). What they send is checked before conntrack sees it, every
/// packet of it, or a guest could put words into another's connection (KERNEL 8): one look-up of the device, and at
/// guests a comparison with each address.
struct GuardCompiler {
    let book: PolicyBook
    let names: ChainNames

    private var guarded: [(binding: Binding, addresses: [IPAddress])] {
        book.estate.bindings.compactMap { binding in
            book.estate.guardedAddresses(of: binding).map { (binding, $0) }
        }
    }

    /// Drops, and counts at its interface, what goes out to a guest and is for another. Compared in the guest's own
    /// chain, so that one more guest changes nothing at the others.
    func checkReceiver(_ binding: Binding, _ family: IPFamily, into builder: inout RulesetBuilder) -> [Rule] {
        guard let addresses = book.estate.guardedAddresses(of: binding) else { return [] }
        let drop = dropChain(binding, .inbound, before: [], into: &builder)
        let own = addresses.filter { $0.family == family }
        let isForeign =
            own.count > Self.mostComparisons
            ? [
                .membership(
                    [family.destination], of: set(of: own, binding, family, into: &builder), isIn: false)
            ]
            : own.map { Step.match(family.destination, .isNot($0.number)) }
        return [Rule((isForeign.isEmpty ? [] : [family.test]) + isForeign + [.verdict(.goto(drop))])]
    }

    /// What the trampoline of `prerouting` does: from the devices of guests to chains that accept what has an address
    /// of the guest as its source, and count and drop the rest. Nil where no guest is held to its addresses.
    func checkSenders(into builder: inout RulesetBuilder) -> Rule? {
        if guarded.isEmpty { return nil }
        let exempt = builder.content("guests/link", Self.exemptions)
        let chains = guarded.sorted { $0.binding.device < $1.binding.device }.map { guest in
            let accepts = IPFamily.allCases.flatMap { family in
                self.accepts(guest.addresses.filter { $0.family == family }, guest.binding, family, into: &builder)
            }
            let chain = dropChain(
                guest.binding, .outbound, before: accepts + [Rule(.verdict(.jump(exempt)))], into: &builder)
            return SetElement(.device(guest.binding.device), verdict: .goto(chain))
        }
        let map = builder.set(
            "devices/guarded", keyType: .deviceName, isInterval: false, values: .verdicts, chains)
        return Rule(.dispatch(.inputDevice, through: map))
    }

    private func accepts(
        _ own: [IPAddress], _ binding: Binding, _ family: IPFamily, into builder: inout RulesetBuilder
    ) -> [Rule] {
        let tests =
            own.count > Self.mostComparisons
            ? [.lookup(family.source, in: set(of: own, binding, family, into: &builder))]
            : own.map { Step.match(family.source, .equals($0.number)) }
        return tests.map { Rule(family.test, $0, .verdict(.accept)) }
    }

    /// More addresses than these are looked up in a set.
    private static let mostComparisons = 4

    private func set(
        of own: [IPAddress], _ binding: Binding, _ family: IPFamily, into builder: inout RulesetBuilder
    ) -> SetName {
        builder.set(
            "\(names.interface(binding.networkInterface))/addresses.\(family.word)", keyType: family.keyType,
            isInterval: false, own.map(\.number).sorted().map { SetElement(.values($0...$0)) })
    }

    private func dropChain(
        _ binding: Binding, _ direction: Direction, before rules: [Rule], into builder: inout RulesetBuilder
    ) -> ChainName {
        let counter = names.foreignCounter(binding.networkInterface, direction)
        builder.add(counter)
        return builder.content(
            names.guardChain(binding.networkInterface, direction), rules + [Rule(.counter(counter), .verdict(.drop))])
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
