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

    static let document = table([("172.16.0.0/12", "VirtualAppliance"), ("AzureMonitor", "Internet")])

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
