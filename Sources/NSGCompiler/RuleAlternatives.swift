import NSGModel
import NetworkTypes

extension ResolvedRule {
    /// Without, it is its only alternative.
    var hasParts: Bool { !sourceParts.isEmpty || !destinationParts.isEmpty }

    /// The rule as several, each with one part of either side, so that a tag or a group of networks keeps the set that
    /// is named after it, which other rules share and an update changes by its differences alone (S10, E3). A packet
    /// that matches more than one meets the first: all do the same, and end the walk through the list.
    var alternatives: [ResolvedRule] {
        let sources = Self.ways(rule.source, source, sourceParts)
        let destinations = Self.ways(rule.destination, destination, destinationParts)
        guard sources.count * destinations.count <= Self.mostAlternatives else { return [self] }
        return sources.flatMap { source in
            destinations.map { destination in
                var copy = self
                (copy.rule.source, copy.source) = (source.scope, source.addresses)
                (copy.rule.destination, copy.destination) = (destination.scope, destination.addresses)
                return copy
            }
        }
    }

    /// Beyond this the parts of a side are one set: a new flow is compared with each alternative (E2).
    private static let mostAlternatives = 16

    /// The parts that can match, or the side as a whole: where it has none, and where it is any address.
    private static func ways(_ scope: AddressScope, _ addresses: AddressSet, _ parts: [AddressPart]) -> [AddressPart] {
        let parts = addresses == .all ? [] : parts.filter { !$0.addresses.isEmpty }
        return parts.isEmpty ? [AddressPart(scope: scope, addresses: addresses)] : parts
    }
}
