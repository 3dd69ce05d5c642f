package import NetworkTypes

/// Where a list of rules stands on a packet's way.
package enum PolicyLevel: String, Hashable, Sendable {
    /// What Azure's platform lets pass or blocks before any list (S9, S14).
    case platform
    case admin
    case subnet
    case nic
}

/// One rule of a list with its addresses looked up. A rule with an empty side matches nothing.
package struct ResolvedRule: Hashable, Sendable {
    package var rule: SecurityRule
    package var source: AddressSet
    package var sourcePorts: IntervalSet<UInt16>
    package var destination: AddressSet
    package var destinationPorts: IntervalSet<UInt16>
    /// Of a side that lists several items (`AddressScope.either`): what it is the union of. Parts may overlap. Empty
    /// for other sides.
    package var sourceParts: [AddressPart]
    package var destinationParts: [AddressPart]

    package init(
        rule: SecurityRule, source: AddressSet, sourcePorts: IntervalSet<UInt16>, destination: AddressSet,
        destinationPorts: IntervalSet<UInt16>, sourceParts: [AddressPart] = [], destinationParts: [AddressPart] = []
    ) {
        self.rule = rule
        self.source = source
        self.sourcePorts = sourcePorts
        self.destination = destination
        self.destinationPorts = destinationPorts
        self.sourceParts = sourceParts
        self.destinationParts = destinationParts
    }
}

/// One named item of a side, or all its prefixes.
package struct AddressPart: Hashable, Sendable {
    package var scope: AddressScope
    package var addresses: AddressSet

    package init(scope: AddressScope, addresses: AddressSet) {
        self.scope = scope
        self.addresses = addresses
    }
}

/// One direction of a security group as it stands on a network interface, or the security admin rules of a virtual
/// network: the unit that interfaces share. The tag `VirtualNetwork` makes it depend on the network, rules with
/// application security groups on the interface's membership.
package struct PolicyList: Hashable, Sendable {
    package struct Key: Hashable, Sendable {
        /// The security group; for admin rules the network manager, of several the one of the highest scope.
        package var owner: ResourceID
        package var level: PolicyLevel
        package var direction: Direction
        package var virtualNetwork: ResourceID
        /// Of the groups that rules of this direction name on the interface's own side, those it is a member of;
        /// sorted.
        package var memberships: [ResourceID]
    }

    /// Tells a list from those of other policies. Lists of one version have the same key, and rules that are equal but
    /// for descriptions and places in documents; what is made of a list's meaning can be kept by its version.
    package final class Version: Hashable, Sendable {
        fileprivate init() {}
        package static func == (left: Version, right: Version) -> Bool { left === right }
        package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
    }

    package let key: Key
    /// In the order in which they are tried.
    package let rules: [ResolvedRule]
    package let version: Version

    init(key: Key, rules: [ResolvedRule], version: Version? = nil) {
        self.key = key
        self.rules = rules
        self.version = version ?? Version()
    }

    /// By content: the version is a shorter word for part of it.
    package static func == (left: Self, right: Self) -> Bool { left.key == right.key && left.rules == right.rules }
    package func hash(into hasher: inout Hasher) {
        hasher.combine(key)
        hasher.combine(rules)
    }
}

extension ResolvedRule {
    /// See `PolicyList.Version`.
    package func isEqualButForRemarks(to other: ResolvedRule) -> Bool {
        rule.isEqualButForRemarks(to: other.rule) && source == other.source && destination == other.destination
            && sourcePorts == other.sourcePorts && destinationPorts == other.destinationPorts
            && sourceParts == other.sourceParts && destinationParts == other.destinationParts
    }
}
