package import NetworkTypes

/// The first packet of a flow, as rules see it: after destination NAT, before source NAT (S7).
package struct FlowTuple: Hashable, Sendable, CustomStringConvertible {
    package var `protocol`: IPProtocol
    package var source: IPAddress
    package var destination: IPAddress
    /// Nil where the protocol has none, and in a query that leaves it open: then only a rule for all ports matches.
    package var sourcePort: UInt16?
    package var destinationPort: UInt16?
    /// The type of an ICMP or ICMPv6 message; nil otherwise, and in a query that leaves it open.
    package var icmpType: UInt8?

    package init(
        protocol: IPProtocol, source: IPAddress, destination: IPAddress, sourcePort: UInt16? = nil,
        destinationPort: UInt16? = nil, icmpType: UInt8? = nil
    ) {
        self.protocol = `protocol`
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.icmpType = icmpType
    }

    /// In few words: flows are looked up for each packet that is decided.
    package func hash(into hasher: inout Hasher) {
        let ports = UInt64(sourcePort ?? 0) << 16 | UInt64(destinationPort ?? 0)
        let rest = ports << 24 | UInt64(icmpType ?? 0) << 8 | UInt64(self.protocol.rawValue)
        switch (source, destination) {
        case (.v4(let source), .v4(let destination)):
            hasher.combine(UInt64(source.value) << 32 | UInt64(destination.value))
        default:
            hasher.combine(source)
            hasher.combine(destination)
        }
        hasher.combine(rest)
    }

    package var description: String {
        func end(_ address: IPAddress, _ port: UInt16?) -> String {
            guard self.protocol.hasPorts else { return "\(address)" }
            let host = address.family == .ipv6 ? "[\(address)]" : "\(address)"
            return "\(host):\(port.map(String.init) ?? "*")"
        }
        let type = icmpType.map { " type \($0)" } ?? ""
        return "\(self.protocol)\(type) \(end(source, sourcePort)) -> \(end(destination, destinationPort))"
    }
}
