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

extension JudgedPacket {
    /// Nil for a packet that is not a decision of ours, or that is cut before its addresses.
    init?(_ packet: LoggedPacket, links: LinkTable) {
        guard let mark = DecisionMark(packet.prefix), let header = packet.header else { return nil }
        func name(_ index: UInt32?) -> String? { index.flatMap { links.byIndex[$0]?.name } }
        let tracked = FlowTuple(
            protocol: header.protocol, source: header.source, destination: header.destination,
            sourcePort: header.sourcePort, destinationPort: header.destinationPort, icmpType: header.icmpType)
        let flow =
            header.isAuthenticated
            ? FlowTuple(protocol: .ah, source: header.source, destination: header.destination) : tracked
        self.init(
            time: Timestamp(nanoseconds: packet.time), mark: mark, entryDevice: name(packet.inputInterface),
            exitDevice: name(packet.outputInterface), flow: flow, tracked: tracked,
            bytes: UInt64(header.totalLength))
    }
}

extension ConntrackTable {
    /// The numbers of rules in the labels of all connections.
    mutating func ruleNumbers() throws(KernelError) -> Set<RuleNumber> {
        Set(try dump().flatMap { $0.label.map { FlowLabel.numbers(of: $0.bits) } ?? [] })
    }
}
