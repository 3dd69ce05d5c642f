import JSONText

/// The documents of a test's estate: one virtual network `lab` (10.1.0.0/16, fd00:1::/48), printed as an operator would
/// write them, in the shape of Azure's REST interface with bare names for ids.
struct EstateDocuments {
    struct Rule {
        var name: String
        var priority: Int
        var direction = "Inbound"
        var access = "Allow"
        var transport = "*"
        var source: [String] = ["*"]
        var destination: [String] = ["*"]
        var port = "*"
        /// Application security groups, which take the place of a side's addresses.
        var sourceGroups: [String] = []
        var destinationGroups: [String] = []

        /// `Rule("web", 100, .allow, "Tcp", "80")`
        static func allow(
            _ name: String, _ priority: Int, _ transport: String = "*", _ port: String = "*",
            from source: [String] = ["*"], to destination: [String] = ["*"], direction: String = "Inbound"
        ) -> Self {
            Self(
                name: name, priority: priority, direction: direction, transport: transport, source: source,
                destination: destination, port: port)
        }

        static func deny(
            _ name: String, _ priority: Int, _ transport: String = "*", _ port: String = "*",
            from source: [String] = ["*"], to destination: [String] = ["*"], direction: String = "Inbound"
        ) -> Self {
            Self(
                name: name, priority: priority, direction: direction, access: "Deny", transport: transport,
                source: source, destination: destination, port: port)
        }

        var outbound: Self {
            var rule = self
            rule.direction = "Outbound"
            return rule
        }

        func from(groups: String...) -> Self {
            var rule = self
            rule.sourceGroups = groups
            return rule
        }

        func to(groups: String...) -> Self {
            var rule = self
            rule.destinationGroups = groups
            return rule
        }

        var json: JSONValue {
            [
                "name": JSONValue(name),
                "properties": JSONValue(object: [
                    ("priority", JSONValue(priority)), ("direction", JSONValue(direction)),
                    ("access", JSONValue(access)),
                    ("protocol", JSONValue(transport)), ("sourcePortRange", "*"),
                    ("destinationPortRange", JSONValue(port)),
                    side("source", source, sourceGroups), side("destination", destination, destinationGroups),
                ]),
            ]
        }

        /// As a rule of a network manager.
        var adminJSON: JSONValue {
            let anywhere: JSONValue = [["addressPrefix": "*", "addressPrefixType": "IPPrefix"]]
            return [
                "name": JSONValue(name), "kind": "Custom",
                "properties": JSONValue(object: [
                    ("priority", JSONValue(priority)), ("direction", JSONValue(direction)),
                    ("access", JSONValue(access)), ("protocol", JSONValue(transport)), ("sources", anywhere),
                    ("destinations", anywhere), ("sourcePortRanges", ["0-65535"]),
                    ("destinationPortRanges", [JSONValue(port)]),
                ]),
            ]
        }

        private func side(_ name: String, _ prefixes: [String], _ groups: [String]) -> (String, JSONValue) {
            if !groups.isEmpty {
                return ("\(name)ApplicationSecurityGroups", JSONValue(groups.map { JSONValue($0) }))
            }
            return prefixes.count == 1
                ? ("\(name)AddressPrefix", JSONValue(prefixes[0]))
                : ("\(name)AddressPrefixes", JSONValue(prefixes.map { JSONValue($0) }))
        }
    }

    struct Interface {
        var name: String
        var addresses: [String]
        /// Of `lab`, or `network/subnet`.
        var subnet: String
        var group: String?
        var device: String
        var attachment = "guest"
        /// Application security groups, by the places of the addresses.
        var memberships: [Int: [String]] = [:]
        /// Beside the usual ones, such as `enableIPForwarding`.
        var properties: [(String, JSONValue)] = []
    }

    var groups: [String: [Rule]] = [:]
    /// Groups with `flushConnection` on.
    var flushing: Set<String> = []
    /// `flowTimeoutInMinutes` of the virtual network.
    var flowTimeout: Int?
    /// Subnets by name, with the third number of their prefix (10.1.N.0/24, fd00:1:0:N::/64) and their group.
    var subnets: [String: (number: Int, group: String?)] = [:]
    /// Properties of subnets beside their prefixes and groups.
    var subnetProperties: [String: [(String, JSONValue)]] = [:]
    /// Properties of `lab` beside its address space and subnets.
    var networkProperties: [(String, JSONValue)] = []
    var interfaces: [Interface] = []
    /// Resources beside these, by kind.
    var resources: [(String, JSONValue)] = []
    /// Of `nsgd.json`, beside `flowLogs`, `control` and `platform`.
    var settings: [(String, JSONValue)] = []
    /// Of `flowLogs`; records a second, so that no test waits long.
    var flowLogs: [(String, JSONValue)] = [("interval", 1)]
    /// Of network manager `central`, whose group holds the network.
    var adminRules: [Rule] = []
    /// `platform` in `nsgd.json`.
    var platform: [(String, JSONValue)] = []

    /// Files by their paths in the folder of documents.
    var files: [String: String] {
        var files = [
            "policy.d/10-groups.json": JSONValue(object: [("networkSecurityGroups", JSONValue(groupList))]).text(),
            "policy.d/20-network.json": network.text(), "bindings.json": bindings.text(),
            "policy.d/30-resources.json": JSONValue(object: resources).text(),
            "nsgd.json": JSONValue(
                object: [
                    ("flowLogs", JSONValue(object: flowLogs)), ("control", ["group": "root", "adminGroup": "root"]),
                    ("platform", JSONValue(object: platform)),
                ] + settings
            ).text(),
        ]
        if !adminRules.isEmpty {
            files["policy.d/40-manager.json"] = JSONValue(object: [("networkManagers", [manager])]).text()
        }
        return files
    }

    static let manager =
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/lab/providers/Microsoft.Network/networkManagers/central"
    static let managerGUID = "6f1d0c4e-2b7a-4c55-9a51-0d6f5a3c7e10"

    private var manager: JSONValue {
        let collection: JSONValue = [
            "name": "baseline",
            "properties": ["appliesToGroups": [["networkGroupId": JSONValue("\(Self.manager)/networkGroups/all")]]],
            "rules": JSONValue(adminRules.map(\.adminJSON)),
        ]
        return [
            "name": "central", "id": JSONValue(Self.manager),
            "properties": ["resourceGuid": JSONValue(Self.managerGUID)],
            "networkGroups": [["name": "all", "staticMembers": ["lab"]]],
            "securityAdminConfigurations": [["name": "all", "ruleCollections": [collection]]],
        ]
    }

    private var groupList: [JSONValue] {
        groups.sorted { $0.key < $1.key }.map { name, rules in
            [
                "name": JSONValue(name),
                "properties": [
                    "securityRules": JSONValue(rules.map(\.json)),
                    "flushConnection": JSONValue(flushing.contains(name)),
                ],
            ]
        }
    }

    private var network: JSONValue {
        let subnetList = subnets.sorted { $0.key < $1.key }.map { name, subnet -> JSONValue in
            var properties: [(String, JSONValue)] = [
                (
                    "addressPrefixes",
                    [JSONValue("10.1.\(subnet.number).0/24"), JSONValue("fd00:1:0:\(subnet.number)::/64")]
                )
            ]
            if let group = subnet.group { properties.append(("networkSecurityGroup", JSONValue(group))) }
            properties += subnetProperties[name] ?? []
            return ["name": JSONValue(name), "properties": JSONValue(object: properties)]
        }
        var properties: [(String, JSONValue)] = [
            ("addressSpace", ["addressPrefixes": ["10.1.0.0/16", "fd00:1::/48"]]),
            ("subnets", JSONValue(subnetList)),
        ]
        if let flowTimeout { properties.append(("flowTimeoutInMinutes", JSONValue(flowTimeout))) }
        properties += networkProperties
        return [
            "virtualNetworks": [["name": "lab", "properties": JSONValue(object: properties)]],
            "networkInterfaces": JSONValue(interfaces.map(\.json)),
        ]
    }

    private var bindings: JSONValue {
        let members = interfaces.map { interface -> (String, JSONValue) in
            (
                interface.name,
                ["interface": JSONValue(interface.device), "attachment": JSONValue(interface.attachment)]
            )
        }
        return ["networkInterfaces": JSONValue(object: members)]
    }
}

extension EstateDocuments.Interface {
    fileprivate var json: JSONValue {
        let configurations = addresses.enumerated().map { index, address -> JSONValue in
            var properties: [(String, JSONValue)] = [
                ("privateIPAddress", JSONValue(address)),
                ("privateIPAddressVersion", address.contains(":") ? "IPv6" : "IPv4"),
                ("primary", JSONValue(index == 0)),
                ("subnet", JSONValue(subnet.contains("/") ? subnet : "lab/\(subnet)")),
            ]
            if let groups = memberships[index] {
                properties.append(("applicationSecurityGroups", JSONValue(groups.map { JSONValue($0) })))
            }
            return ["name": JSONValue("address\(index)"), "properties": JSONValue(object: properties)]
        }
        var properties = [("ipConfigurations", JSONValue(configurations))] + self.properties
        if let group { properties.append(("networkSecurityGroup", JSONValue(group))) }
        return ["name": JSONValue(name), "properties": JSONValue(object: properties)]
    }
}

extension EstateDocuments {
    /// Machines `a`, `b`, … in one subnet whose group is `front`, each behind a veth named `va`, `vb`, ….
    static func guests(_ names: String..., rules: [Rule], outbound: [Rule] = []) -> Self {
        var estate = Self()
        estate.groups = ["front": rules + outbound]
        estate.subnets = ["front": (0, "front")]
        estate.interfaces = names.enumerated().map { index, name in
            Interface(
                name: name, addresses: ["10.1.0.\(4 + index)", "fd00:1::\(4 + index)"], subnet: "front",
                device: "v\(name)")
        }
        return estate
    }
}
