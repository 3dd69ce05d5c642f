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
        guard isLogged(version) else { return nil }
        var bytes: [UInt8] = []
        writeNSGFlowTuple(version, into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    func isLogged(_ version: NSGFlowLogVersion) -> Bool {
        guard !isPlatform, loggedPorts != nil else { return false }
        switch (version, change) {
        case (_, .deniedAgain), (.one, .continued), (.one, .ended): return false
        case (_, .began), (_, .denied), (.two, .continued), (.two, .ended): return true
        }
    }

    /// Of a record that `isLogged`.
    func writeNSGFlowTuple(_ version: NSGFlowLogVersion, into bytes: inout [UInt8]) {
        let comma = UInt8(ascii: ",")
        bytes.append(decimal: time.seconds)
        writeEnds(into: &bytes)
        bytes.append(flow.protocol == .tcp ? UInt8(ascii: "T") : UInt8(ascii: "U"))
        bytes.append(comma)
        bytes.append(direction.letterByte)
        bytes.append(comma)
        bytes.append(access == .allow ? UInt8(ascii: "A") : UInt8(ascii: "D"))
        guard version == .two else { return }
        bytes.append(comma)
        switch change {
        case .continued(let traffic), .ended(let traffic):
            bytes.append(change.letterByte)
            bytes.append(comma)
            traffic.write(into: &bytes)
        case .began, .denied, .deniedAgain:
            bytes.append(UInt8(ascii: "B"))
            for _ in 0..<4 { bytes.append(comma) }
        }
    }

    /// `,10.1.0.4,203.0.113.9,50030,443,`
    func writeEnds(into bytes: inout [UInt8]) {
        let comma = UInt8(ascii: ",")
        bytes.append(comma)
        bytes.append(flow.source)
        bytes.append(comma)
        bytes.append(flow.destination)
        bytes.append(comma)
        bytes.append(decimal: flow.sourcePort ?? 0)
        bytes.append(comma)
        bytes.append(decimal: flow.destinationPort ?? 0)
        bytes.append(comma)
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
    var letterByte: UInt8 {
        switch self {
        case .inbound: UInt8(ascii: "I")
        case .outbound: UInt8(ascii: "O")
        }
    }
}

extension Traffic {
    /// Packets and bytes sent, packets and bytes received. Azure's schema cannot say "not counted": that is 0, and only
    /// `flows.jsonl` tells the difference.
    func write(into bytes: inout [UInt8]) {
        let counters =
            switch self {
            case .counted(let counters): counters
            case .uncounted: FlowCounters.zero
            }
        bytes.append(decimal: counters.packetsSent)
        bytes.append(UInt8(ascii: ","))
        bytes.append(decimal: counters.bytesSent)
        bytes.append(UInt8(ascii: ","))
        bytes.append(decimal: counters.packetsReceived)
        bytes.append(UInt8(ascii: ","))
        bytes.append(decimal: counters.bytesReceived)
    }
}
