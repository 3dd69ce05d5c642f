import JSONText
import NSGConfig
import NSGModel
import NetworkTypes
import Testing

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
