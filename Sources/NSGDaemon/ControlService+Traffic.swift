import AnalyticsStore
import ControlProtocol
import Dispatch
import FlowLog
import JSONText
import SystemServices
import TrafficReport

extension ControlService {
    /// With what has been handed over until now. Answered on the queue of traffic analytics.
    func traffic(_ parameters: JSONValue, _ reply: ReplyStream) {
        let query: TrafficQuery
        do throws(TrafficQuery.Problem) {
            query = try TrafficQuery(parameters)
        } catch {
            return reply.fail(.badQuery, ["message": JSONValue(error.description)])
        }
        onObserver(reply) { [analytics] reply, observer in
            observer.refreshTraffic()
            analytics.executor.queue.async {
                analytics.assumeIsolated { analytics in
                    do throws(StoreError) {
                        reply.end(["traffic": try analytics.summary(query).json])
                    } catch {
                        let remedy =
                            error.isInterruption
                            ? "the question takes too long; ask for a shorter time with --since"
                            : "traffic analytics cannot be read: \(error)"
                        reply.fail(.notFound, ["what": JSONValue(remedy)])
                    }
                }
            }
        }
    }
}
