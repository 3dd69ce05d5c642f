import JSONText
package import NSGModel
package import NetworkTypes

/// Reads lines of `flows.jsonl` back: what `LineWriter` has written, and what else is of that form (F8).
///
/// What a line leaves out comes from the documents: the virtual network of an interface and the GUIDs of groups. A C or
/// an E does not tell how its B was known; it is read as if from a packet. Costs some 10 microseconds a line.
package struct LogEntryReader: Sendable {
    private let guid: @Sendable (ResourceID) -> UUID
    private let network: @Sendable (ResourceID) -> ResourceID?
    /// Lines of the same interface and rules share what they have in common.
    private var sides: [SideFacts: LoggedSide] = [:]
    private static let mostSides = 16_384

    /// - Parameters:
    ///   - guid: `resourceGuid` of a security group, or of the manager of a collection of admin rules.
    ///   - network: the virtual network of an interface.
    package init(
        guid: @escaping @Sendable (ResourceID) -> UUID, network: @escaping @Sendable (ResourceID) -> ResourceID?
    ) {
        self.guid = guid
        self.network = network
    }

    /// A line without its newline. Nil for one that is no record, or was cut.
    package mutating func entry(_ line: some Collection<UInt8>) -> LogEntry? {
        guard let json = try? JSONValue(parsing: Array(line), dialect: .json), let time = json.time("time") else {
            return nil
        }
        switch json["event"]?.string {
        case "gap": return GapRecord(json, to: time).map(LogEntry.gap)
        case "decision": return record(json, time, isDecision: true).map(LogEntry.flow)
        case "flow": return record(json, time, isDecision: false).map(LogEntry.flow)
        default: return nil
        }
    }

    private mutating func record(_ json: JSONValue, _ time: Timestamp, isDecision: Bool) -> FlowRecord? {
        guard let flow = FlowTuple(json), let direction = json["direction"]?.string.flatMap(Direction.init(rawValue:)),
            let change = FlowChange(json), let stages = json["stages"]?.array
        else { return nil }
        let id = json["nic"]?.string.map { ResourceID($0) }
        let interface = LoggedInterface(
            networkInterface: id, virtualNetwork: id.flatMap(network), device: json["interface"]?.string,
            macAddress: json["macAddress"]?.string.flatMap { MACAddress($0) } ?? .unknown)
        let records = stages.compactMap { StageRecord($0, guid: guid) }
        guard records.count == stages.count else { return nil }
        var facts = SideFacts(
            interface: interface, direction: direction, stages: records, isPlatform: json["platform"]?.bool ?? false,
            isPassedOn: json["passedOn"]?.bool ?? false)
        if json["adopted"]?.bool ?? false {
            facts.attribution = .adopted
        } else if case .began = change, !isDecision {
            facts.attribution = .label
        }
        var isRefused = false
        switch change {
        case .denied, .deniedAgain: isRefused = true
        case .began, .continued, .ended: break
        }
        return FlowRecord(
            time: time, side: side(facts), flow: flow, change: change,
            flowID: json["flow"]?.unsigned.flatMap(UInt32.init(exactly:)),
            repeats: isRefused ? 0 : json["repeats"]?.unsigned ?? 0,
            total: json["total"]?.array.flatMap { FlowCounters($0.compactMap(\.unsigned)) })
    }

    private mutating func side(_ facts: SideFacts) -> LoggedSide {
        if let side = sides[facts] { return side }
        if sides.count >= Self.mostSides { sides = [:] }
        let side = LoggedSide(facts)
        sides[facts] = side
        return side
    }
}

extension JSONValue {
    fileprivate func time(_ key: String) -> Timestamp? { self[key]?.string.flatMap { Timestamp(rfc3339: $0) } }

    /// Up to 2^64 - 1, which counters may reach.
    fileprivate var unsigned: UInt64? { number.flatMap { UInt64($0.text) } }
}

extension FlowTuple {
    fileprivate init?(_ json: JSONValue) {
        let number: IPProtocol
        switch json["protocol"]?.string {
        case "TCP": number = .tcp
        case "UDP": number = .udp
        case "ICMP": number = .icmp
        default:
            guard let value = json["protocol"]?.unsigned.flatMap(UInt8.init(exactly:)) else { return nil }
            number = IPProtocol(rawValue: value)
        }
        guard let source = json["source"]?.string.flatMap({ IPAddress($0) }),
            let destination = json["destination"]?.string.flatMap({ IPAddress($0) })
        else { return nil }
        self.init(
            protocol: number, source: source, destination: destination,
            sourcePort: json["sourcePort"]?.unsigned.flatMap(UInt16.init(exactly:)),
            destinationPort: json["destinationPort"]?.unsigned.flatMap(UInt16.init(exactly:)),
            icmpType: json["icmpType"]?.unsigned.flatMap(UInt8.init(exactly:)))
    }
}

extension FlowChange {
    fileprivate init?(_ json: JSONValue) {
        switch json["state"]?.string {
        case "B": self = .began
        case "C": self = .continued(Traffic(json))
        case "E": self = .ended(Traffic(json))
        case "D":
            guard let repeats = json["repeats"]?.int, repeats > 0 else { return nil }
            self = json["again"]?.bool ?? false || repeats > 1 ? .deniedAgain(repeats) : .denied
        default: return nil
        }
    }
}

extension Traffic {
    fileprivate init(_ json: JSONValue) {
        guard let packetsSent = json["packetsSent"]?.unsigned, let bytesSent = json["bytesSent"]?.unsigned,
            let packetsReceived = json["packetsReceived"]?.unsigned, let bytesReceived = json["bytesReceived"]?.unsigned
        else {
            self = .uncounted
            return
        }
        self = .counted(
            FlowCounters(
                packetsSent: packetsSent, bytesSent: bytesSent, packetsReceived: packetsReceived,
                bytesReceived: bytesReceived))
    }
}

extension FlowCounters {
    /// Four, in the order of the properties.
    fileprivate init?(_ numbers: [UInt64]) {
        guard numbers.count == 4 else { return nil }
        self.init(
            packetsSent: numbers[0], bytesSent: numbers[1], packetsReceived: numbers[2], bytesReceived: numbers[3])
    }
}

extension StageRecord {
    fileprivate init?(_ json: JSONValue, guid: (ResourceID) -> UUID) {
        guard let level = json["level"]?.string.flatMap(PolicyLevel.init(rawValue:)),
            let group = json["networkSecurityGroup"]?.string, let name = json["ruleName"]?.string,
            let access = json["access"]?.string.flatMap(Access.init(rawValue:))
        else { return nil }
        let owner = ResourceID(json["ruleCollection"]?.string ?? group)
        let rule = RuleReference(owner: owner, qualifiedName: name, isAdmin: level == .admin)
        // One alone has no priority that is told: what stands at the end of a list of admin rules.
        let priority = json["priority"]?.int ?? SecurityRule.noAdminRule(of: owner, .inbound).priority.value
        self.init(
            level: level, rule: rule, groupGUID: guid(owner), priority: Priority(priority),
            access: access, location: json["file"]?.string.flatMap { NSGModel.SourceLocation($0) },
            isDerived: json["derived"]?.bool ?? false)
    }
}

extension RuleReference {
    /// - Parameter text: as `qualifiedName` gives it.
    package init(owner: ResourceID, qualifiedName text: String, isAdmin: Bool) {
        if isAdmin {
            self.init(owner: owner, name: text, kind: .admin)
        } else if let name = text.after("defaultSecurityRules/") {
            self.init(owner: owner, name: name, kind: .default)
        } else {
            self.init(owner: owner, name: text.after("securityRules/") ?? text, kind: .custom)
        }
    }
}

extension String {
    fileprivate func after(_ prefix: String) -> String? { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil }
}

extension NSGModel.SourceLocation {
    /// `FILE:LINE`
    fileprivate init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let line = Int(text[text.index(after: colon)...]) else { return nil }
        self.init(file: String(text[..<colon]), line: line)
    }
}

extension GapRecord {
    fileprivate init?(_ json: JSONValue, to: Timestamp) {
        guard let from = json.time("from"), let missing = json["missing"]?.unsigned,
            let reason = json["reason"]?.string.flatMap(Reason.init(rawValue:))
        else { return nil }
        let passed = (json["passed"]?.array ?? []).compactMap { passed in
            passed["missing"]?.unsigned.flatMap { missing in
                CountedRule(passed, isRefused: false).map { Passed(rule: $0, missing: missing) }
            }
        }
        self.init(
            from: from, to: to, missing: missing, reason: reason, rule: CountedRule(json, isRefused: true),
            passed: passed, records: json["records"]?.unsigned ?? 0)
    }
}

extension CountedRule {
    /// Nil where no rule is named.
    fileprivate init?(_ json: JSONValue, isRefused: Bool) {
        guard let name = json["rule"]?.string else { return nil }
        guard let group = json["networkSecurityGroup"]?.string,
            let direction = json["direction"]?.string.flatMap(Direction.init(rawValue:))
        else {
            self = .platform(isRefused ? .deny : .allow)
            return
        }
        let collection = json["ruleCollection"]?.string
        self.init(
            rule: RuleReference(
                owner: ResourceID(collection ?? group), qualifiedName: name,
                isAdmin: collection != nil || name.isEmpty),
            direction: direction)
    }
}
