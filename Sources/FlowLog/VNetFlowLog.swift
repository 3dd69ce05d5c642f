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
        guard isLoggedByNetwork else { return nil }
        var bytes: [UInt8] = []
        writeVNetFlowTuple(into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    fileprivate var isLoggedByNetwork: Bool {
        if case .deniedAgain = change { return false }
        return loggedPorts != nil
    }

    fileprivate func writeVNetFlowTuple(into bytes: inout [UInt8]) {
        bytes.append(decimal: time.milliseconds)
        writeEnds(into: &bytes)
        bytes.append(decimal: flow.protocol.rawValue)
        bytes.append(UInt8(ascii: ","))
        bytes.append(direction.letterByte)
        bytes.append(UInt8(ascii: ","))
        bytes.append(change.letterByte)
        bytes += Self.unencrypted
        switch change {
        case .began, .denied, .deniedAgain: Traffic.counted(.zero).write(into: &bytes)
        case .continued(let traffic), .ended(let traffic): traffic.write(into: &bytes)
        }
    }

    private static let unencrypted = Array(",NX,".utf8)
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
        var rule: TupleRule
    }

    /// May be changed at any time; tuples that are already waiting stay with the log they were meant for.
    package var settings: VNetFlowLogSettings {
        didSet {
            logs = [:]
            pending.forgetPlaces()
        }
    }
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
        guard record.isLoggedByNetwork else { return [] }
        let place = pending.place(of: record) ?? place(of: record)
        guard let place else { return [] }
        pending.add(at: record.time, to: place) { record.writeVNetFlowTuple(into: &$0) }
        return pending.count < capacity ? [] : flushAll(now: record.time)
    }

    /// Nil where its network has no log.
    private mutating func place(of record: FlowRecord) -> Int? {
        guard let network = record.interface.virtualNetwork, let log = log(of: network) else { return nil }
        let stage = record.isPlatform ? nil : record.decidingStage
        return pending.place(
            of: record,
            rule: Rule(
                list: stage?.groupGUID ?? .zero,
                // Traffic that no group judged is the platform's.
                rule: TupleRule(
                    name: stage?.rule.flowLogName ?? "PlatformRule", direction: record.direction,
                    priority: stage?.priority)),
            subject: log, interval: settings.interval)
    }

    /// The records of intervals that ended at least `settling` seconds ago.
    package mutating func flush(now: Timestamp, settling: UInt64 = LogInterval.settling) -> [LogBlock] {
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

    /// What the paths of a flow log's files begin with; it ends in a slash.
    /// `…/SUBSCRIPTION_NETWORKWATCHERRG/NETWORKWATCHER_REGION_FLOWLOG/`: underscores join the parts (FACTS i2).
    package static func folder(of flowLog: ResourceID) -> String {
        let watcher = flowLog.parent?.name ?? ""
        let parts = ["\(flowLog.subscription)_\(flowLog.resourceGroup)", "\(watcher)_\(flowLog.name)"]
        return "insights-logs-flowlogflowevent/flowLogResourceID="
            + parts.map { "/" + fileName($0.uppercased()) }.joined() + "/"
    }

    private static func block(for record: PendingTuples<Log, Rule>.Record, now: Timestamp) -> LogBlock {
        let (target, mac) = (record.key.subject.target, record.key.macAddress.description)
        var json = JSONLine()
        json.append("time", now.rfc3339(fractionDigits: 7))
        json.append("flowLogVersion", number: 4)
        json.append("flowLogGUID", target.flowLogGUID.description)
        json.append("macAddress", mac)
        json.append("category", "FlowLogFlowEvent")
        json.append("flowLogResourceID", target.flowLog.description.uppercased())
        json.append("targetResourceID", target.target.description)
        json.append("operationName", "FlowLogFlowEvent")
        json.append("flowRecords") { json in
            json.append("flows", objects: lists(of: record.rules)) { list, json in
                json.append("aclID", list.id.description)
                json.append("flowGroups", objects: list.rules) { rule, json in
                    json.append("rule", rule.rule.rule.name)
                    json.append("flowTuples", raw: rule.tuples)
                }
            }
        }
        json.end()
        let path = "\(folder(of: target.flowLog))\(record.key.hour)/macAddress=\(mac)/PT1H.json"
        return LogBlock(path: path, record: json.bytes, hour: record.key.hour, tupleCount: record.tupleCount)
    }

    /// The rules by their groups and directions, as in recorded logs: outbound first.
    private static func lists(
        of rules: [PendingTuples<Log, Rule>.RuleTuples]
    ) -> [(id: UUID, rules: [PendingTuples<Log, Rule>.RuleTuples])] {
        let sorted = rules.sorted { $0.rule.rule.stands(before: $1.rule.rule, first: .outbound) }
        var lists: [(id: UUID, rules: [PendingTuples<Log, Rule>.RuleTuples])] = []
        for rule in sorted {
            let place = lists.firstIndex {
                $0.id == rule.rule.list && $0.rules[0].rule.rule.direction == rule.rule.rule.direction
            }
            if let place { lists[place].rules.append(rule) } else { lists.append((rule.rule.list, [rule])) }
        }
        return lists
    }
}
