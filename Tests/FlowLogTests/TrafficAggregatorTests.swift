import FlowLog
import NSGModel
import NetworkTypes
import Testing

@Suite("Rows of traffic analytics, FACTS i3")
struct TrafficAggregatorTests {
    private func counted(_ packets: UInt64, _ bytes: UInt64) -> Traffic {
        .counted(
            FlowCounters(packetsSent: packets, bytesSent: bytes, packetsReceived: packets + 1, bytesReceived: 2 * bytes)
        )
    }

    @Test("flows that differ in the source port alone are one row of their interval")
    func sourcePortIsDropped() throws {
        var aggregator = TrafficAggregator()
        for port in UInt16(40_000)..<40_010 {
            aggregator.add(try Fixture.refused(at: Fixture.after(UInt64(port) - 40_000), sourcePort: port))
        }
        aggregator.add(try Fixture.refused(.deniedAgain(7), at: Fixture.after(20)))
        aggregator.add(try Fixture.web(.began))
        aggregator.add(try Fixture.web(.continued(counted(3, 100)), at: Fixture.after(30)))
        aggregator.add(try Fixture.web(.ended(counted(1, 10)), at: Fixture.after(31)))
        aggregator.add(try Fixture.web(.ended(.uncounted), at: Fixture.after(32)))
        aggregator.add(try Fixture.web(.began, at: Fixture.after(600)))
        let batch = aggregator.take()
        #expect(batch.rows.count == 3 && aggregator.isEmpty && batch.sides.count == 2)

        let refused = try #require(batch.rows.first { batch.sides[Int($0.key.side)].side.isDenied })
        #expect(refused.value.flows == 17 && refused.value.completed == 0 && refused.value.traffic == .zero)
        #expect(refused.value.first == Fixture.time && refused.value.lastBegan == Fixture.after(20))
        let side = batch.sides[Int(refused.key.side)].side
        #expect(side.rule?.name == "DenyAllInBound" && side.rule?.kind == .default && side.direction == .inbound)
        #expect(side.rule?.group == Fixture.subnetGroup, "a refused flow is the group's that refused it")

        // 14:03:02 lies in the ten minutes from 14:00.
        let web = batch.rows.filter { !batch.sides[Int($0.key.side)].side.isDenied }.sorted {
            $0.key.start < $1.key.start
        }
        #expect(web.map { UInt64($0.key.start) } == [1_795_183_200, 1_795_183_800])
        let first = try #require(web.first)
        #expect(first.key.port == 443 && first.value.flows == 1 && first.value.completed == 2)
        #expect(
            first.value.traffic
                == FlowCounters(packetsSent: 4, bytesSent: 110, packetsReceived: 6, bytesReceived: 220))
        #expect(batch.sides[Int(first.key.side)].side.rule?.name == "AllowInternetOutBound", "the group asked last")
        #expect(first.value.lastBegan == Fixture.time, "FlowEndTime is when the last of them began")
    }

    @Test("a flow that an earlier run has seen begin is no new one")
    func adoptedFlows() throws {
        var aggregator = TrafficAggregator()
        var record = try Fixture.web(.began)
        record.facts.attribution = .label
        aggregator.add(record)
        record.change = .ended(counted(5, 50))
        aggregator.add(record)
        let sums = try #require(aggregator.take().rows.values.first)
        #expect(sums.flows == 0 && sums.completed == 1 && sums.traffic.packetsSent == 5 && sums.lastBegan == nil)
    }

    @Test("the interval of the group's flow log goes before its network's, and that before the setting")
    func intervals() throws {
        func interval(_ resources: [ResourceID: UInt64]) throws -> UInt64? {
            var aggregator = TrafficAggregator()
            aggregator.intervals = TrafficIntervals(byDefault: 600, resources: resources)
            aggregator.add(try Fixture.refused())
            return aggregator.take().sides.first?.interval
        }
        #expect(try interval([:]) == 600)
        #expect(try interval([Fixture.network: 3600]) == 3600)
        #expect(try interval([Fixture.network: 3600, Fixture.subnetGroup: 600]) == 600)
        #expect(try interval([Fixture.webGroup: 3600]) == 600, "of a group that did not decide")
    }

    @Test("a scan costs no row a packet, and no sum a flow")
    func bound() throws {
        var aggregator = TrafficAggregator(capacity: 3)
        for number in UInt8(0)..<100 {
            for port in [UInt16(22), 23, 24] {
                var record = try Fixture.refused()
                record.flow = try Fixture.tuple(.tcp, "198.51.100.\(number)", 1, "10.1.0.4", port)
                aggregator.add(record)
            }
        }
        let batch = aggregator.take()
        #expect(batch.count == 4)
        #expect(batch.rows.values.reduce(0) { $0 + $1.flows } == 300)
        let others = try #require(batch.rows.first { $0.key.port == 0 })
        #expect("\(others.key.source)" == "0.0.0.0" && "\(others.key.destination)" == "10.1.0.4")
        #expect(others.value.flows == 297)

        // Sides are found anew: nothing of the batch that is gone is referred to.
        aggregator.add(try Fixture.web(.began))
        #expect(aggregator.take().sides.count == 1)
    }

    @Test("not even one that forges the addresses of both sides")
    func boundOfBoth() throws {
        var aggregator = TrafficAggregator(capacity: 3)
        for number in UInt8(0)..<100 {
            var record = try Fixture.refused()
            record.flow = try Fixture.tuple(.tcp, "198.51.100.7", 1, "10.1.0.\(number)", 22)
            aggregator.add(record)
        }
        let batch = aggregator.take()
        #expect(batch.count == 7 && batch.rows.values.reduce(0) { $0 + $1.flows } == 100)
    }
}

@Suite("FlowType, FACTS i3")
struct FlowTypeTests {
    private static let near = Fixture.id("virtualNetworks", "near")
    private static let peer = Fixture.id("virtualNetworks", "peer")
    private static let far = Fixture.id("virtualNetworks", "far")

    private static func prefixes(_ texts: String...) -> [IPPrefix] { texts.compactMap { IPPrefix($0) } }

    private static let atlas: AddressAtlas = {
        func network(_ id: ResourceID, _ space: [IPPrefix], peerings: [Peering] = [], further: [IPPrefix] = [])
            -> VirtualNetwork
        {
            VirtualNetwork(
                id: id, guid: UUID(named: id.name), addressSpace: space,
                subnets: [Subnet(id: id.child("subnets", "s"), prefixes: space)], peerings: peerings,
                furtherPrefixes: further)
        }
        let interface = NetworkInterface(
            id: Fixture.nic, networkSecurityGroup: nil,
            ipConfigurations: [
                IPConfiguration(name: "ip", address: IPAddress("10.1.0.4"), subnet: near.child("subnets", "s"))
            ],
            virtualMachine: ResourceID(subscription: "s", resourceGroup: "Lab", type: "virtualMachines", name: "web1"))
        return AddressAtlas(
            Estate(
                virtualNetworks: [
                    near: network(
                        near, prefixes("10.1.0.0/16", "fd00:1::/48"),
                        peerings: [
                            Peering(
                                name: "p", isOpen: true, remoteNetwork: peer, remotePrefixes: prefixes("10.2.0.0/16")),
                            Peering(
                                name: "q", isOpen: false, remoteNetwork: far, remotePrefixes: prefixes("10.3.0.0/16")),
                        ], further: prefixes("192.168.0.0/16", "198.51.100.0/24")),
                    peer: network(peer, prefixes("10.2.0.0/16")),
                    // Overlaps with the first: not peered.
                    far: network(far, prefixes("10.3.0.0/16", "10.1.0.0/16")),
                ], networkInterfaces: [interface.id: interface],
                serviceTags: [ServiceTag("AzureCloud").key: prefixes("20.0.0.0/8", "2603:1000::/24")]))
    }()

    @Test(
        "by where the two addresses lie",
        arguments: [
            ("10.1.0.4", "10.1.9.9", .intraVNet), ("fd00:1::4", "fd00:1::5", .intraVNet),
            ("10.1.0.4", "10.2.0.4", .interVNet), ("10.2.0.4", "10.1.0.4", .interVNet),
            ("10.1.0.4", "10.3.0.4", .interVNet),
            ("10.1.0.4", "192.168.7.7", .siteToSite), ("198.51.100.7", "10.1.0.4", .siteToSite),
            ("10.1.0.4", "20.60.1.1", .azurePublic), ("2603:1000::1", "fd00:1::4", .azurePublic),
            ("10.1.0.4", "168.63.129.16", .azurePublic), ("10.1.0.4", "169.254.169.254", .azurePublic),
            ("10.1.0.4", "203.0.113.9", .externalPublic), ("2001:db8::1", "fd00:1::4", .externalPublic),
            ("10.1.0.4", "172.16.0.1", .unknownPrivate), ("fd00:99::1", "fd00:1::4", .unknownPrivate),
            ("10.1.0.4", "224.0.0.251", .unknown), ("10.1.0.4", "100.64.0.1", .unknown),
            ("203.0.113.9", "172.16.0.1", .unknown), ("192.168.7.7", "203.0.113.9", .unknown),
        ] as [(String, String, FlowType)])
    func flowType(source: String, destination: String, expected: FlowType) throws {
        let places = try [source, destination].map { address in
            Self.atlas.place(of: try #require(IPAddress(address)), seenFrom: Self.near)
        }
        #expect(FlowType(from: places[0], to: places[1]) == expected, "\(places)")
    }

    @Test("without AzureCloud's addresses Microsoft's are like any others")
    func withoutServiceTags() throws {
        let atlas = AddressAtlas(Estate())
        #expect(atlas.place(of: try #require(IPAddress("20.60.1.1")), seenFrom: nil) == .internet)
    }

    @Test("an address in overlapping networks is the asking one's; its holder, else its subnet is named")
    func endpoints() throws {
        let (held, free) = (try #require(IPAddress("10.1.0.4")), try #require(IPAddress("10.1.0.5")))
        #expect(Self.atlas.place(of: held, seenFrom: Self.far) == .network(Self.far))
        #expect(Self.atlas.endpoint(of: held, at: .network(Self.far)).networkInterface.isEmpty)
        let near = Self.atlas.place(of: held, seenFrom: Self.near)
        #expect(
            Self.atlas.endpoint(of: held, at: near)
                == TrafficEndpoint(subnet: "Lab/near/s", virtualMachine: "Lab/web1", networkInterface: "Lab/web1-nic"))
        #expect(Self.atlas.endpoint(of: free, at: near) == TrafficEndpoint(subnet: "Lab/near/s"))
        #expect(Self.atlas.endpoint(of: held, at: .internet) == TrafficEndpoint())
    }
}
