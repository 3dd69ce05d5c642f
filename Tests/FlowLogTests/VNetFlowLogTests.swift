import FlowLog
import JSONText
import NSGModel
import NetworkTypes
import Testing

@Suite("Virtual network flow logs (F3, FACTS i2)")
struct VNetFlowLogTests {
    private func settings(_ resources: [ResourceID: FlowLogging<VNetFlowLogTarget>] = [:]) -> VNetFlowLogSettings {
        VNetFlowLogSettings(logsByDefault: false, resources: resources)
    }

    private func target() throws -> VNetFlowLogTarget {
        VNetFlowLogTarget(
            flowLog: ResourceID(
                "/subscriptions/\(Fixture.subscription)/resourceGroups/NetworkWatcherRG/providers/Microsoft.Network"
                    + "/networkWatchers/NetworkWatcher_eastus2/flowLogs/lab"),
            flowLogGUID: try Fixture.uuid("0f0e0d0c-0000-4000-8000-0123456789ab"), target: Fixture.network)
    }

    @Test("a record of version 4 is Azure's, byte for byte")
    func versionFour() throws {
        var log = VNetFlowLogAggregator(settings: settings([Fixture.network: .enabled(try target())]))
        let counters = FlowCounters(packetsSent: 6, bytesSent: 754, packetsReceived: 4, bytesReceived: 730)
        var platform = try Fixture.web(.began, at: Fixture.after(2))
        platform.facts.isPlatform = true
        platform.facts.stages = []
        for record in try [
            Fixture.web(.began), Fixture.web(.ended(.counted(counters)), at: Fixture.after(6)),
            Fixture.refused(at: Fixture.after(1)),
            Fixture.refused(.deniedAgain(4), at: Fixture.after(3)), platform,
        ] { #expect(log.add(record) == []) }
        let blocks = log.flush(now: Fixture.after(62))
        let list = UUID(named: "snet-nsg").description
        #expect(
            blocks.map(\.text) == [
                """
                {"time":"2026-11-20T14:04:04.5000000Z","flowLogVersion":4,"flowLogGUID":"0f0e0d0c-0000-4000-8000-0123456789ab",\
                "macAddress":"000D3A144D1C","category":"FlowLogFlowEvent","flowLogResourceID":"/SUBSCRIPTIONS/\
                11111111-2222-3333-4444-555555555555/RESOURCEGROUPS/NETWORKWATCHERRG/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/\
                NETWORKWATCHER_EASTUS2/FLOWLOGS/LAB","targetResourceID":"/subscriptions/11111111-2222-3333-4444-555555555555/\
                resourceGroups/Lab/providers/Microsoft.Network/virtualNetworks/vnet","operationName":"FlowLogFlowEvent",\
                "flowRecords":{"flows":[{"aclID":"\(list)","flowGroups":[{"rule":"DefaultRule_AllowInternetOutBound","flowTuples":[\
                "1795183382500,10.1.0.4,203.0.113.9,50030,443,6,O,B,NX,0,0,0,0",\
                "1795183388500,10.1.0.4,203.0.113.9,50030,443,6,O,E,NX,6,754,4,730"]}]},\
                {"aclID":"00000000-0000-0000-0000-000000000000","flowGroups":[{"rule":"PlatformRule","flowTuples":[\
                "1795183384500,10.1.0.4,203.0.113.9,50030,443,6,O,B,NX,0,0,0,0"]}]},\
                {"aclID":"\(list)","flowGroups":[{"rule":"DefaultRule_DenyAllInBound","flowTuples":[\
                "1795183383500,203.0.113.77,10.1.0.4,40000,22,6,I,D,NX,0,0,0,0"]}]}]}}
                """
            ])
        #expect(
            blocks.map(\.path) == [
                """
                insights-logs-flowlogflowevent/flowLogResourceID=/11111111-2222-3333-4444-555555555555_NETWORKWATCHERRG/\
                NETWORKWATCHER_EASTUS2_LAB/y=2026/m=11/d=20/h=14/m=00/macAddress=000D3A144D1C/PT1H.json
                """
            ])
    }

    @Test("networks without a resource are logged by default, unless that is off")
    func defaults() throws {
        var log = VNetFlowLogAggregator(settings: VNetFlowLogSettings())
        _ = log.add(try Fixture.web(.began))
        let path = try #require(log.flushAll(now: Fixture.time).first).path
        #expect(path.contains("_NETWORKWATCHERRG/NETWORKWATCHER_LOCAL_VNET-LAB-FLOWLOG/y=2026/"))
        for off in [settings(), VNetFlowLogSettings(resources: [Fixture.network: .disabled])] {
            log.settings = off
            _ = log.add(try Fixture.web(.began))
            #expect(log.flushAll(now: Fixture.time) == [])
        }
    }

    @Test("still no ICMP")
    func noICMP() throws {
        var ping = try Fixture.web(.began)
        ping.flow = try Fixture.tuple(.icmp, "10.1.0.4", nil, "10.1.0.5", nil, icmpType: 8)
        #expect(ping.vnetFlowTuple == nil)
    }
}
