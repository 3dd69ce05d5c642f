import ControlProtocol
import Dispatch
import JSONText
import NSGEngine
import Synchronization

// `Capture`: packets of decisions to a client (F7).
extension ControlService {
    func capture(_ call: VarlinkCall, _ reply: ReplyStream) {
        guard call.more else { return reply.fail(.expectedMore) }
        let (count, seconds) = (call.parameters["count"]?.int, call.parameters["seconds"]?.int)
        guard count.map({ $0 > 0 }) ?? true, seconds.map({ (1...86_400).contains($0) }) ?? true else {
            return Self.refuse(reply, "count is at least 1, and seconds are 1 to 86400")
        }
        let filter: DecisionFilter
        do throws(DecisionFilter.Problem) {
            filter = try DecisionFilter(call.parameters["filter"] ?? [:])
        } catch { return Self.refuse(reply, error.description) }

        let stream = CaptureStream(reply)
        let policy = enforcer.policy.withLock { $0 }
        // Rules are many.
        stream.queue.async {
            if let problem = policy.flatMap(filter.problem) { return Self.refuse(reply, problem.description) }
            let capture = DecisionCaptures.Capture(filter, count: count, stream)
            observer.executor.queue.async {
                observer.assumeIsolated { observer in
                    begin(capture, for: seconds, reply, at: observer)
                }
            }
        }
    }

    private func begin(
        _ capture: DecisionCaptures.Capture, for seconds: Int?, _ reply: ReplyStream, at observer: isolated FlowObserver
    ) {
        do throws(DecisionFilter.Problem) {
            let identity = try observer.begin(capture)
            let queue = observer.executor.queue
            let end: @Sendable () -> Void = { [observer] in observer.assumeIsolated { $0.endCapture(identity) } }
            reply.onClose { queue.async(execute: end) }
            if let seconds { queue.asyncAfter(deadline: .now() + .seconds(seconds), execute: end) }
        } catch { Self.refuse(reply, error.description) }
    }

    private static func refuse(_ reply: ReplyStream, _ message: String) {
        reply.fail(.badQuery, ["message": JSONValue(message)])
    }
}
