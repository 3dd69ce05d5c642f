import JSONText
package import NSGModel
package import NetworkTypes

/// A virtual network flow log: the `flowLogs` resource and what it watches.
package struct VNetFlowLogTarget: Hashable, Sendable {
    package var flowLog: ResourceID
    package var flowLogGUID: UUID
    /// The virtual network, spelt as created.
    package var target: ResourceID

    package init(flowLog: ResourceID, flowLogGUID: UUID, target: ResourceID) {
        self.flowLog = flowLog
        self.flowLogGUID = flowLogGUID
        self.target = target
    }

    /// The log of a virtual network without a `flowLogs` resource, named as Azure's portal would in a region `local`:
    /// `…/NetworkWatcherRG/…/networkWatchers/NetworkWatcher_local/flowLogs/NETWORK-GROUP-flowlog`.
    package init(defaultFor network: ResourceID) {
        let watcher = ResourceID(
            subscription: network.subscription, resourceGroup: "NetworkWatcherRG", type: "networkWatchers",
            name: "NetworkWatcher_local")
        flowLog = watcher.child("flowLogs", "\(network.name)-\(network.resourceGroup)-flowlog")
        flowLogGUID = UUID(named: flowLog.description.lowercased())
        target = network
    }

    /// `/SUBSCRIPTION_NETWORKWATCHERRG/NETWORKWATCHER_REGION_FLOWLOG`: underscores join the parts (FACTS i2).
    var folders: String {
        let watcher = flowLog.parent?.name ?? ""
        let parts = ["\(flowLog.subscription)_\(flowLog.resourceGroup)", "\(watcher)_\(flowLog.name)"]
        return parts.map { "/" + fileName($0.uppercased()) }.joined()
    }
}

package struct VNetFlowLogSettings: Hashable, Sendable {
    /// Seconds that one record covers.
    package var interval: UInt64
    /// Whether virtual networks without a `flowLogs` resource are logged.
    package var logsByDefault: Bool
    /// For virtual networks with one.
    package var resources: [ResourceID: FlowLogging<VNetFlowLogTarget>]

    package init(
        interval: UInt64 = 60, logsByDefault: Bool = true, resources: [ResourceID: FlowLogging<VNetFlowLogTarget>] = [:]
    ) {
        self.interval = interval
        self.logsByDefault = logsByDefault
        self.resources = resources
    }

    func target(of network: ResourceID) -> VNetFlowLogTarget? {
        if let stated = resources[network] { return stated.log }
        return logsByDefault ? VNetFlowLogTarget(defaultFor: network) : nil
    }
}

extension FlowRecord {
    /// The tuple of a virtual network flow log, version 4 (FACTS i2):
    /// `1710413935827,10.1.1.70,10.1.1.4,55490,80,6,O,B,NX,0,0,0,0`. Nil for protocols other than TCP and UDP, and for
    /// further packets of a refused flow. `NX`: what this host does not encrypt, whatever the two ends do.
    package var vnetFlowTuple: String? {
        guard let ports = loggedPorts else { return nil }
        let counters: String
        switch change {
        case .deniedAgain: return nil
        case .began, .denied: counters = Traffic.counted(.zero).countersText
        case .continued(let traffic), .ended(let traffic): counters = traffic.countersText
        }
        return "\(time.milliseconds),\(flow.source),\(flow.destination),\(ports.source),\(ports.destination),"
            + "\(flow.protocol.rawValue),\(direction.letter),\(change.letter),NX,\(counters)"
    }
}

/// Collects the tuples of virtual network flow logs and gives one record an interval for each network and MAC address
/// (F3).
package struct VNetFlowLogAggregator: Sendable {
    private struct Log: Hashable, Comparable, Sendable {
        var network: ResourceID
        var target: VNetFlowLogTarget
        static func < (left: Self, right: Self) -> Bool {
            (left.network, left.target.flowLog) < (right.network, right.target.flowLog)
        }
    }

    private struct Rule: Hashable, Sendable {
        /// `aclID`.
        var list: UUID
        var name: String
        /// Traffic that no group judged.
        static let platform = Rule(list: .zero, name: "PlatformRule")
    }

    /// May be changed at any time; tuples that are already waiting stay with the log they were meant for.
    package var settings: VNetFlowLogSettings { didSet { logs = [:] } }
    private let capacity: Int
    /// What `settings` say of each network met so far; a default log costs a digest to name.
    private var logs: [ResourceID: Log?] = [:]
    private var pending = PendingTuples<Log, Rule>()

    /// At most `capacity` tuples of about 100 bytes wait; more are written before their interval ends.
    package init(settings: VNetFlowLogSettings, capacity: Int = 131_072) {
        self.settings = settings
        self.capacity = max(capacity, 1)
    }

    /// Takes the record if it belongs into a virtual network flow log. Gives blocks only when the capacity is reached:
    /// then all that waits.
    package mutating func add(_ record: FlowRecord) -> [LogBlock] {
        guard let network = record.interface.virtualNetwork, let log = log(of: network),
            let tuple = record.vnetFlowTuple
        else { return [] }
        let stage = record.isPlatform ? nil : record.decidingStage
        pending.add(
            tuple, at: record.time,
            rule: stage.map { Rule(list: $0.groupGUID, name: $0.rule.flowLogName) } ?? .platform,
            subject: log, macAddress: record.interface.macAddress, interval: settings.interval)
        return pending.count < capacity ? [] : flushAll(now: record.time)
    }

    /// The records of intervals that ended at least `settling` seconds ago: conntrack and NFLOG deliver a little late.
    package mutating func flush(now: Timestamp, settling: UInt64 = 2) -> [LogBlock] {
        pending.takeElapsed(at: now, settling: settling).map { Self.block(for: $0, now: now) }
    }

    /// Everything that waits, whether its interval ended or not: at the end of the daemon.
    package mutating func flushAll(now: Timestamp) -> [LogBlock] {
        pending.takeAll().map { Self.block(for: $0, now: now) }
    }

    private mutating func log(of network: ResourceID) -> Log? {
        if let known = logs[network] { return known }
        let log = settings.target(of: network).map { Log(network: network, target: $0) }
        logs[network] = .some(log)
        return log
    }

    private static func block(for record: PendingTuples<Log, Rule>.Record, now: Timestamp) -> LogBlock {
        let (target, mac) = (record.key.subject.target, record.key.macAddress.description)
        let json: JSONValue = [
            "time": JSONValue(now.rfc3339(fractionDigits: 7)),
            "flowLogVersion": 4,
            "flowLogGUID": JSONValue(target.flowLogGUID.description),
            "macAddress": JSONValue(mac),
            "category": "FlowLogFlowEvent",
            "flowLogResourceID": JSONValue(target.flowLog.description.uppercased()),
            "targetResourceID": JSONValue(target.target.description),
            "operationName": "FlowLogFlowEvent",
            "flowRecords": ["flows": JSONValue(flows(of: record.rules))],
        ]
        let path =
            "insights-logs-flowlogflowevent/flowLogResourceID=\(target.folders)/\(record.key.hour)"
            + "/macAddress=\(mac)/PT1H.json"
        return LogBlock(path: path, record: json.text(), hour: record.key.hour, tupleCount: record.tupleCount)
    }

    /// One object a group of rules, in the order of their first tuples.
    private static func flows(of rules: [(rule: Rule, tuples: [String])]) -> [JSONValue] {
        var lists: [UUID] = []
        var groups: [UUID: [JSONValue]] = [:]
        for (rule, tuples) in rules {
            if groups[rule.list] == nil { lists.append(rule.list) }
            groups[rule.list, default: []].append(
                ["rule": JSONValue(rule.name), "flowTuples": JSONValue(tuples.map { JSONValue($0) })])
        }
        return lists.map { ["aclID": JSONValue($0.description), "flowGroups": JSONValue(groups[$0] ?? [])] }
    }
}
