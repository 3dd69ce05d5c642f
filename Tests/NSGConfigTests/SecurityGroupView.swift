import JSONText
import NSGModel
import NetworkTypes

/// What Azure answers to `securityGroupView`, worked out from an estate (FACTS h2), as far as a recorded answer shows
/// it: how Azure words rules when it has normalised them.
struct SecurityGroupView {
    private let estate: Estate

    init(_ estate: Estate) { self.estate = estate }

    func view(of machine: ResourceID) -> JSONValue {
        let interfaces = estate.networkInterfaces.values.filter { $0.virtualMachine == machine }.sorted {
            $0.id < $1.id
        }
        return ["networkInterfaces": JSONValue(interfaces.map { view(of: $0) })]
    }

    private func view(of interface: NetworkInterface) -> JSONValue {
        var parts: [(String, JSONValue)] = []
        let own = interface.networkSecurityGroup.flatMap { estate.networkSecurityGroups[$0] }
        let subnet = interface.ipConfigurations.first.flatMap { estate.subnet($0.subnet) }
        let outer = subnet?.networkSecurityGroup.flatMap { estate.networkSecurityGroups[$0] }
        // The side without a group is absent.
        if let own { parts.append(("networkInterfaceAssociation", association(interface.id, own))) }
        if let subnet, let outer { parts.append(("subnetAssociation", association(subnet.id, outer))) }
        let nowhere = ResourceID("/subscriptions//resourceGroups//providers/Microsoft.Network/networkSecurityGroups/")
        let defaults = NetworkSecurityGroup.defaultRules(of: nowhere)
        // In 2018 the id ended without the name.
        parts.append(
            ("defaultSecurityRules", JSONValue(defaults.map { asWritten($0, id: "\(nowhere)/defaultSecurityRules/") })))
        let groups = [outer, own].compactMap(\.self)
        parts.append(
            ("effectiveSecurityRules", JSONValue([.outbound, .inbound].flatMap { effective(groups, $0) })))
        return [
            "id": JSONValue(interface.id.description),
            "securityRuleAssociations": JSONValue(object: parts),
        ]
    }

    private func association(_ id: ResourceID, _ group: NetworkSecurityGroup) -> JSONValue {
        let rules = group.securityRules.map { asWritten($0, id: $0.id.description) }
        return ["id": JSONValue(id.description), "securityRules": JSONValue(rules)]
    }

    /// A rule as in its security group.
    private func asWritten(_ rule: SecurityRule, id: String) -> JSONValue {
        [
            "name": JSONValue(rule.name), "id": JSONValue(id),
            "properties": [
                "provisioningState": "Succeeded", "description": JSONValue(rule.description),
                "protocol": JSONValue(rule.protocol.rawValue), "sourcePortRange": "*", "destinationPortRange": "*",
                "sourceAddressPrefix": JSONValue(addresses(rule.source, any: "*")[0]),
                "destinationAddressPrefix": JSONValue(addresses(rule.destination, any: "*")[0]),
                "access": JSONValue(rule.access.rawValue), "priority": JSONValue(rule.priority.value),
                "direction": JSONValue(rule.direction.rawValue), "sourcePortRanges": [], "destinationPortRanges": [],
                "sourceAddressPrefixes": [], "destinationAddressPrefixes": [],
            ],
        ]
    }

    /// The rule of the port without any group, the default rules, then the written ones.
    private func effective(_ groups: [NetworkSecurityGroup], _ direction: Direction) -> [JSONValue] {
        let rules = groups.flatMap { $0.rules(direction) }
        let port = SecurityRule(
            id: ResourceID(""), name: "Default\(direction.rawValue)DenyAll", protocol: .any, source: .any,
            sourcePorts: [.any], destination: .any, destinationPorts: [.any], access: .deny, priority: Priority(65500),
            direction: direction)
        return [normalised(port, name: port.name, any: "*")]
            + (rules.filter(\.isDefault) + rules.filter { !$0.isDefault }).map {
                normalised($0, name: $0.flowLogName, any: "0.0.0.0/0")
            }
    }

    private func normalised(_ rule: SecurityRule, name: String, any: String) -> JSONValue {
        func ports(_ ranges: [PortRange]) -> [String] {
            ranges.map { "\($0.bounds.lowerBound)-\($0.bounds.upperBound)" }
        }
        func list(_ texts: [String]) -> JSONValue { JSONValue(texts.map { JSONValue($0) }) }
        let (sourcePorts, destinationPorts) = (ports(rule.sourcePorts), ports(rule.destinationPorts))
        let (sources, destinations) = (addresses(rule.source, any: any), addresses(rule.destination, any: any))
        return [
            "name": JSONValue(name), "protocol": JSONValue(rule.protocol == .any ? "All" : rule.protocol.rawValue),
            "sourcePortRange": JSONValue(sourcePorts[0]), "destinationPortRange": JSONValue(destinationPorts[0]),
            "sourcePortRanges": list(sourcePorts), "destinationPortRanges": list(destinationPorts),
            "sourceAddressPrefix": JSONValue(sources[0]), "destinationAddressPrefix": JSONValue(destinations[0]),
            "sourceAddressPrefixes": list(sources), "destinationAddressPrefixes": list(destinations),
            "access": JSONValue(rule.access.rawValue), "priority": JSONValue(rule.priority.value),
            "direction": JSONValue(rule.direction.rawValue),
        ]
    }

    private func addresses(_ scope: AddressScope, any: String) -> [String] {
        switch scope {
        case .any: [any]
        case .prefixes(let prefixes): prefixes.map(\.description)
        case .serviceTag(let tag): [tag.description]
        case .applicationSecurityGroups(let groups): groups.map(\.description)
        case .networkGroup, .either: [any]
        }
    }
}

extension JSONValue {
    /// The same with the members of objects in order of their keys: Azure's order is not part of the answer.
    var sorted: JSONValue {
        switch kind {
        case .object(let members):
            JSONValue(
                .object(
                    members.sorted { $0.key < $1.key }.map { Member(key: $0.key, value: $0.value.sorted) }))
        case .array(let elements): JSONValue(.array(elements.map(\.sorted)))
        default: self
        }
    }
}
