import FlowLog
import NSGEngine
import PacketLog

/// The captures that run. The daemon alone reads the packet log, so they are taken from its stream.
struct DecisionCaptures {
    struct Capture {
        var filter: DecisionFilter
        /// Packets that are still wanted; nil for all that come.
        var remaining: Int?
        let stream: CaptureStream
        /// Which sides the filter admits, found out once for each: they are objects that many records share. Holds
        /// them, so that no other takes the place of one.
        private var admitted: [ObjectIdentifier: (side: LoggedSide, isAdmitted: Bool)] = [:]
        private static let mostKnown = 4096

        init(_ filter: DecisionFilter, count: Int?, _ stream: CaptureStream) {
            self.filter = filter
            remaining = count
            self.stream = stream
        }

        mutating func admits(_ record: FlowRecord) -> Bool {
            guard filter.admitsQuickly(record) else { return false }
            let key = ObjectIdentifier(record.side)
            if let known = admitted[key] { return known.isAdmitted }
            let isAdmitted = filter.admits(record.side)
            if admitted.count >= Self.mostKnown { admitted = [:] }
            admitted[key] = (record.side, isAdmitted)
            return isAdmitted
        }
    }

    static let most = 16
    private var running: [(identity: UInt64, capture: Capture)] = []
    private var last: UInt64 = 0

    var isEmpty: Bool { running.isEmpty }

    /// Nil where there are as many as may be.
    mutating func begin(_ capture: Capture) -> UInt64? {
        guard running.count < Self.most else { return nil }
        last += 1
        running.append((last, capture))
        return last
    }

    /// False for one that has ended.
    mutating func end(_ identity: UInt64) -> Bool {
        guard let index = running.firstIndex(where: { $0.identity == identity }) else { return false }
        running.remove(at: index).capture.stream.end()
        return true
    }

    /// Hands a packet to the captures that want it. Gives those that have all they wanted by that.
    /// - Parameter records: of the packet. Those of interfaces that passed it on to one that refused it, and ends of
    ///   flows, are no decisions about it.
    mutating func offer(_ packet: LoggedPacket, _ records: ArraySlice<FlowRecord>) -> [UInt64] {
        guard let bytes = packet.bytes, let header = packet.header else { return [] }
        let refused = records.filter { $0.change == .denied }
        var decisions = refused.isEmpty ? records.filter { $0.change == .began } : refused
        var complete: [UInt64] = []
        for index in running.indices {
            guard let first = decisions.firstIndex(where: { running[index].capture.admits($0) }) else { continue }
            decisions.swapAt(0, first)
            let isTaken = running[index].capture.stream.put(
                time: Timestamp(nanoseconds: packet.time), bytes: bytes, length: max(header.totalLength, bytes.count),
                decisions)
            guard isTaken, let remaining = running[index].capture.remaining else { continue }
            running[index].capture.remaining = remaining - 1
            if remaining == 1 { complete.append(running[index].identity) }
        }
        return complete
    }
}
