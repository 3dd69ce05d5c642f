package import NetworkTypes

/// Seen from the virtual machine: towards it or from it.
package enum Direction: String, Hashable, Sendable, CaseIterable {
    case inbound = "Inbound"
    case outbound = "Outbound"
}

package enum Access: String, Hashable, Sendable, CaseIterable {
    case allow = "Allow"
    case deny = "Deny"
}

/// Order in which rules are tried; lower first. 100...4096 for written rules, 65000 and above for the default rules.
/// Source: Azure documentation, "Network security groups", table of security rule properties.
package struct Priority: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: Int
    package init(_ value: Int) { self.value = value }
    package static let written = 100...4096
    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
    package var description: String { "\(value)" }
}

/// The protocol of a security rule, spelt as Azure does.
package enum RuleProtocol: String, Hashable, Sendable, CaseIterable {
    case any = "*"
    case tcp = "Tcp"
    case udp = "Udp"
    case icmp = "Icmp"
    case esp = "Esp"
    case ah = "Ah"

    /// The protocol number; nil for any. `Icmp` is ICMP of IPv4 alone: ICMPv6 cannot be named in a rule.
    package var number: IPProtocol? {
        switch self {
        case .any: nil
        case .tcp: .tcp
        case .udp: .udp
        case .icmp: .icmp
        case .esp: .esp
        case .ah: .ah
        }
    }
}

/// One side's addresses as a rule states them: Azure takes exactly one of the forms.
package enum AddressScope: Hashable, Sendable {
    /// `*`: every address of both families.
    case any
    case prefixes([IPPrefix])
    case serviceTag(ServiceTag)
    case applicationSecurityGroups([ResourceID])
}

/// One rule of a network security group. Ports are never empty: "any" is one full range.
package struct SecurityRule: Hashable, Sendable {
    package var id: ResourceID
    package var name: String
    package var description: String
    package var `protocol`: RuleProtocol
    package var source: AddressScope
    package var sourcePorts: [PortRange]
    package var destination: AddressScope
    package var destinationPorts: [PortRange]
    package var access: Access
    package var priority: Priority
    package var direction: Direction
    /// One of the six rules that stand at the end of every group.
    package var isDefault: Bool
    /// Where a written rule stands; nil for a default rule.
    package var location: SourceLocation?

    package init(
        id: ResourceID, name: String, description: String = "", protocol: RuleProtocol, source: AddressScope,
        sourcePorts: [PortRange], destination: AddressScope, destinationPorts: [PortRange], access: Access,
        priority: Priority, direction: Direction, isDefault: Bool = false, location: SourceLocation? = nil
    ) {
        self.id = id
        self.name = name
        self.description = description
        self.protocol = `protocol`
        self.source = source
        self.sourcePorts = sourcePorts
        self.destination = destination
        self.destinationPorts = destinationPorts
        self.access = access
        self.priority = priority
        self.direction = direction
        self.isDefault = isDefault
        self.location = location
    }

    /// The name as IP flow verify and effective rules write it: `securityRules/web`.
    package var qualifiedName: String { (isDefault ? "defaultSecurityRules/" : "securityRules/") + name }
    /// The name as flow logs write it: `UserRule_web`.
    package var flowLogName: String { (isDefault ? "DefaultRule_" : "UserRule_") + name }
}
