import ControlProtocol
import Dispatch
import JSONText
import NSGEngine

// What is enforced where, and how it goes: for people, and for Prometheus.
extension ControlService {
    func reportStatus(_ reply: ReplyStream) {
        metrics.read { reading in
            observer.executor.queue.async {
                let report = observer.assumeIsolated { $0.report() }
                reply.end(["status": status.json(observer: report, host: reading)])
            }
        }
    }

    func reportMetrics(_ reply: ReplyStream) {
        metrics.gather { reply.end(["text": JSONValue($0.text)]) }
    }
}
