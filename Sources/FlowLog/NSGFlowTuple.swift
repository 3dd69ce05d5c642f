import NSGModel
import NetworkTypes

/// The schema of an NSG flow log.
package enum NSGFlowLogVersion: Int, Hashable, Comparable, Sendable {
    /// Begin and deny only, no counters.
    case one = 1
    case two = 2

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension FlowRecord {
    /// The tuple of an NSG flow log (FACTS i1): `1795183382,10.1.0.4,203.0.113.9,50030,443,T,O,A,B,,,,`. Nil for what
    /// such a log leaves out: protocols other than TCP and UDP, platform traffic, and further packets of a refused
    /// flow.
    package func nsgFlowTuple(_ version: NSGFlowLogVersion) -> String? {
        guard !isPlatform, let ports = loggedPorts else { return nil }
        let letter = flow.protocol == .tcp ? "T" : "U"
        let common =
            "\(time.seconds),\(flow.source),\(flow.destination),\(ports.source),\(ports.destination),\(letter),"
            + "\(direction.letter),\(access == .allow ? "A" : "D")"
        switch (version, change) {
        case (_, .deniedAgain), (.one, .continued), (.one, .ended): return nil
        case (.one, .began), (.one, .denied): return common
        case (.two, .began), (.two, .denied): return common + ",B,,,,"
        case (.two, .continued(let traffic)), (.two, .ended(let traffic)):
            return "\(common),\(change.letter),\(traffic.countersText)"
        }
    }

    /// The ports of a TCP or UDP flow; nil for other protocols, which Azure's logs leave out.
    var loggedPorts: (source: UInt16, destination: UInt16)? {
        guard flow.protocol == .tcp || flow.protocol == .udp, let source = flow.sourcePort,
            let destination = flow.destinationPort
        else { return nil }
        return (source, destination)
    }
}

extension Direction {
    /// As flow tuples have it.
    var letter: String {
        switch self {
        case .inbound: "I"
        case .outbound: "O"
        }
    }
}

extension Traffic {
    /// Packets and bytes sent, packets and bytes received. Azure's schema cannot say "not counted": that is 0, and only
    /// `flows.jsonl` tells the difference.
    var countersText: String {
        let counters =
            switch self {
            case .counted(let counters): counters
            case .uncounted: FlowCounters.zero
            }
        return "\(counters.packetsSent),\(counters.bytesSent),\(counters.packetsReceived),\(counters.bytesReceived)"
    }
}
