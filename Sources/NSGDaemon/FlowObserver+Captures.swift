import FlowLog
import NSGEngine
import PacketLog

// Captures of decided packets (F7).
extension FlowObserver {
    /// Begins a capture and says so on its stream once every packet that comes will be seen. Throws what keeps it from
    /// beginning.
    func begin(_ capture: DecisionCaptures.Capture) throws(DecisionFilter.Problem) -> UInt64 {
        guard let packetReader else {
            throw DecisionFilter.Problem(
                description: losses.captureProblem
                    ?? "no packets are copied, as flow logs are off (flowLogs.enabled in nsgd.json)")
        }
        guard let identity = captures.begin(capture) else {
            throw DecisionFilter.Problem(
                description: "\(DecisionCaptures.most) captures run already; end one of them first")
        }
        packetReader.keepBytes(true) { capture.stream.begin() }
        return identity
    }

    /// Ends a capture, if that has not happened yet.
    func endCapture(_ identity: UInt64) {
        if captures.end(identity), captures.isEmpty { packetReader?.keepBytes(false) {} }
    }

    /// Called for each packet that comes with its bytes.
    func capture(_ packet: LoggedPacket, _ records: ArraySlice<FlowRecord>) {
        for identity in captures.offer(packet, records) { endCapture(identity) }
    }
}
