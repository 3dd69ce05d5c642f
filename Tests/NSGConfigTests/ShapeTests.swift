import JSONText
import NSGConfig
import NSGModel
import NetworkTypes
import Testing

@Suite("C1, C2: shapes of documents")
struct ShapeTests {
    /// Places differ between shapes; nothing else may (tags are equal without case).
    private func withoutPlaces(_ estate: Estate) -> Estate {
        var estate = estate
        for (id, group) in estate.networkSecurityGroups {
            for index in group.securityRules.indices {
                estate.networkSecurityGroups[id]?.securityRules[index].location = nil
            }
        }
        return estate
    }

    @Test("REST and flattened documents give one estate")
    func shapesAgree() throws {
        let rest = try load([Documents.estate])
        let flattened = try load([Documents.flattened])
        #expect(withoutPlaces(rest.estate) == withoutPlaces(flattened.estate))
    }

    @Test("everything that is read arrives")
    func readsEverything() throws {
        let estate = try load([Documents.estate]).estate
        let group = try #require(
            estate.networkSecurityGroups[ResourceID("\(Documents.group)/networkSecurityGroups/web")])
        #expect(group.guid.description == "11111111-2222-3333-4444-555555555555")
        #expect(group.flushConnection)
        #expect(group.securityRules.map(\.name) == ["https", "peers"])
        let rule = try #require(group.securityRules.first)
        #expect(rule.protocol == .tcp && rule.access == .allow && rule.direction == .inbound)
        #expect(rule.priority == Priority(100) && rule.description == "the web")
        #expect(rule.source == .serviceTag(.internet))
        #expect(rule.sourcePorts == [.any] && rule.destinationPorts == [PortRange(443), PortRange(8000...8010)])
        let asg = ResourceID("\(Documents.group)/applicationSecurityGroups/web")
        #expect(rule.destination == .applicationSecurityGroups([asg]))
        #expect(rule.id == group.id.child("securityRules", "https"))
        #expect(rule.location == SourceLocation(file: "policy.d/0.json", line: 7))

        let network = try #require(estate.virtualNetworks.values.first)
        #expect(network.flowTimeoutMinutes == 4)
        #expect(network.guid == UUID(named: network.id.description.lowercased()))
        #expect(network.subnets.map(\.name) == ["front", "back"])
        #expect(network.subnets.map(\.networkSecurityGroup) == [group.id, nil])
        #expect(network.peerings.map(\.isOpen) == [true])

        let interface = try #require(estate.networkInterfaces.values.first)
        #expect(interface.ipConfigurations.map(\.name) == ["first", "second"], "the primary one leads")
        #expect(interface.addresses.map(\.description) == ["10.1.0.4", "fd00:1::4"])
        #expect(interface.macAddress?.description == "000D3A000001")
        #expect(interface.enableIPForwarding)
        #expect(interface.virtualMachine?.name == "vm1")
        #expect(interface.applicationSecurityGroups == [asg])

        let log = try #require(estate.flowLogs.values.first)
        #expect(log.target == group.id && log.isEnabled && log.retentionDays == 7 && log.version == 2)
        #expect(log.analyticsInterval == 60)
        #expect(log.id.description.contains("/networkWatchers/NetworkWatcher_local/flowLogs/fl"))
    }

    private static let group = #"{"name": "web", "type": "Microsoft.Network/networkSecurityGroups", "properties": {}}"#

    @Test(
        "C1: containers",
        arguments: [
            group, "[\(group)]", #"{"value": [\#(group)], "nextLink": "https://example.net"}"#,
            #"{"$schema": "x", "parameters": {}, "resources": [\#(group)], "outputs": {}}"#,
            #"{"networkSecurityGroups": [{"name": "web"}], "_ours": 1, "natGateways": [{"name": "nat"}]}"#,
            #"{"networkSecurityGroups": {"value": [{"name": "web"}]}, "networkManagers": []}"#,
            #"{"networkSecurityGroup": {"name": "web"}, "request": {}}"#,
            #"{"id": "\#(Documents.group)/networkSecurityGroups/web"}"#,
            #"{"resources": [{"name": "web", "type": "Microsoft.Network/networkSecurityGroups", "location": "[resourceGroup().location]"}]}"#,
            #"{"languageVersion": "2.0", "resources": {"a": \#(group)}}"#,
            #"[\#(group), {"name": "x", "type": "Microsoft.Compute/disks"}]"#,
        ])
    func readsContainer(text: String) throws {
        let estate = try load([text]).estate
        #expect(estate.networkSecurityGroups.keys.map(\.name) == ["web"])
    }

    @Test("C1: other kinds and keys with an underscore leave a note")
    func notes() throws {
        let notes = try load([#"{"_ours": 1, "natGateways": [], "publicIPAddresses": []}"#]).notes
        #expect(notes.count == 3)
        #expect(notes.allSatisfy { $0.hasPrefix("policy.d/0.json: ") && $0.contains("passed over") })
    }

    @Test("rules, subnets and peerings may stand beside their parents")
    func separateChildren() throws {
        let rule = """
            [{"id": "\(Documents.group)/networkSecurityGroups/web/securityRules/b", "name": "b", "access": "Deny",
              "type": "Microsoft.Network/networkSecurityGroups/securityRules", "protocol": "*", "direction": "Inbound",
              "priority": 200, "sourcePortRange": "*", "destinationPortRange": "*", "sourceAddressPrefix": "*",
              "destinationAddressPrefix": "*"}]
            """
        let template = """
            {"resources": [
              {"type": "Microsoft.Network/virtualNetworks", "name": "lab", "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}},
               "resources": [{"type": "subnets", "name": "near", "properties": {"addressPrefix": "10.1.1.0/24"}}]},
              {"type": "Microsoft.Network/virtualNetworks/subnets", "name": "lab/far", "properties": {"addressPrefix": "10.1.2.0/24",
               "networkSecurityGroup": "web"}}]}
            """
        let estate = try load([rule, template, Documents.securityGroup([Documents.rule("a")])]).estate
        #expect(estate.networkSecurityGroups.values.first?.securityRules.map(\.name) == ["a", "b"])
        #expect(Set(estate.virtualNetworks.values.flatMap(\.subnets).map(\.name)) == ["near", "far"])
    }

    @Test("C2: defaults name what has no id")
    func defaults() throws {
        let settings = #"{"defaults": {"subscriptionId": "s1", "resourceGroup": "g1"}}"#
        let estate = try load([#"{"networkSecurityGroups": [{"name": "web"}]}"#], settings: settings).estate
        #expect(
            estate.networkSecurityGroups.keys.map(\.description)
                == ["/subscriptions/s1/resourceGroups/g1/providers/Microsoft.Network/networkSecurityGroups/web"])
    }

    /// Source: schemas 2025-01-01 of Microsoft.Network, and answers of Azure.
    private static let emitted: [(kind: String, properties: String)] = [
        (
            "networkSecurityGroups",
            "securityRules defaultSecurityRules networkInterfaces subnets flowLogs flushConnection resourceGuid"
        ),
        (
            "virtualNetworks",
            """
            dhcpOptions flowTimeoutInMinutes subnets virtualNetworkPeerings enableDdosProtection enableVmProtection \
            ddosProtectionPlan bgpCommunities encryption ipAllocations flowLogs privateEndpointVNetPolicies defaultPublicNatGateway
            """
        ),
        (
            "networkInterfaces",
            """
            virtualMachine networkSecurityGroup privateEndpoint tapConfigurations macAddress primary vnetEncryptionSupported \
            enableAcceleratedNetworking disableTcpStateTracking enableIPForwarding hostedWorkloads dscpConfiguration \
            workloadType nicType privateLinkService migrationPhase auxiliaryMode auxiliarySku dnsSettings \
            defaultOutboundConnectivityEnabled allowPort25Out
            """
        ),
        ("applicationSecurityGroups", "resourceGuid provisioningState"),
        ("routeTables", "routes subnets disableBgpRoutePropagation"),
        (
            "loadBalancers",
            """
            frontendIPConfigurations backendAddressPools loadBalancingRules probes inboundNatRules inboundNatPools \
            outboundRules scope
            """
        ),
        (
            "virtualMachines",
            """
            hardwareProfile scheduledEventsPolicy storageProfile additionalCapabilities osProfile networkProfile \
            securityProfile diagnosticsProfile availabilitySet virtualMachineScaleSet proximityPlacementGroup priority \
            evictionPolicy billingProfile host hostGroup instanceView licenseType vmId extensionsTimeBudget \
            platformFaultDomain scheduledEventsProfile userData capacityReservation applicationProfile timeCreated plan \
            resources identity zones extendedLocation managedBy etag placement
            """
        ),
        (
            "networkManagers",
            """
            description networkManagerScopes networkManagerScopeAccesses networkGroups securityAdminConfigurations \
            connectivityConfigurations systemData
            """
        ),
    ]
    private static let inside: [(place: String, properties: String)] = [
        (
            "subnets: [{name: 's', addressPrefix: '10.1.0.0/24', *}]",
            """
            addressPrefixes networkSecurityGroup routeTable natGateway serviceEndpoints serviceEndpointPolicies \
            privateEndpoints ipConfigurations ipConfigurationProfiles ipAllocations resourceNavigationLinks \
            serviceAssociationLinks delegations purpose privateEndpointNetworkPolicies privateLinkServiceNetworkPolicies \
            applicationGatewayIPConfigurations sharingScope defaultOutboundAccess ipamPoolPrefixAllocations
            """
        ),
        (
            "virtualNetworkPeerings: [{name: 'p', remoteVirtualNetwork: {id: '/x'}, remoteAddressSpace: {addressPrefixes: ['10.9.0.0/16']}, *}]",
            """
            allowVirtualNetworkAccess allowForwardedTraffic allowGatewayTransit useRemoteGateways localAddressSpace \
            localVirtualNetworkAddressSpace remoteVirtualNetworkAddressSpace remoteBgpCommunities \
            remoteVirtualNetworkEncryption peeringState peeringSyncLevel doNotVerifyRemoteGateways peerCompleteVnets \
            enableOnlyIPv6Peering localSubnetNames remoteSubnetNames resourceGuid
            """
        ),
    ]

    @Test("C4: what Azure emits is no misspelling")
    func emittedProperties() {
        func nulls(_ names: String) -> String {
            names.split(separator: " ").map { "\($0): null" }.joined(separator: ", ")
        }
        for (kind, names) in Self.emitted {
            var needed = ""
            if kind == "virtualNetworks" { needed = "addressSpace: {addressPrefixes: ['10.1.0.0/16']}, " }
            if kind == "networkInterfaces" {
                let more = """
                    gatewayLoadBalancer virtualNetworkTaps applicationGatewayBackendAddressPools primary publicIPAddress \
                    loadBalancerBackendAddressPools loadBalancerInboundNatRules privateIPAddress privateIPAddressPrefixLength \
                    privateIPAllocationMethod privateIPAddressVersion applicationSecurityGroups privateLinkConnectionProperties \
                    isInUseWithService
                    """
                needed = "ipConfigurations: [{name: 'x', subnet: 's', \(nulls(more))}], "
            }
            let text = """
                {\(kind): [{name: 'x', etag: 'e', location: 'l', tags: {}, properties: {\(needed)\(nulls(names))}}]}
                """
            let network =
                "{virtualNetworks: [{name: 'n', addressSpace: {addressPrefixes: ['10.0.0.0/8']}, subnets: [{name: 's', addressPrefix: '10.1.0.0/24'}]}]}"
            let found = faults([text, network])
            #expect(found == [], "\(kind): \(found.map(\.description))")
        }
        for (place, names) in Self.inside {
            let part = place.replacing("*", with: nulls(names))
            let text = "{virtualNetworks: [{name: 'v', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, \(part)}]}"
            let found = faults([text])
            #expect(found == [], "\(found.map(\.description))")
        }
    }
}
