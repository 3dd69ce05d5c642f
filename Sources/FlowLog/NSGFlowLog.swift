package import NSGModel
package import NetworkTypes

/// What the settings and the `flowLogs` resources say about NSG flow logs.
package struct NSGFlowLogSettings: Hashable, Sendable {
    /// The GUID every record carries: of this machine, as `systemId`.
    package var systemID: UUID
    /// Seconds that one record covers.
    package var interval: UInt64
    /// For groups without a `flowLogs` resource.
    package var byDefault: FlowLogging<NSGFlowLogVersion>
    /// For groups with one.
    package var resources: [ResourceID: FlowLogging<NSGFlowLogVersion>]

    package init(
        systemID: UUID, interval: UInt64 = 60, byDefault: FlowLogging<NSGFlowLogVersion> = .enabled(.two),
        resources: [ResourceID: FlowLogging<NSGFlowLogVersion>] = [:]
    ) {
        self.systemID = systemID
        self.interval = interval
        self.byDefault = byDefault
        self.resources = resources
    }

    func version(of group: ResourceID) -> NSGFlowLogVersion? { (resources[group] ?? byDefault).log }
}

/// Collects the tuples of NSG flow logs and gives one record an interval for each group and MAC address (F3).
/// A flow's C and E go where its B went as long as its records carry the same stages.
package struct NSGFlowLogAggregator: Sendable {
    private struct Log: Hashable, Comparable, Sendable {
        var group: ResourceID
        var version: NSGFlowLogVersion
        static func < (left: Self, right: Self) -> Bool { (left.group, left.version) < (right.group, right.version) }
    }

    /// May be changed at any time; tuples that are already waiting keep their version.
    package var settings: NSGFlowLogSettings { didSet { pending.forgetPlaces() } }
    private let capacity: Int
    private var pending = PendingTuples<Log, TupleRule>()

    /// At most `capacity` tuples of about 100 bytes wait; more are written before their interval ends.
    package init(settings: NSGFlowLogSettings, capacity: Int = 131_072) {
        self.settings = settings
        self.capacity = max(capacity, 1)
    }

    /// Takes the record if it belongs into an NSG flow log. Gives blocks only when the capacity is reached: then all
    /// that waits.
    package mutating func add(_ record: FlowRecord) -> [LogBlock] {
        guard let place = pending.place(of: record) ?? place(of: record) else { return [] }
        let version = pending.subject(at: place).version
        guard record.isLogged(version) else { return [] }
        pending.add(at: record.time, to: place) { record.writeNSGFlowTuple(version, into: &$0) }
        return pending.count < capacity ? [] : flushAll(now: record.time)
    }

    /// Nil where no group that is logged decided.
    private mutating func place(of record: FlowRecord) -> Int? {
        guard let rule = record.decidingStage?.rule, rule.kind == .custom || rule.kind == .default,
            let version = settings.version(of: rule.group), record.isLogged(version)
        else { return nil }
        return pending.place(
            of: record,
            rule: TupleRule(
                name: rule.flowLogName, direction: record.direction, priority: record.decidingStage?.priority),
            subject: Log(group: rule.group, version: version),
            interval: settings.interval)
    }

    /// The records of intervals that ended at least `settling` seconds ago.
    package mutating func flush(now: Timestamp, settling: UInt64 = LogInterval.settling) -> [LogBlock] {
        pending.takeElapsed(at: now, settling: settling).map { block(for: $0, now: now) }
    }

    /// Everything that waits, whether its interval ended or not: at the end of the daemon.
    package mutating func flushAll(now: Timestamp) -> [LogBlock] {
        pending.takeAll().map { block(for: $0, now: now) }
    }

    /// What the paths of a group's files begin with; it ends in a slash.
    package static func folder(of group: ResourceID) -> String {
        "insights-logs-networksecuritygroupflowevent/resourceId=\(folders(of: group))/"
    }

    private func block(for record: PendingTuples<Log, TupleRule>.Record, now: Timestamp) -> LogBlock {
        let (log, mac) = (record.key.subject, record.key.macAddress.description)
        var json = JSONLine()
        json.append("time", now.rfc3339(fractionDigits: 7))
        json.append("systemId", settings.systemID.description)
        json.append("macAddress", mac)
        json.append("category", "NetworkSecurityGroupFlowEvent")
        json.append("resourceId", log.group.description.uppercased())
        json.append("operationName", "NetworkSecurityGroupFlowEvents")
        json.append("properties") { json in
            json.append("Version", number: UInt64(log.version.rawValue))
            let rules = record.rules.sorted { $0.rule.stands(before: $1.rule, first: .inbound) }
            json.append("flows", objects: rules) { rule, json in
                json.append("rule", rule.rule.name)
                json.append("flows", objects: [rule.tuples]) { tuples, json in
                    json.append("mac", mac)
                    json.append("flowTuples", raw: tuples)
                }
            }
        }
        json.end()
        let path = "\(Self.folder(of: log.group))\(record.key.hour)/macAddress=\(mac)/PT1H.json"
        return LogBlock(path: path, record: json.bytes, hour: record.key.hour, tupleCount: record.tupleCount)
    }
}
