import JSONText
import NSGConfig
import NSGModel
import NetworkTypes
import Testing

@Suite("FACTS f, j: subnets and interfaces of services")
struct ServiceSubnetTests {
    private func subnet(_ name: String, _ more: String = "") throws -> (VirtualNetwork, Subnet) {
        let text = """
            {virtualNetworks: [{name: 'lab', properties: {addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [
             {name: '\(name)', properties: {addressPrefix: '10.1.0.0/24', privateLinkServiceNetworkPolicies: 'Enabled'\(more)}}]}}]}
            """
        let network = try #require(try load([text]).estate.virtualNetworks.values.first)
        return (network, try #require(network.subnets.first))
    }

    @Test("C5: a network interface lies in one subnet, and a peering has one of Azure's states")
    func oneSubnet() {
        let text = """
            {virtualNetworks: [{name: 'lab', properties: {addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [
              {name: 'a', properties: {addressPrefix: '10.1.0.0/24'}}, {name: 'b', properties: {addressPrefix: '10.1.1.0/24'}}],
              virtualNetworkPeerings: [{name: 'p', properties: {peeringState: 'STATE', remoteVirtualNetwork: 'lab'}}]}}],
             networkInterfaces: [{name: 'n', properties: {ipConfigurations: [
              {name: 'one', properties: {privateIPAddress: '10.1.0.4', subnet: 'lab/a'}},
              {name: 'two', properties: {privateIPAddress: '10.1.NET.5', subnet: 'lab/SUBNET'}}]}}]}
            """
        func codes(_ state: String, _ net: String, _ subnet: String) -> [String] {
            let text = text.replacing("STATE", with: state).replacing("SUBNET", with: subnet)
                .replacing("NET", with: net)
            return faults([text]).map(\.code)
        }
        #expect(codes("connected", "0", "a") == [])
        #expect(codes("Connected", "1", "b") == ["IpConfigurationsOnSameNicCannotUseDifferentSubnets"])
        #expect(codes("Conected", "0", "a") == ["UnknownValue"])
    }

    @Test(
        "S14: privateEndpointNetworkPolicies",
        arguments: [
            ("", false), (", privateEndpointNetworkPolicies: 'Disabled'", false),
            (", privateEndpointNetworkPolicies: 'enabled'", true),
            (", privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'", true),
            (", privateEndpointNetworkPolicies: 'RouteTableEnabled'", false),
        ])
    func endpointPolicies(more: String, filters: Bool) throws {
        #expect(try subnet("front", more).1.filtersPrivateEndpoints == filters)
    }

    @Test(
        "S8: subnets that admin rules leave alone",
        arguments: [
            ("front", "", true), ("GatewaySubnet", "", false), ("azurebastionsubnet", "", false),
            ("AzureFirewallSubnet", "", false), ("AzureFirewallManagementSubnet", "", false),
            ("RouteServerSubnet", "", false), ("gw", ", applicationGatewayIPConfigurations: [{id: '/x'}]", false),
            ("gw", ", applicationGatewayIPConfigurations: []", true),
            (
                "gw",
                ", delegations: [{name: 'd', properties: {serviceName: 'microsoft.network/applicationGateways'}}]",
                false
            ),
            ("front", ", delegations: [{name: 'd', properties: {serviceName: 'Microsoft.Web/serverFarms'}}]", true),
        ])
    func adminRules(name: String, more: String, takes: Bool) throws {
        let found = try subnet(name, more)
        #expect(found.1.takesAdminRules == takes)
        #expect(!found.0.hostsIntentPolicyServices)
    }

    @Test(
        "S8: networks with intent policies",
        arguments: ["Microsoft.Sql/managedInstances", "Microsoft.Databricks/workspaces"])
    func intentPolicies(service: String) throws {
        let found = try subnet(
            "mi", ", delegations: [{name: 'd', properties: {serviceName: '\(service)', actions: []}}]")
        #expect(found.0.hostsIntentPolicyServices && found.1.takesAdminRules)
    }

    @Test("S14, C6: blockOutboundSmtp reaches the estate")
    func smtp() throws {
        #expect(try load([], settings: "{platform: {blockOutboundSmtp: true}}").estate.blocksOutboundSMTP)
        #expect(try !load([]).estate.blocksOutboundSMTP)
    }
}
