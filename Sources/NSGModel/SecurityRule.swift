package import NetworkTypes

/// Seen from the virtual machine: towards it or from it.
package enum Direction: String, Hashable, Sendable, CaseIterable {
    case inbound = "Inbound"
    case outbound = "Outbound"
}

/// What a rule does with a packet that matches it.
package enum Access: String, Hashable, Sendable {
    /// On to the next list; the last list's Allow lets the packet pass.
    case allow = "Allow"
    case deny = "Deny"
    /// Security admin rules only: passes without any security group being asked (S8).
    case alwaysAllow = "AlwaysAllow"

    /// What a rule of a security group may say.
    package static let ofSecurityRules: [Access] = [.allow, .deny]
    package static let ofAdminRules: [Access] = [.allow, .alwaysAllow, .deny]
}

/// Where a rule comes from, which decides how answers and logs name it.
package enum RuleKind: String, Hashable, Sendable {
    /// Written in a security group.
    case custom
    /// One of the six that stand at the end of every security group.
    case `default`
    /// Of a network manager (S8).
    case admin
    /// No document has it: what Azure's platform does by itself (S9, S14).
    case platform

    /// The name as IP flow verify and effective rules write it: `securityRules/web`. Of an admin rule the bare name; no
    /// recorded answer tells.
    package func qualifiedName(of name: String) -> String {
        switch self {
        case .custom: "securityRules/\(name)"
        case .default: "defaultSecurityRules/\(name)"
        case .admin, .platform: name
        }
    }

    /// Whether a rule of that name is what stands at the end of a list of admin rules (`SecurityRule.noAdminRule`): no
    /// document has it, so that neither its name nor its priority is shown.
    package func isNoAdminRule(_ name: String) -> Bool { self == .admin && name.isEmpty }

    /// The name as flow logs write it: `UserRule_web`; bare for admin rules.
    package func flowLogName(of name: String) -> String {
        switch self {
        case .custom: "UserRule_\(name)"
        case .default: "DefaultRule_\(name)"
        case .admin, .platform: name
        }
    }
}

/// Order in which rules are tried; lower first. 100...4096 for written rules, 65000 and above for the default rules,
/// 1...4096 for admin rules.
/// Source: Azure documentation, "Network security groups", table of security rule properties.
package struct Priority: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: Int
    package init(_ value: Int) { self.value = value }
    package static let written = 100...4096
    package static let ofAdminRules = 1...4096
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
    /// The address spaces of the virtual networks in a manager's group; in admin rules alone.
    case networkGroup(ResourceID)
    /// Admin rules may list tags, prefixes and groups of networks side by side.
    case either([AddressScope])
}

/// One rule of a list: of a network security group or of a network manager. Ports are never empty: "any" is one full
/// range.
package struct SecurityRule: Hashable, Sendable {
    package var id: ResourceID
    /// What the rule belongs to: its security group, or the collection of an admin rule.
    package var owner: ResourceID
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
    package var kind: RuleKind
    /// Where a written rule stands; nil for a default rule.
    package var location: SourceLocation?

    /// - Parameter owner: nil for what the id says.
    package init(
        id: ResourceID, owner: ResourceID? = nil, name: String, description: String = "", protocol: RuleProtocol,
        source: AddressScope,
        sourcePorts: [PortRange], destination: AddressScope, destinationPorts: [PortRange], access: Access,
        priority: Priority, direction: Direction, kind: RuleKind = .custom, location: SourceLocation? = nil
    ) {
        self.id = id
        self.owner = owner ?? id.parent ?? id
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
        self.kind = kind
        self.location = location
    }

    package var isDefault: Bool { kind == .default }
    package var isNoAdminRule: Bool { kind.isNoAdminRule(name) }
    package var qualifiedName: String { kind.qualifiedName(of: name) }
    package var flowLogName: String { kind.flowLogName(of: name) }
}
