import NSGConfig
import NSGModel

/// A policy of three networks' parts, valid, REST-shaped: what tests vary.
enum Documents {
    static let group =
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/lab/providers/Microsoft.Network"

    /// A rule as JSON: a valid one whose properties `changes` replaces; an empty text takes a property out.
    static func rule(_ name: String = "web", _ changes: [String: String] = [:]) -> String {
        var properties = [
            "protocol": "\"Tcp\"", "access": "\"Allow\"", "direction": "\"Inbound\"", "priority": "100",
            "sourcePortRange": "\"*\"", "destinationPortRange": "\"443\"", "sourceAddressPrefix": "\"*\"",
            "destinationAddressPrefix": "\"10.1.0.0/24\"",
        ]
        properties.merge(changes) { _, new in new }
        let members = properties.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map {
            "\"\($0.key)\": \($0.value)"
        }
        return "{\"name\": \"\(name)\", \"properties\": {\(members.joined(separator: ", "))}}"
    }

    /// A group named `web` with the rules on lines 2, 3, ….
    static func securityGroup(_ rules: [String]) -> String {
        """
        {"networkSecurityGroups": [{"name": "web", "properties": {"securityRules": [
        \(rules.joined(separator: ",\n"))
        ]}}]}
        """
    }

    static let estate = """
        {"networkSecurityGroups": [
          {"name": "web", "type": "Microsoft.Network/networkSecurityGroups", "etag": "W/1", "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": "11111111-2222-3333-4444-555555555555",
            "flushConnection": true,
            "securityRules": [
              {"name": "https", "properties": {"protocol": "TCP", "access": "allow", "direction": "inbound", "priority": 100,
                "description": "the web", "sourcePortRange": "*", "sourcePortRanges": [], "destinationPortRange": "",
                "destinationPortRanges": ["443", "8000-8010"], "sourceAddressPrefix": "INTERNET", "sourceAddressPrefixes": [],
                "destinationAddressPrefix": "", "destinationApplicationSecurityGroups": [{"id": "\(group)/applicationSecurityGroups/WEB"}]}},
              {"name": "peers", "properties": {"protocol": "*", "access": "Deny", "direction": "Outbound", "priority": 100,
                "sourcePortRange": "1024-65535", "destinationPortRange": "*", "sourceAddressPrefix": "VIRTUAL_NETWORK",
                "destinationAddressPrefixes": ["203.0.113.0/24", "198.51.100.7"]}}],
            "subnets": [{"id": "\(group)/virtualNetworks/gone/subnets/gone"}]}}],
         "virtualNetworks": [
          {"name": "lab", "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16", "fd00:1::/48"]},
            "flowTimeoutInMinutes": 4,
            "subnets": [{"name": "front", "properties": {"addressPrefixes": ["10.1.0.0/24", "fd00:1::/64"],
              "networkSecurityGroup": {"id": "\(group)/networkSecurityGroups/Web"}}},
              {"name": "back", "properties": {"addressPrefix": "10.1.1.0/24"}}],
            "virtualNetworkPeerings": [{"name": "hub", "properties": {"peeringState": "Connected",
              "allowVirtualNetworkAccess": true, "remoteVirtualNetwork": {"id": "\(group)/virtualNetworks/hub"},
              "remoteAddressSpace": {"addressPrefixes": ["10.2.0.0/16"]}}}]}}],
         "applicationSecurityGroups": [{"name": "web", "properties": {}}],
         "networkInterfaces": [
          {"name": "web1", "properties": {"macAddress": "00-0D-3A-00-00-01", "enableIPForwarding": true,
            "networkSecurityGroup": {"id": "\(group)/networkSecurityGroups/web"},
            "virtualMachine": {"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm1"},
            "ipConfigurations": [
              {"name": "second", "properties": {"primary": false, "privateIPAddress": "fd00:1::4",
                "privateIPAddressVersion": "IPv6", "subnet": {"id": "\(group)/virtualNetworks/lab/subnets/front"}}},
              {"name": "first", "properties": {"primary": true, "privateIPAddress": "10.1.0.4",
                "privateIPAddressVersion": "IPv4", "subnet": {"id": "\(group)/virtualNetworks/lab/subnets/front"},
                "applicationSecurityGroups": [{"id": "\(group)/applicationSecurityGroups/web"}]}}]}}],
         "flowLogs": [{"name": "fl", "properties": {"targetResourceId": "\(group)/networkSecurityGroups/web", "enabled": true,
            "retentionPolicy": {"days": 7, "enabled": true}, "format": {"type": "JSON", "version": 2},
            "flowAnalyticsConfiguration": {"networkWatcherFlowAnalyticsConfiguration": {"enabled": true, "workspaceId": "w",
              "workspaceRegion": "local", "workspaceResourceId": "/w", "trafficAnalyticsInterval": 60}}}}]}
        """

    /// The same as `az` prints it, with bare names and JSON5.
    static let flattened = """
        // Flattened, as `az network … list -o json` prints.
        [{name: 'web', type: 'Microsoft.Network/networkSecurityGroups', resourceGuid: "11111111-2222-3333-4444-555555555555",
          resourceGroup: "lab", flushConnection: true, securityRules: [
            {name: "https", protocol: "Tcp", access: "Allow", direction: "Inbound", priority: 100, description: "the web",
             sourcePortRange: "*", destinationPortRanges: [443, "8000-8010"], sourceAddressPrefix: "Internet",
             destinationApplicationSecurityGroups: ["web"], sourceApplicationSecurityGroups: null, resourceGroup: "lab",},
            {name: "peers", protocol: "*", access: "deny", direction: "Outbound", priority: "100",
             sourcePortRange: "1024-65535", destinationPortRange: "*", sourceAddressPrefix: "VirtualNetwork",
             destinationAddressPrefixes: ["203.0.113.0/24", "198.51.100.7/32"]}]},
         {name: "lab", type: "microsoft.network/virtualnetworks", addressSpace: {addressPrefixes: ["10.1.0.0/16", "fd00:1::/48"]},
          flowTimeoutInMinutes: 4, virtualNetworkPeerings: [{name: "hub", peeringState: "Connected",
            remoteVirtualNetwork: {id: "\(group)/virtualNetworks/hub"}, remoteAddressSpace: {addressPrefixes: ["10.2.0.0/16"]}}],
          subnets: [{name: "front", addressPrefixes: ["10.1.0.0/24", "fd00:1::/64"], networkSecurityGroup: "web"},
                    {name: "back", addressPrefix: "10.1.1.0/24", networkSecurityGroup: null}]},
         {name: "web", type: "Microsoft.Network/applicationSecurityGroups"},
         {name: "web1", type: "Microsoft.Network/networkInterfaces", macAddress: "00:0d:3a:00:00:01", enableIpForwarding: true,
          networkSecurityGroup: "WEB", _note: "ours",
          virtualMachine: {id: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm1"},
          ipConfigurations: [
            {name: "second", privateIpAddress: "fd00:1::4", privateIpAddressVersion: "IPv6", subnet: "lab/front"},
            {name: "first", primary: true, privateIpAddress: "10.1.0.4", subnet: {id: "lab/front"}, applicationSecurityGroups: ["web"]}]},
         {name: "fl", type: "Microsoft.Network/networkWatchers/flowLogs", targetResourceId: "\(group)/networkSecurityGroups/web",
          enabled: true, retentionPolicy: {days: 7, enabled: true}, format: {version: 2},
          flowAnalyticsConfiguration: {networkWatcherFlowAnalyticsConfiguration: {enabled: true, trafficAnalyticsInterval: 60}}}]
        """
}

/// The faults of a set of policy files, as `FILE: PATH: CODE` with the line; empty if there is none.
func faults(
    _ policies: [String], settings: String? = nil, bindings: String? = nil, serviceTags: String? = nil
) -> [Fault] {
    do {
        _ = try load(policies, settings: settings, bindings: bindings, serviceTags: serviceTags)
        return []
    } catch {
        return error.faults
    }
}

func load(
    _ policies: [String], settings: String? = nil, bindings: String? = nil, serviceTags: String? = nil
) throws(ConfigurationFaults) -> Configuration {
    try configuration(
        from: ConfigurationSources(
            settings: settings.map { SourceText(name: "nsgd.json", text: $0) },
            policies: policies.enumerated().map { SourceText(name: "policy.d/\($0).json", text: $1) },
            bindings: bindings.map { SourceText(name: "bindings.json", text: $0) },
            serviceTags: serviceTags.map { SourceText(name: "service-tags.json", text: $0) }))
}
