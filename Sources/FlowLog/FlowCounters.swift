/// Packets and bytes of a flow; bytes count from the IP header on, as conntrack's accounting does.
package struct FlowCounters: Hashable, Sendable {
    /// Sent by the side that opened the flow.
    package var packetsSent: UInt64
    package var bytesSent: UInt64
    package var packetsReceived: UInt64
    package var bytesReceived: UInt64

    package init(packetsSent: UInt64 = 0, bytesSent: UInt64 = 0, packetsReceived: UInt64 = 0, bytesReceived: UInt64 = 0)
    {
        self.packetsSent = packetsSent
        self.bytesSent = bytesSent
        self.packetsReceived = packetsReceived
        self.bytesReceived = bytesReceived
    }

    package static let zero = FlowCounters()

    /// From running totals to an increment. A total that went back was reset (`conntrack -Z`), and counts from zero.
    package func increment(since previous: FlowCounters) -> FlowCounters {
        func difference(_ counter: KeyPath<FlowCounters, UInt64>) -> UInt64 {
            let (now, before) = (self[keyPath: counter], previous[keyPath: counter])
            return now >= before ? now - before : now
        }
        return FlowCounters(
            packetsSent: difference(\.packetsSent), bytesSent: difference(\.bytesSent),
            packetsReceived: difference(\.packetsReceived), bytesReceived: difference(\.bytesReceived))
    }
}
