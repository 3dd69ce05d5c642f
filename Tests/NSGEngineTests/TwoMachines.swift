import NSGCompiler
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import Testing

/// Two guests of one network behind one group each: `web` lets port 80 in, `db` nothing that is written.
enum TwoMachines {
    static let group = ResourceID(
        subscription: "00000000-0000-0000-0000-000000000000", resourceGroup: "lab", type: "networkSecurityGroups",
        name: "web")

    static let network = ResourceID(
        subscription: "00000000-0000-0000-0000-000000000000", resourceGroup: "lab", type: "virtualNetworks",
        name: "net")

    /// - Parameter change: of what the documents say.
    static func policy(
        webPort: Int = 80, numbering: RuleNumbering = RuleNumbering(), change: (inout Estate) throws -> Void = { _ in }
    ) throws -> Policy {
        let text = """
            {networkSecurityGroups: [
                {name: "web", properties: {securityRules: [
                    {name: "AllowWeb", properties: {protocol: "Tcp", access: "Allow", direction: "Inbound", priority: 100,
                     sourceAddressPrefix: "*", sourcePortRange: "*", destinationAddressPrefix: "*",
                     destinationPortRange: \(webPort)}},
                    {name: "DenyRest", properties: {protocol: "*", access: "Deny", direction: "Inbound", priority: 200,
                     sourceAddressPrefix: "*", sourcePortRange: "*", destinationAddressPrefix: "*",
                     destinationPortRange: "*"}}]}},
                {name: "db", properties: {securityRules: []}}],
             virtualNetworks: [{name: "net", properties: {addressSpace: {addressPrefixes: ["10.1.0.0/16"]}, subnets: [
                {name: "all", properties: {addressPrefix: "10.1.0.0/24"}}]}}],
             networkInterfaces: [
                {name: "web1", properties: {networkSecurityGroup: {id: "web"}, macAddress: "02-00-00-00-00-04", ipConfigurations: [
                    {name: "a", properties: {privateIPAddress: "10.1.0.4", subnet: "net/all"}}]}},
                {name: "db1", properties: {networkSecurityGroup: {id: "db"}, ipConfigurations: [
                    {name: "a", properties: {privateIPAddress: "10.1.0.5", subnet: "net/all"}}]}}]}
            """
        let bindings = """
            {networkInterfaces: {web1: {interface: "v-web", attachment: "guest"}, db1: {interface: "v-db", attachment: "guest"}}}
            """
        let sources = ConfigurationSources(
            policies: [SourceText(name: "policy.d/a.json", text: text)],
            bindings: SourceText(name: "bindings.json", text: bindings))
        var configuration = try configuration(from: sources)
        try change(&configuration.estate)
        return try #require(Policy(configuration, numbering: numbering))
    }

    /// From db1 to web1.
    static func flow(port: UInt16, from source: UInt16 = 40_000) throws -> FlowTuple {
        FlowTuple(
            protocol: .tcp, source: try #require(IPAddress("10.1.0.5")),
            destination: try #require(IPAddress("10.1.0.4")),
            sourcePort: source, destinationPort: port)
    }

    /// The number of a rule of a group; a default rule too.
    static func number(_ name: String, of group: String, in policy: Policy) throws -> RuleNumber {
        try #require(policy.numbering.rules.first { $0.value.name == name && $0.value.owner.name == group }?.key)
    }

    /// What the kernel writes into the label of a flow that is allowed: outbound at db1, inbound at web1.
    static func label(in policy: Policy) throws -> UInt128 {
        FlowLabel.bits(try number("AllowVnetOutBound", of: "db", in: policy), in: LabelSlot(side: .entry, level: .nic))
            | FlowLabel.bits(try number("AllowWeb", of: "web", in: policy), in: LabelSlot(side: .exit, level: .nic))
            | FlowLabel.decided
    }
}
