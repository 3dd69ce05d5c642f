package import FlowLog
package import JSONText
import NSGEvaluation
import NSGModel
import NetworkTypes

extension ListedConnection {
    /// A `LiveFlow` of the control interface for each of its interfaces.
    package func documents(now: Timestamp) -> [JSONValue] { places.map { document(at: $0, now: now) } }

    private func document(at place: FlowPlace, now: Timestamp) -> JSONValue {
        var members: [(String, JSONValue)] = [("flow", JSONValue(Int(live.connection.id)))]
        members += place.place
        members += live.connection.flow.members
        members += translation
        members.append(("state", JSONValue(live.state)))
        members += traffic
        members += times(now: now)
        members += place.judgement
        if let refusal { members.append(("wouldNowDeny", refusal.json)) }
        return JSONValue(object: members)
    }

    private var translation: [(String, JSONValue)] {
        let flow = live.connection.flow
        var members: [(String, JSONValue)] = []
        if live.askedFor != LiveConnection.End(address: flow.destination, port: flow.destinationPort) {
            members += live.askedFor.members("originalDestination")
        }
        if live.answered != LiveConnection.End(address: flow.source, port: flow.sourcePort) {
            members += live.answered.members("translatedSource")
        }
        return members
    }

    /// Totals since the connection began.
    private var traffic: [(String, JSONValue)] {
        guard let totals = live.connection.totals else { return [("uncounted", true)] }
        return [
            ("packetsSent", JSONValue(totals.packetsSent)), ("bytesSent", JSONValue(totals.bytesSent)),
            ("packetsReceived", JSONValue(totals.packetsReceived)), ("bytesReceived", JSONValue(totals.bytesReceived)),
        ]
    }

    private func times(now: Timestamp) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = []
        if let start = live.start {
            members.append(("started", JSONValue(start.description)))
            members.append(("age", JSONValue(now > start ? now.seconds - start.seconds : 0)))
        }
        if let timeout = live.timeout { members.append(("timeout", JSONValue(Int(timeout)))) }
        return members
    }
}

extension SideFacts {
    /// The interface and the direction.
    var placeMembers: [(String, JSONValue)] {
        var members: [(String, JSONValue)] = []
        if let id = interface.networkInterface { members.append(("nic", JSONValue(id.description))) }
        if let device = interface.device { members.append(("interface", JSONValue(device))) }
        members.append(("direction", JSONValue(direction.rawValue)))
        return members
    }

    func judgementMembers(former: Set<PolicyLevel>) -> [(String, JSONValue)] {
        let documents = stages.map { $0.json(isFormer: former.contains($0.level)) }
        var members: [(String, JSONValue)] = [("stages", JSONValue(documents))]
        if attribution == .adopted { members.append(("adopted", true)) }
        if isPlatform { members.append(("platform", true)) }
        return members
    }
}

extension LiveConnection.End {
    fileprivate func members(_ key: String) -> [(String, JSONValue)] {
        [(key, JSONValue(address.description))] + (port.map { [("\(key)Port", JSONValue(Int($0)))] } ?? [])
    }
}

extension FlowTuple {
    /// `protocol`, and both ends.
    fileprivate var members: [(String, JSONValue)] {
        var members: [(String, JSONValue)] = [("protocol", JSONValue(`protocol`.description))]
        members += LiveConnection.End(address: source, port: sourcePort).members("source")
        members += LiveConnection.End(address: destination, port: destinationPort).members("destination")
        if let icmpType { members.append(("icmpType", JSONValue(Int(icmpType)))) }
        return members
    }
}

extension StageRecord {
    /// As in IP flow verify (K5).
    fileprivate func json(isFormer: Bool) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("level", JSONValue(level.rawValue)), ("networkSecurityGroup", JSONValue(rule.group.description)),
            ("ruleName", JSONValue(rule.qualifiedName)),
        ]
        if !rule.kind.isNoAdminRule(rule.name) { members.append(("priority", JSONValue(priority.value))) }
        members.append(("access", JSONValue(access.rawValue)))
        if let location { members.append(("file", JSONValue(location.description))) }
        if isDerived { members.append(("derived", true)) }
        if isFormer { members.append(("former", true)) }
        return JSONValue(object: members)
    }
}

extension FlowRefusal {
    fileprivate var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("nic", JSONValue(passage.interface.description)), ("direction", JSONValue(passage.direction.rawValue)),
        ]
        if let stage { members.append(("stage", stage.json)) }
        if let reason { members.append(("reason", JSONValue(reason))) }
        return JSONValue(object: members)
    }

    private var reason: String? {
        switch platform {
        case .foreignAddress: "enableIPForwarding is off, and the address is another's"
        case .blocksSMTP: "the platform blocks TCP port 25 to the Internet (platform.blockOutboundSmtp)"
        case .service, .link, nil: nil
        }
    }
}
