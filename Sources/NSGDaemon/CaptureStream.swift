import ControlProtocol
import Dispatch
import FlowLog
import JSONText
import Synchronization

/// The packets of one capture on their way to its client. They are put into words on a queue of its own, and left out
/// and counted where the client is slow: the flow log waits for nobody.
final class CaptureStream: Sendable {
    private struct State {
        /// Bytes of packets on the queue, as they will be sent.
        var waiting = 0
        /// Packets that were left out.
        var leftOut = 0
    }

    let queue = DispatchQueue(label: "capture")
    private let reply: ReplyStream
    private let state = Mutex(State())
    /// A thousand packets, as many as come at once. Together with what waits for the client they stay below what
    /// drops it (`ControlLimits.queuedBytes`).
    private static let mostWaiting = 1 << 20
    private static let mostQueued = 1 << 19

    init(_ reply: ReplyStream) { self.reply = reply }

    /// The first reply: what is decided from now on will come.
    func begin() {
        queue.async { [self] in send([]) }
    }

    /// From any queue. False where the packet was left out.
    func put(time: Timestamp, bytes: [UInt8], length: Int, _ records: [FlowRecord]) -> Bool {
        let isSlow = reply.queuedBytes > Self.mostQueued
        let size = CapturedPacket.size(bytes: bytes, records: records)
        let isTaken = state.withLock { state in
            if isSlow || state.waiting + size > Self.mostWaiting {
                state.leftOut += 1
                return false
            }
            state.waiting += size
            return true
        }
        guard isTaken else { return false }
        queue.async { [self] in
            state.withLock { $0.waiting -= size }
            let packet = CapturedPacket(time: time, bytes: bytes, length: length, records: records)
            send([("packet", packet.json)])
        }
        return true
    }

    /// Behind everything that was put.
    func end() {
        queue.async { [self] in reply.end(JSONValue(object: [leftOut])) }
    }

    private func send(_ members: [(String, JSONValue)]) { reply.send(JSONValue(object: members + [leftOut])) }

    private var leftOut: (String, JSONValue) { ("leftOut", JSONValue(state.withLock { $0.leftOut })) }
}
