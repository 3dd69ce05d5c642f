import ConntrackKernel
import NSGCompiler
import NetworkTypes
import PacketLog
import SystemServices

/// Completes allowed packets with their connections where the kernel attaches none (no
/// `CONFIG_NETFILTER_NETLINK_GLUE_CT`): by asking conntrack for them, a batch at once. That is off the packets' way,
/// which events of new connections would hold up. Used on the packet log's queue alone.
final class ConnectionFinder: @unchecked Sendable {
    private var connections: ConntrackTable
    private static let allowed = DecisionMark.allowed.description

    init() throws(KernelError) { connections = try ConntrackTable() }

    /// What is not found has ended by now, or was dropped behind us.
    func complete(_ batch: inout PacketBatch) {
        let missing = batch.packets.indices.filter { index in
            batch.packets[index].connection == nil && batch.packets[index].prefix == Self.allowed
        }
        let rest = complete(missing, of: &batch)
        guard !rest.isEmpty else { return }
        // The last of a batch may be on its way through the hooks still: it is tracked when it is through.
        Clock.sleep(nanoseconds: 1_000_000)
        _ = complete(rest, of: &batch)
    }

    /// - Returns: those without a connection.
    private func complete(_ indexes: [Int], of batch: inout PacketBatch) -> [Int] {
        let asked = indexes.compactMap { index in
            batch.packets[index].header.flatMap(ConntrackTable.PacketTuple.init).map { (index, $0) }
        }
        guard !asked.isEmpty, let found = try? connections.entries(of: asked.map(\.1)) else { return [] }
        var rest: [Int] = []
        for ((index, _), entry) in zip(asked, found) {
            batch.packets[index].connection = entry
            if entry == nil { rest.append(index) }
        }
        return rest
    }
}

extension ConntrackTable.PacketTuple {
    /// Nil for fragments, which tell no ports.
    init?(_ header: PacketHeader) {
        var tuple = ConntrackTuple(
            source: header.source, destination: header.destination, sourcePort: header.sourcePort ?? 0,
            destinationPort: header.destinationPort ?? 0)
        if header.protocol.hasPorts, header.sourcePort == nil || header.destinationPort == nil { return nil }
        if let type = header.icmpType {
            tuple.icmp = ConntrackTuple.ICMP(
                type: type, code: header.icmpCode ?? 0, identifier: header.icmpIdentifier ?? 0)
        }
        self.init(protocol: header.protocol, tuple: tuple)
    }
}
