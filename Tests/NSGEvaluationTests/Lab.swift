import NSGEvaluation
import NSGModel
import NetworkTypes
import TestSupport

/// Small estates by hand: networks `one` (10.1.0.0/16, fd00:1::/48) and `two` (10.2.0.0/16), a subnet `s` in each.
struct Lab {
    var estate = Estate()

    init() {
        for (name, prefixes) in [("one", ["10.1.0.0/16", "fd00:1::/48"]), ("two", ["10.2.0.0/16"])] {
            let id = testID("virtualNetworks", name)
            let prefixes = prefixes.compactMap { IPPrefix($0) }
            estate.virtualNetworks[id] = VirtualNetwork(
                id: id, guid: UUID(named: name), addressSpace: prefixes,
                subnets: [Subnet(id: id.child("subnets", "s"), prefixes: prefixes)])
        }
    }

    static func network(_ name: String) -> ResourceID { testID("virtualNetworks", name) }
    static func nic(_ name: String) -> ResourceID { testID("networkInterfaces", name) }
    static func asg(_ name: String) -> ResourceID { testID("applicationSecurityGroups", name) }

    mutating func group(_ name: String, _ rules: SecurityRule...) {
        let id = testID("networkSecurityGroups", name)
        estate.networkSecurityGroups[id] = NetworkSecurityGroup(id: id, guid: UUID(named: name), securityRules: rules)
    }

    mutating func interface(
        _ name: String, _ address: String, in network: String = "one", group: String? = nil, asgs: String...
    ) {
        let subnet = Self.network(network).child("subnets", "s")
        estate.networkInterfaces[Self.nic(name)] = NetworkInterface(
            id: Self.nic(name), networkSecurityGroup: group.map { testID("networkSecurityGroups", $0) },
            ipConfigurations: [
                IPConfiguration(
                    name: "ip", address: IPAddress(address), subnet: subnet,
                    applicationSecurityGroups: asgs.map { Self.asg($0) })
            ])
        for asg in asgs {
            estate.applicationSecurityGroups[Self.asg(asg)] = ApplicationSecurityGroup(id: Self.asg(asg))
        }
    }

    mutating func guardSubnet(of network: String, with group: String) {
        estate.virtualNetworks[Self.network(network)]?.subnets[0].networkSecurityGroup = testID(
            "networkSecurityGroups", group)
    }

    func decision(_ flow: FlowTuple, at name: String, _ direction: Direction) -> Decision {
        Evaluator(PolicyBook(estate)).decision(for: flow, at: Self.nic(name), direction)
    }

    /// The name of the rule that answers, "" where no group is present.
    func ruleName(_ flow: FlowTuple, at name: String, _ direction: Direction) -> String {
        decision(flow, at: name, direction).deciding?.rule.name ?? ""
    }
}

/// A rule with Azure's words; addresses are `*`, a prefix list or a tag.
func rule(
    _ name: String, _ priority: Int, _ direction: Direction = .inbound, _ access: Access,
    _ proto: RuleProtocol = .any, from source: AddressScope = .any, sourcePorts: String = "*",
    to destination: AddressScope = .any, ports destinationPorts: String = "*"
) -> SecurityRule {
    let read = { (text: String) in text.split(separator: ",").compactMap { PortRange($0) } }
    return SecurityRule(
        id: testID("networkSecurityGroups", "g").child("securityRules", name), name: name, protocol: proto,
        source: source,
        sourcePorts: read(sourcePorts), destination: destination, destinationPorts: read(destinationPorts),
        access: access,
        priority: Priority(priority), direction: direction)
}

extension AddressScope {
    static func at(_ texts: String...) -> AddressScope { .prefixes(texts.compactMap { IPPrefix($0) }) }
    static func tag(_ name: String) -> AddressScope { .serviceTag(ServiceTag(name)) }
    static func asg(_ names: String...) -> AddressScope { .applicationSecurityGroups(names.map { Lab.asg($0) }) }
}

/// `tcp 10.1.0.4 5000 10.2.0.4 443`; for ICMP the type stands behind the addresses.
func flow(_ text: String) throws -> FlowTuple {
    let words = text.split(separator: " ")
    guard let proto = words.first.flatMap({ IPProtocol($0) }) else { throw BadFlow(text: text) }
    if proto.hasPorts {
        guard words.count == 5, let source = IPAddress(words[1]), let destination = IPAddress(words[3]) else {
            throw BadFlow(text: text)
        }
        return FlowTuple(
            protocol: proto, source: source, destination: destination, sourcePort: UInt16(words[2]),
            destinationPort: UInt16(words[4]))
    }
    guard words.count >= 3, let source = IPAddress(words[1]), let destination = IPAddress(words[2]) else {
        throw BadFlow(text: text)
    }
    return FlowTuple(
        protocol: proto, source: source, destination: destination, icmpType: words.count > 3 ? UInt8(words[3]) : nil)
}

struct BadFlow: Error { var text: String }
