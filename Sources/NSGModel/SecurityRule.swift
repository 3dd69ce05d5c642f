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
///
/// Copies share what they hold until one is changed: documents, policies and their lists all have the same rules.
package struct SecurityRule: Sendable {
    private struct Content: Hashable, Sendable {
        /// Nil for what owner, kind and name make it.
        var writtenID: ResourceID?
        var owner: ResourceID
        var name: String
        var description: String
        var `protocol`: RuleProtocol
        var access: Access
        var direction: Direction
        var kind: RuleKind
        var priority: Priority
        var source: AddressScope
        var sourcePorts: [PortRange]
        var destination: AddressScope
        var destinationPorts: [PortRange]
        var location: SourceLocation?
    }

    private final class Shared: Sendable {
        let content: Content
        init(_ content: Content) { self.content = content }
    }

    private var shared: Shared
    private var content: Content { shared.content }

    private mutating func change(_ edit: (inout Content) -> Void) {
        var content = content
        edit(&content)
        shared = Shared(content)
    }

    /// - Parameter owner: nil for what the id says.
    package init(
        id: ResourceID, owner: ResourceID? = nil, name: String, description: String = "", protocol: RuleProtocol,
        source: AddressScope,
        sourcePorts: [PortRange], destination: AddressScope, destinationPorts: [PortRange], access: Access,
        priority: Priority, direction: Direction, kind: RuleKind = .custom, location: SourceLocation? = nil
    ) {
        let owner = owner ?? id.parent ?? id
        self.init(
            writtenID: id.description == Self.id(name, kind, in: owner)?.description ? nil : id, owner: owner,
            name: name,
            description: description, protocol: `protocol`, source: source, sourcePorts: sourcePorts,
            destination: destination, destinationPorts: destinationPorts, access: access, priority: priority,
            direction: direction, kind: kind, location: location)
    }

    /// - Parameter writtenID: nil where it is what owner, kind and name make it, letter by letter.
    package init(
        writtenID: ResourceID?, owner: ResourceID, name: String, description: String = "", protocol: RuleProtocol,
        source: AddressScope,
        sourcePorts: [PortRange], destination: AddressScope, destinationPorts: [PortRange], access: Access,
        priority: Priority, direction: Direction, kind: RuleKind = .custom, location: SourceLocation? = nil
    ) {
        shared = Shared(
            Content(
                writtenID: writtenID, owner: owner, name: name, description: description, protocol: `protocol`,
                access: access, direction: direction, kind: kind, priority: priority, source: source,
                sourcePorts: sourcePorts, destination: destination, destinationPorts: destinationPorts,
                location: location))
    }

    /// Nil where it is what owner, kind and name make it.
    package var writtenID: ResourceID? { content.writtenID }
    /// As written, or made of the owner's, as most are: of ten thousand rules the texts would take most of the memory.
    package var id: ResourceID { content.writtenID ?? Self.id(name, kind, in: owner) ?? owner }

    /// Nil for what belongs to nothing that has an id.
    private static func id(_ name: String, _ kind: RuleKind, in owner: ResourceID) -> ResourceID? {
        switch kind {
        case .custom: owner.child("securityRules", name)
        case .default: owner.child("defaultSecurityRules", name)
        case .admin: owner.child("rules", name)
        case .platform: nil
        }
    }

    /// What the rule belongs to: its security group, or the collection of an admin rule.
    package var owner: ResourceID { content.owner }
    package var kind: RuleKind { content.kind }

    package var name: String {
        get { content.name }
        set { change { $0.name = newValue } }
    }
    package var description: String {
        get { content.description }
        set { change { $0.description = newValue } }
    }
    package var `protocol`: RuleProtocol {
        get { content.protocol }
        set { change { $0.protocol = newValue } }
    }
    package var source: AddressScope {
        get { content.source }
        set { change { $0.source = newValue } }
    }
    package var sourcePorts: [PortRange] {
        get { content.sourcePorts }
        set { change { $0.sourcePorts = newValue } }
    }
    package var destination: AddressScope {
        get { content.destination }
        set { change { $0.destination = newValue } }
    }
    package var destinationPorts: [PortRange] {
        get { content.destinationPorts }
        set { change { $0.destinationPorts = newValue } }
    }
    package var access: Access {
        get { content.access }
        set { change { $0.access = newValue } }
    }
    package var priority: Priority {
        get { content.priority }
        set { change { $0.priority = newValue } }
    }
    package var direction: Direction {
        get { content.direction }
        set { change { $0.direction = newValue } }
    }
    /// Where a written rule stands; nil for a default rule.
    package var location: SourceLocation? {
        get { content.location }
        set { change { $0.location = newValue } }
    }

    package var isDefault: Bool { kind == .default }
    package var isNoAdminRule: Bool { kind.isNoAdminRule(name) }
    package var qualifiedName: String { kind.qualifiedName(of: name) }
    package var flowLogName: String { kind.flowLogName(of: name) }
}

extension SecurityRule: Hashable {
    package static func == (left: Self, right: Self) -> Bool {
        left.shared === right.shared || left.content == right.content
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(content) }

    /// Whether the rules differ at most in their descriptions, and in where they stand in documents.
    package func isEqualButForRemarks(to other: SecurityRule) -> Bool {
        if shared === other.shared { return true }
        var (mine, others) = (content, other.content)
        (mine.description, others.description) = ("", "")
        (mine.location, others.location) = (nil, nil)
        return mine == others
    }
}
