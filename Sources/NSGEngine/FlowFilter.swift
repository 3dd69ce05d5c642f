import FlowLog
package import JSONText
package import NSGModel
package import NetworkTypes

/// Which live connections are asked for; what is left open admits all.
package struct FlowFilter: Sendable {
    package var networkInterface: ResourceID?
    /// `NAME`, `securityRules/NAME` or `GROUP/NAME` of a rule that let the connection in, in any case.
    package var rule: String?
    /// Of the side that is not the network interface.
    package var peer: IPPrefix?
    package var `protocol`: IPProtocol?
    /// Those alone that the present policy would refuse.
    package var wouldNowDeny = false
    /// These very connections, and no others.
    package var identities: Set<FlowKey>?

    package init() {}

    /// From the parameters of `Flows` or `EndFlows`.
    package init(_ parameters: JSONValue, in policy: Policy) throws(FlowQuery.Problem) {
        if let nic = parameters["nic"]?.string {
            networkInterface = try policy.networkInterface(.networkInterface(nic))
        }
        rule = parameters["rule"]?.string?.lowercased()
        if let text = parameters["peer"]?.string {
            guard let peer = IPPrefix(text) else {
                throw FlowQuery.Problem("peer '\(text.prefix(64))' is neither an IP address nor a prefix")
            }
            self.peer = peer
        }
        if let text = parameters["protocol"]?.string {
            guard let number = IPProtocol(text) else {
                throw FlowQuery.Problem(
                    "protocol '\(text.prefix(64))' is neither a name such as TCP, UDP, ICMP nor a number 0 to 255")
            }
            `protocol` = number
        }
        wouldNowDeny = parameters["wouldNowDeny"]?.bool ?? false
        guard let flows = parameters["flows"]?.array else { return }
        var identities: Set<FlowKey> = []
        for flow in flows { identities.insert(try FlowKey(flow)) }
        self.identities = identities
    }

    /// Whether it leaves any connection out.
    package var isSelective: Bool {
        networkInterface != nil || rule != nil || peer != nil || `protocol` != nil || wouldNowDeny || identities != nil
    }

    /// What can be told without knowing where the connection passes.
    func admits(_ connection: Connection) -> Bool {
        if let wanted = `protocol`, wanted != connection.flow.protocol { return false }
        if let identities, !identities.contains(connection.key) { return false }
        return true
    }

    func admits(_ live: LiveConnection, at place: FlowPlace) -> Bool {
        if let networkInterface, place.facts.interface.networkInterface != networkInterface { return false }
        if let peer {
            let isPeer =
                switch place.facts.direction {
                case .inbound: peer.contains(live.connection.flow.source)
                case .outbound:
                    peer.contains(live.connection.flow.destination) || peer.contains(live.askedFor.address)
                }
            guard isPeer else { return false }
        }
        guard let rule else { return true }
        return place.facts.stages.contains { stage in
            let name = stage.rule.name.lowercased()
            return rule == name || rule == stage.rule.qualifiedName.lowercased()
                || rule == "\(stage.rule.group.name.lowercased())/\(name)"
        }
    }
}

extension FlowKey {
    /// A `FlowIdentity` of the control interface.
    fileprivate init(_ document: JSONValue) throws(FlowQuery.Problem) {
        func port(_ name: String) throws(FlowQuery.Problem) -> UInt16? {
            guard let value = document[name], !value.isNull else { return nil }
            guard let port = value.int.flatMap(UInt16.init(exactly:)) else {
                throw FlowQuery.Problem("\(name) of a flow is no number 0 to 65535")
            }
            return port
        }
        guard let id = document["flow"]?.int.flatMap(UInt32.init(exactly:)),
            let number = document["protocol"]?.string.flatMap({ IPProtocol($0) }),
            let source = document["source"]?.string.flatMap({ IPAddress($0) }),
            let destination = document["destination"]?.string.flatMap({ IPAddress($0) })
        else { throw FlowQuery.Problem("a flow is named by the members that Flows gave of it") }
        let type = document["icmpType"]?.int.flatMap(UInt8.init(exactly:))
        self.init(
            id: id,
            flow: FlowTuple(
                protocol: number, source: source, destination: destination, sourcePort: try port("sourcePort"),
                destinationPort: try port("destinationPort"), icmpType: type))
    }
}
