import JSONText
import NSGConfig
import NSGModel
import NetworkTypes
import Testing

@Suite("S9, S10: route tables")
struct RouteTableTests {
    private static let network = """
        {virtualNetworks: [{name: 'lab', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [
          {name: 'front', addressPrefix: '10.1.0.0/24', routeTable: {id: '\(Documents.group)/routeTables/T'}},
          {name: 'back', addressPrefix: '10.1.1.0/24', routeTable: 't'}, {name: 'plain', addressPrefix: '10.1.2.0/24', routeTable: null}]},
         {name: 'other', addressSpace: {addressPrefixes: ['10.2.0.0/16']}, subnets: [{name: 'only', addressPrefix: '10.2.0.0/24'}]}]}
        """

    private static func table(_ routes: [(String, String)]) -> String {
        let list = routes.enumerated().map { index, route in
            "{name: 'r\(index)', addressPrefix: '\(route.0)', nextHopType: '\(route.1)', nextHopIpAddress: '10.1.0.9'}"
        }
        return
            "{routeTables: [{name: 't', disableBgpRoutePropagation: false, routes: [\(list.joined(separator: ", "))]}]}"
    }

    private func network(_ table: String, settings: String? = nil) throws -> VirtualNetwork {
        let networks = try load([Self.network, table], settings: settings).estate.virtualNetworks.values
        #expect(networks.first { $0.name == "other" }?.furtherPrefixes == [])
        return try #require(networks.first { $0.name == "lab" })
    }

    @Test("FACTS d1: what leads elsewhere belongs to VirtualNetwork")
    func prefixes() throws {
        let routes = [
            ("172.16.0.0/12", "VirtualAppliance"), ("192.168.0.0/16", "virtualnetworkgateway"),
            ("203.0.113.0/24", "Internet"), ("198.51.100.0/24", "None"), ("fd00:9::/32", "VirtualNetworkGateway"),
            ("172.16.0.0/12", "VirtualNetworkGateway"), ("AzureMonitor", "Internet"),
        ]
        let lab = try network(Self.table(routes), settings: "{onPremisesPrefixes: {lab: ['192.0.2.0/24']}}")
        #expect(
            lab.furtherPrefixes.map(\.description) == [
                "192.0.2.0/24", "172.16.0.0/12", "192.168.0.0/16", "fd00:9::/32",
            ])
        #expect(lab.subnets.allSatisfy { !$0.divertsDefaultRoute })
        let notes = try load([Self.network, Self.table(routes)]).notes
        #expect(notes.count == 1 && notes.first?.contains("AzureMonitor") == true)
    }

    @Test(
        "a default route that leads elsewhere",
        arguments: [
            ("VirtualAppliance", true, ["0.0.0.0/0"]), ("None", true, []), ("Internet", false, []),
        ] as [(String, Bool, [String])])
    func defaultRoute(hop: String, diverts: Bool, prefixes: [String]) throws {
        let lab = try network(Self.table([("0.0.0.0/0", hop)]))
        #expect(lab.furtherPrefixes.map(\.description) == prefixes)
        #expect(lab.subnets.map(\.divertsDefaultRoute) == [diverts, diverts, false])
    }

    @Test("C1: routes beside their table")
    func children() throws {
        let template = """
            {resources: [
             {type: 'Microsoft.Network/routeTables/routes', name: 't/a', properties: {addressPrefix: '172.16.0.0/12', nextHopType: 'VnetLocal'}},
             {type: 'Microsoft.Network/routeTables', name: 't', properties: {}, resources: [
               {type: 'routes', name: 'b', properties: {addressPrefix: '192.168.0.0/16', nextHopType: 'VirtualAppliance'}}]},
             {id: '\(Documents.group)/routeTables/t/routes/c', properties: {addressPrefix: '198.51.100.0/24', nextHopType: 'VnetLocal'}}]}
            """
        let found = try network(template).furtherPrefixes.map(\.description)
        #expect(Set(found) == ["172.16.0.0/12", "192.168.0.0/16", "198.51.100.0/24"])
    }

    static let faulty: [(String, [String])] = [
        (table([("10.0.0.1/8", "VnetLocal")]), ["InvalidCIDRNotation"]),
        (table([("10.0.0.0/8", "Elsewhere")]), ["UnknownValue"]),
        ("{routeTables: [{name: 't', routs: []}]}", ["UnknownProperty"]),
        ("{routeTables: [{name: 't', routes: [{name: 'a', nextHopType: 'None'}]}]}", ["MissingProperty"]),
        ("{routeTables: [{name: 't', subnets: [{id: '/dangling'}]}]}", []),
        ("{routeTables: [{name: 'u'}]}", ["UnknownReference"]),
    ]

    @Test("C5: what routes may say", arguments: faulty)
    func refuses(text: String, codes: [String]) {
        #expect(faults([Self.network, text]).map(\.code) == codes)
    }

    @Test("an id of a table that no document holds is a note")
    func tableElsewhere() throws {
        let loaded = try load([Self.network.replacing("routeTable: 't'", with: "routeTable: null")])
        #expect(loaded.notes.count == 1 && loaded.notes.first?.contains("subnets[0].routeTable") == true)
    }
}

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

@Suite("C1: virtual machines and load balancers")
struct VirtualMachineTests {
    private static let machines = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines"

    private static func policy(interface: String = "", more: String) -> String {
        """
        {virtualNetworks: [{name: 'lab', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 'front', addressPrefix: '10.1.0.0/24'}]}],
         networkInterfaces: [{name: 'n', ipConfigurations: [{name: 'a', subnet: 'front', privateIPAddress: '10.1.0.4'}]\(interface)}], \(more)}
        """
    }

    /// As `az vm list` prints one.
    private static let vm = """
        {id: '\(machines)/vm1', name: 'vm1', type: 'Microsoft.Compute/virtualMachines', location: 'local', resources: null,
         hardwareProfile: {vmSize: 'Standard_B1s'}, storageProfile: {osDisk: {}}, vmId: 'x', plan: null, networkProfile: {networkApiVersion: null,
         networkInterfaces: [{id: '\(Documents.group)/networkInterfaces/N', primary: null, resourceGroup: 'lab'},
          {id: '\(Documents.group)/networkInterfaces/elsewhere', properties: {primary: false, deleteOption: 'Detach'}}]}}
        """

    private func owner(_ text: String) throws -> (ResourceID?, [String]) {
        let loaded = try load([text])
        return (loaded.estate.networkInterfaces.values.first?.virtualMachine, loaded.notes)
    }

    @Test("the machine names its interfaces")
    func owns() throws {
        let found = try owner(Self.policy(more: "virtualMachines: [\(Self.vm)]"))
        #expect(found.0 == ResourceID("\(Self.machines)/vm1") && found.1 == [])
    }

    @Test("the machine's side holds against the interface's back reference, with a note")
    func contradiction() throws {
        let written = ", virtualMachine: {id: '\(Self.machines)/vm2'}"
        let found = try owner(Self.policy(interface: written, more: "virtualMachines: [\(Self.vm)]"))
        #expect(found.0 == ResourceID("\(Self.machines)/vm1"))
        #expect(found.1.count == 1 && found.1.first?.contains("back reference") == true)
    }

    @Test("a bare name fits a machine of the documents")
    func bareName() throws {
        let machine = "virtualMachines: [{id: '\(Self.machines)/vm9'}]"
        let found = try owner(Self.policy(interface: ", virtualMachine: 'VM9'", more: machine))
        #expect(found.0 == ResourceID("\(Self.machines)/vm9"))
        let unknown = try owner(Self.policy(interface: ", virtualMachine: 'vm8'", more: machine))
        #expect(
            unknown.0?.description.hasSuffix("/resourceGroups/lab/providers/Microsoft.Compute/virtualMachines/vm8")
                == true)
    }

    static let faulty: [(String, [String])] = [
        ("virtualMachines: [{name: 'v', networkProfile: {networkInterfaces: ['m']}}]", ["UnknownReference"]),
        ("virtualMachines: [{name: 'v', networkProfil: {}}]", ["UnknownProperty"]),
        (
            "virtualMachines: [\(vm), {name: 'w', networkProfile: {networkInterfaces: ['n']}}]",
            ["ConflictingProperties"]
        ),
        ("virtualMachines: [{id: '\(Documents.group)/virtualMachines/v'}]", ["InvalidResourceId"]),
        ("loadBalancers: [{name: 'lb', properties: {backendAddressPools: [{id: '/x'}], sku2: 1}}]", []),
        ("loadBalancers: [{name: 'lb', loadBalancingRuls: []}]", ["UnknownProperty"]),
        ("loadBalancers: [{name: 'lb'}, {name: 'LB'}]", ["DuplicateResource"]),
        ("virtualMachnes: []", ["UnknownProperty"]),
    ]

    @Test("C1, C5: what they may say", arguments: faulty)
    func refuses(more: String, codes: [String]) {
        #expect(faults([Self.policy(more: more)]).map(\.code) == codes)
    }

    @Test("S14: the interface of a private endpoint")
    func privateEndpoint() throws {
        let text = Self.policy(interface: ", privateEndpoint: {id: '/pe'}, macAddress: ''", more: "loadBalancers: []")
        #expect(try load([text]).estate.networkInterfaces.values.first?.isPrivateEndpoint == true)
    }

    @Test("S13: a guest without any address is not held to its own: a note")
    func guestWithoutAddress() throws {
        func notes(_ attachment: String, _ changes: String = "") throws -> [String] {
            let text = Self.policy(interface: changes, more: "loadBalancers: []").replacing(
                ", privateIPAddress: '10.1.0.4'", with: "")
            return try load(
                [text], bindings: "{networkInterfaces: {n: {interface: 'v0', attachment: '\(attachment)'}}}"
            ).notes
        }
        #expect(try notes("guest").count == 1)
        #expect(try notes("guest", ", enableIPForwarding: true") == [])
        #expect(try notes("host") == [])
    }
}
