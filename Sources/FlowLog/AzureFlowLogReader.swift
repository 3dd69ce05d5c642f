package import JSONText
package import NSGModel
package import NetworkTypes

/// One record of an Azure flow log, read: of NSG flow logs of versions 1 and 2 and of virtual network flow logs of
/// version 4 (FACTS i1, i2).
package struct AzureFlowLogRecord: Sendable {
    package enum Log: Hashable, Sendable {
        case securityGroup(ResourceID, NSGFlowLogVersion, systemID: UUID)
        case virtualNetwork(VNetFlowLogTarget)
    }

    /// When it was written.
    package var time: Timestamp
    package var log: Log
    package var macAddress: MACAddress
    /// Each tuple, in the order of the text. Its one stage is what the log names, at the level of the interface, as the
    /// log does not tell that; of what the platform decided there is none. Nor does it tell priorities: default rules
    /// have one behind all others.
    package var flows: [FlowRecord]
}

/// Why a document is no flow log.
package struct AzureFlowLogError: Error, Hashable, Sendable, CustomStringConvertible {
    package var path: String
    package var reason: String
    package var description: String { "\(path): \(reason)" }
}

extension AzureFlowLogRecord {
    /// Reads a document with `records`, or one record alone. The first mistake ends it.
    package static func records(in document: JSONValue) throws(AzureFlowLogError) -> [AzureFlowLogRecord] {
        guard let records = document["records"]?.array else { return [try AzureFlowLogRecord(document, "record")] }
        var read: [AzureFlowLogRecord] = []
        for (index, record) in records.enumerated() {
            read.append(try AzureFlowLogRecord(record, "records[\(index)]"))
        }
        return read
    }

    private init(_ json: JSONValue, _ path: String) throws(AzureFlowLogError) {
        func text(_ key: String) throws(AzureFlowLogError) -> String {
            guard let text = json[key]?.string else {
                throw AzureFlowLogError(path: "\(path).\(key)", reason: "required, and missing")
            }
            return text
        }
        func value<Value>(_ key: String, _ read: (String) -> Value?) throws(AzureFlowLogError) -> Value {
            let text = try text(key)
            guard let value = read(text) else {
                throw AzureFlowLogError(path: "\(path).\(key)", reason: "'\(text.prefix(80))' cannot be read")
            }
            return value
        }
        time = try value("time") { Timestamp(rfc3339: $0) }
        macAddress = try value("macAddress") { MACAddress($0) }
        flows = []
        if json["flowLogVersion"] != nil {
            let target = VNetFlowLogTarget(
                flowLog: ResourceID(try text("flowLogResourceID")), flowLogGUID: try value("flowLogGUID") { UUID($0) },
                target: ResourceID(try text("targetResourceID")))
            log = .virtualNetwork(target)
            try readLists(json["flowRecords"]?["flows"], "\(path).flowRecords.flows", network: target.target)
        } else {
            guard let version = json["properties"]?["Version"]?.int.flatMap(NSGFlowLogVersion.init(rawValue:)) else {
                throw AzureFlowLogError(path: "\(path).properties.Version", reason: "1 and 2 can be read")
            }
            let group = ResourceID(try text("resourceId"))
            log = .securityGroup(group, version, systemID: try value("systemId") { UUID($0) })
            try readRules(json["properties"]?["flows"], "\(path).properties.flows", group, version)
        }
    }

    private mutating func readRules(
        _ json: JSONValue?, _ path: String, _ group: ResourceID, _ version: NSGFlowLogVersion
    ) throws(AzureFlowLogError) {
        for (index, rule) in (json?.array ?? []).enumerated() {
            let reference = RuleReference(owner: group, flowLogName: rule["rule"]?.string ?? "")
            for (place, flow) in (rule["flows"]?.array ?? []).enumerated() {
                try readTuples(flow["flowTuples"], "\(path)[\(index)].flows[\(place)].flowTuples", reference, .zero) {
                    NSGFlowTuple($0, version)
                }
            }
        }
    }

    private mutating func readLists(
        _ json: JSONValue?, _ path: String, network: ResourceID
    ) throws(AzureFlowLogError) {
        for (index, list) in (json?.array ?? []).enumerated() {
            let acl = list["aclID"]?.string ?? ""
            for (place, group) in (list["flowGroups"]?.array ?? []).enumerated() {
                let reference = RuleReference(owner: ResourceID(acl), flowLogName: group["rule"]?.string ?? "")
                try readTuples(
                    group["flowTuples"], "\(path)[\(index)].flowGroups[\(place)].flowTuples", reference,
                    UUID(acl) ?? .zero, network: network
                ) { VNetFlowTuple($0) }
            }
        }
    }

    private mutating func readTuples(
        _ json: JSONValue?, _ path: String, _ rule: RuleReference, _ guid: UUID, network: ResourceID? = nil,
        _ read: (Substring.UTF8View) -> (any AzureFlowTuple)?
    ) throws(AzureFlowLogError) {
        let interface = LoggedInterface(
            networkInterface: nil, virtualNetwork: network, device: nil, macAddress: macAddress)
        // A side for each direction and access, however many tuples.
        var sides: [SideFacts: LoggedSide] = [:]
        for (index, value) in (json?.array ?? []).enumerated() {
            guard let text = value.string, let tuple = read(text[...].utf8) else {
                throw AzureFlowLogError(path: "\(path)[\(index)]", reason: "no tuple of this version")
            }
            var facts = SideFacts(interface: interface, direction: tuple.direction, stages: [])
            if rule.name == "PlatformRule", guid == .zero, network != nil {
                facts.isPlatform = true
            } else {
                facts.stages = [
                    StageRecord(
                        level: .nic, rule: rule, groupGUID: guid,
                        priority: Priority(rule.kind == .default ? 65_500 : Priority.written.lowerBound),
                        access: tuple.change == .denied ? .deny : .allow)
                ]
            }
            let side = sides[facts] ?? LoggedSide(facts)
            sides[facts] = side
            flows.append(FlowRecord(time: tuple.time, side: side, flow: tuple.flow, change: tuple.change))
        }
    }
}

extension RuleReference {
    /// - Parameter text: as `flowLogName` gives it. What has no prefix is taken for an admin rule's.
    fileprivate init(owner: ResourceID, flowLogName text: String) {
        for (prefix, kind) in [("UserRule_", RuleKind.custom), ("DefaultRule_", .default)] where text.hasPrefix(prefix)
        {
            self.init(owner: owner, name: String(text.dropFirst(prefix.count)), kind: kind)
            return
        }
        self.init(owner: owner, name: text, kind: .admin)
    }
}
