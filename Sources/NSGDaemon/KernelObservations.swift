import ConntrackKernel
import FlowLog
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import PacketLog
import SystemServices

// From the kernel's terms to those of the tracker.

extension Connection {
    init(_ entry: ConntrackEntry) {
        // The reply's source is the destination after translation; the original's source is the opener before it (S7).
        let hasPorts = entry.protocol.hasPorts
        let flow = FlowTuple(
            protocol: entry.protocol, source: entry.original.source, destination: entry.reply.source,
            sourcePort: hasPorts ? entry.original.sourcePort : nil,
            destinationPort: hasPorts ? entry.reply.sourcePort : nil, icmpType: entry.original.icmp?.type)
        var totals: FlowCounters?
        if let original = entry.originalCounters {
            totals = FlowCounters(
                packetsSent: original.packets, bytesSent: original.bytes,
                packetsReceived: entry.replyCounters?.packets ?? 0, bytesReceived: entry.replyCounters?.bytes ?? 0)
        }
        self.init(
            id: entry.id, flow: flow, label: entry.label?.bits, totals: totals,
            isClosed: entry.tcpState?.isClosed ?? false)
    }
}

extension LiveConnection {
    init(_ entry: ConntrackEntry) {
        let hasPorts = entry.protocol.hasPorts
        self.init(
            connection: Connection(entry),
            askedFor: End(
                address: entry.original.destination, port: hasPorts ? entry.original.destinationPort : nil),
            answered: End(address: entry.reply.destination, port: hasPorts ? entry.reply.destinationPort : nil),
            state: entry.tcpState?.name ?? (entry.status.contains(.seenReply) ? "REPLIED" : "UNREPLIED"),
            timeout: entry.timeout, start: entry.start.map(Timestamp.init(nanoseconds:)))
    }
}

extension ConntrackEntry.TCPState {
    /// As `conntrack -L` prints it.
    fileprivate var name: String {
        switch self {
        case .none: "NONE"
        case .synSent: "SYN_SENT"
        case .synReceived: "SYN_RECV"
        case .established: "ESTABLISHED"
        case .finWait: "FIN_WAIT"
        case .closeWait: "CLOSE_WAIT"
        case .lastAck: "LAST_ACK"
        case .timeWait: "TIME_WAIT"
        case .close: "CLOSE"
        case .synSent2: "SYN_SENT2"
        }
    }
}

extension JudgedPacket {
    /// Nil for a packet that is cut before its addresses.
    /// - Parameter mark: what its prefix says.
    init?(_ packet: LoggedPacket, mark: DecisionMark, links: LinkTable) {
        guard let header = packet.header else { return nil }
        func name(_ index: UInt32?) -> String? { index.flatMap { links.byIndex[$0]?.name } }
        let flow =
            header.isAuthenticated
            ? FlowTuple(protocol: .ah, source: header.source, destination: header.destination)
            : FlowTuple(
                protocol: header.protocol, source: header.source, destination: header.destination,
                sourcePort: header.sourcePort, destinationPort: header.destinationPort, icmpType: header.icmpType)
        self.init(
            time: Timestamp(nanoseconds: packet.time), mark: mark, entryDevice: name(packet.inputInterface),
            exitDevice: name(packet.outputInterface), flow: flow, connection: packet.connection.map(Connection.init),
            bytes: UInt64(header.totalLength))
    }
}

extension ConntrackTable {
    /// The numbers of rules in the labels of all connections.
    mutating func ruleNumbers() throws(KernelError) -> Set<RuleNumber> {
        var labels: Set<UInt128> = []
        try dump { entry in if let label = entry.label { labels.insert(label.bits) } }
        return Set(labels.flatMap(FlowLabel.numbers(of:)))
    }
}
