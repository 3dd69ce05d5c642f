package import FlowLog
package import NSGCompiler
package import NSGModel

/// A first packet as the kernel copied it to the packet log.
package struct JudgedPacket: Hashable, Sendable {
    package var time: Timestamp
    package var mark: DecisionMark
    /// Names of the devices it came in and goes out through; nil at the ends of this machine.
    package var entryDevice: String?
    package var exitDevice: String?
    package var flow: FlowTuple
    /// Its connection, whose flow is another where rules and conntrack see different headers: behind an authentication
    /// header of IPv6 conntrack tracks the protocol inside (`ipv6_skip_exthdr`), while rules see AH. Nil where the
    /// kernel did not say.
    package var connection: Connection?
    /// Of the whole packet, from the IP header on.
    package var bytes: UInt64

    package init(
        time: Timestamp, mark: DecisionMark, entryDevice: String?, exitDevice: String?, flow: FlowTuple,
        connection: Connection? = nil, bytes: UInt64
    ) {
        self.time = time
        self.mark = mark
        self.entryDevice = entryDevice
        self.exitDevice = exitDevice
        self.flow = flow
        self.connection = connection
        self.bytes = bytes
    }
}

/// A connection as the kernel tracks it.
package struct Connection: Hashable, Sendable {
    /// Lasts as long as the entry, and may come again after it.
    package var id: UInt32
    /// As rules see it: the opener's address before source NAT, the other's after destination NAT (S7).
    package var flow: FlowTuple
    /// Nil where the message did not carry it.
    package var label: UInt128?
    /// Totals since the connection began; nil where the message did not carry them, or accounting was off.
    package var totals: FlowCounters?
    /// A TCP connection that has been closed or reset; its entry only waits to be forgotten.
    package var isClosed: Bool

    package init(id: UInt32, flow: FlowTuple, label: UInt128?, totals: FlowCounters?, isClosed: Bool) {
        self.id = id
        self.flow = flow
        self.label = label
        self.totals = totals
        self.isClosed = isClosed
    }
}

extension Connection {
    package var key: FlowKey { FlowKey(id: id, flow: flow) }
}
