import FlowLog
import JSONText
import NSGModel
import NetworkTypes
import Testing

/// A small estate: one network `vnet` with a group on the subnet and one on the interface.
enum Fixture {
    static let subscription = "11111111-2222-3333-4444-555555555555"
    static let webGroup = id("networkSecurityGroups", "web-nsg")
    static let subnetGroup = id("networkSecurityGroups", "snet-nsg")
    static let nic = id("networkInterfaces", "web1-nic")
    static let network = id("virtualNetworks", "vnet")

    /// 2026-11-20T14:03:02.5Z.
    static let time = Timestamp(milliseconds: 1_795_183_382_500)

    static func id(_ type: String, _ name: String) -> ResourceID {
        ResourceID(subscription: subscription, resourceGroup: "Lab", type: type, name: name)
    }

    static func uuid(_ text: String) throws -> UUID { try #require(UUID(text)) }

    static func stage(
        _ level: PolicyLevel, _ name: String, _ access: Access, priority: Int = 100, isDefault: Bool = false,
        location: NSGModel.SourceLocation? = nil, isDerived: Bool = false
    ) -> StageRecord {
        let group = level == .nic ? webGroup : subnetGroup
        return StageRecord(
            level: level, rule: RuleReference(owner: group, name: name, kind: isDefault ? .default : .custom),
            groupGUID: UUID(named: group.name), priority: Priority(priority), access: access, location: location,
            isDerived: isDerived)
    }

    static func interface(mac: String? = "00-0D-3A-14-4D-1C") throws -> LoggedInterface {
        LoggedInterface(
            networkInterface: nic, virtualNetwork: network, device: "veth-web1",
            macAddress: try mac.map { try #require(MACAddress($0)) } ?? .unknown)
    }

    static func tuple(
        _ protocol: IPProtocol, _ source: String, _ sourcePort: UInt16?, _ destination: String,
        _ destinationPort: UInt16?,
        icmpType: UInt8? = nil
    ) throws -> FlowTuple {
        FlowTuple(
            protocol: `protocol`, source: try #require(IPAddress(source)),
            destination: try #require(IPAddress(destination)),
            sourcePort: sourcePort, destinationPort: destinationPort, icmpType: icmpType)
    }

    /// An outbound HTTPS flow that both groups allow.
    static func web(
        _ change: FlowChange, at time: Timestamp = time, mac: String? = "00-0D-3A-14-4D-1C"
    ) throws -> FlowRecord {
        FlowRecord(
            time: time,
            side: LoggedSide(
                SideFacts(
                    interface: try interface(mac: mac), direction: .outbound,
                    stages: [
                        stage(
                            .nic, "web", .allow, priority: 200,
                            location: NSGModel.SourceLocation(file: "policy.d/web.json", line: 12)),
                        stage(.subnet, "AllowInternetOutBound", .allow, priority: 65001, isDefault: true),
                    ])),
            flow: try tuple(.tcp, "10.1.0.4", 50030, "203.0.113.9", 443), change: change, flowID: 3_405_691_582)
    }

    /// An inbound SSH attempt that the subnet's group refuses and the interface's would allow.
    static func refused(
        _ change: FlowChange = .denied, at time: Timestamp = time, sourcePort: UInt16 = 40000
    ) throws -> FlowRecord {
        FlowRecord(
            time: time,
            side: LoggedSide(
                SideFacts(
                    interface: try interface(), direction: .inbound,
                    stages: [
                        stage(.subnet, "DenyAllInBound", .deny, priority: 65500, isDefault: true),
                        stage(.nic, "ssh", .allow, priority: 300, isDerived: true),
                    ])),
            flow: try tuple(.tcp, "203.0.113.77", sourcePort, "10.1.0.4", 22), change: change)
    }

    static func after(_ seconds: UInt64) -> Timestamp { time.adding(seconds: seconds) }
}

extension FlowRecord {
    /// What records share, to be changed in one of them.
    var facts: SideFacts {
        get { side.facts }
        set { side = LoggedSide(newValue) }
    }
}

extension DenialAggregator {
    mutating func add(_ record: FlowRecord) -> [FlowRecord] {
        var due: [FlowRecord] = []
        add(record, to: &due)
        return due
    }
}

extension LogBlock {
    var text: String { String(decoding: record, as: UTF8.self) }
}

extension JSONValue {
    /// The tuples of a block of either log, in the order of the text.
    var flowTuples: [String] {
        if let texts = self["flowTuples"]?.array { return texts.compactMap(\.string) }
        return (array ?? object?.map(\.value) ?? []).flatMap(\.flowTuples)
    }
}
