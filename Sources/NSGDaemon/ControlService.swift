import ControlProtocol
import Dispatch
import Glibc
import JSONText
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import Synchronization
import SystemServices

/// Answers `io.nsgd.Control`: reads from snapshots on the server's queue, hands changes to the enforcer's.
struct ControlService: ControlHandler {
    let enforcer: Enforcer
    let observer: FlowObserver
    let metrics: MetricsPublisher
    let analytics: TrafficAnalytics
    let status: StatusReport
    let permissions: ControlPermissions
    let options: DaemonOptions

    func allows(_ peer: Peer, _ access: ControlInterface.Access) -> Bool { permissions.allow(peer, access) }

    func handle(_ call: VarlinkCall, from peer: Peer, reply: ReplyStream) {
        switch ControlInterface.Method(rawValue: call.name) {
        case .status: reportStatus(reply)
        case .metrics: reportMetrics(reply)
        case .check: check(call.parameters["directory"]?.string, by: peer, reply)
        case .compile: compile(statistics: call.parameters["statistics"]?.bool ?? false, reply)
        case .verify: verify(call.parameters, reply)
        case .verifyBatch: verifyBatch(call.parameters["queries"]?.array ?? [], reply)
        case .reload: reload(reply)
        case .log: log(call, reply)
        case .verifyLog: verifyLog(reply)
        case .capture: capture(call, reply)
        case .flows: flows(call, reply)
        case .endFlows: endFlows(call, by: peer, reply)
        case .traffic: traffic(call.parameters, reply)
        case .flush: flush(reply)
        case .updateServiceTags: updateServiceTags(call.parameters, reply)
        case .showServiceTag: showServiceTag(call.parameters, reply)
        case .lookUpServiceTags: lookUpServiceTags(call.parameters, reply)
        case .ping: reply.end()
        case nil: reply.fail(.methodNotFound(call.method))
        }
    }

    func onObserver(
        _ reply: ReplyStream, _ work: @escaping @Sendable (ReplyStream, isolated FlowObserver) -> Void
    ) {
        observer.executor.queue.async { observer.assumeIsolated { work(reply, $0) } }
    }

    // MARK: Documents

    private func check(_ directory: String?, by peer: Peer, _ reply: ReplyStream) {
        // The daemon may read what its readers may not.
        guard directory == nil || allows(peer, .change) else { return reply.fail(.permissionDenied) }
        enforcer.executor.queue.async {
            var faults: [Fault] = []
            do throws(ConfigurationFaults) {
                let sources = try ConfigurationFolder.read(
                    directory ?? options.configuration, serviceTags: "\(options.state)/service-tags.json")
                _ = try configuration(from: sources)
            } catch {
                faults = error.faults
            }
            reply.end(["faults": JSONValue(faults.map(\.json))])
        }
    }

    private func compile(statistics: Bool, _ reply: ReplyStream) {
        guard let policy = enforcer.policy.withLock({ $0 }) else {
            return reply.fail(.notFound, ["what": "nothing is enforced"])
        }
        var members: [(String, JSONValue)] = [("ruleset", JSONValue(policy.ruleset.description))]
        if statistics { members.append(("statistics", RulesetStatistics(policy.ruleset, policy.statistics).json)) }
        reply.end(JSONValue(object: members))
    }

    // MARK: Questions

    private func verify(_ parameters: JSONValue, _ reply: ReplyStream) {
        guard let policy = enforcer.policy.withLock({ $0 }) else {
            return reply.fail(.notFound, ["what": "nothing is enforced"])
        }
        do throws(FlowQuery.Problem) {
            let query = try FlowQuery(parameters["query"] ?? .init(object: []))
            var answer = try policy.answer(query).json
            if parameters["explain"]?.bool ?? false {
                answer = answer.adding("explanation", try policy.explanation(of: query))
            }
            reply.end(["answer": answer])
        } catch {
            reply.fail(.badQuery, ["message": JSONValue(error.description)])
        }
    }

    private func verifyBatch(_ queries: [JSONValue], _ reply: ReplyStream) {
        guard let policy = enforcer.policy.withLock({ $0 }) else {
            return reply.fail(.notFound, ["what": "nothing is enforced"])
        }
        reply.end(["answers": JSONValue(queries.map { policy.batchAnswer($0) })])
    }

    // MARK: Changes

    private func reload(_ reply: ReplyStream) {
        enforcer.executor.queue.async {
            let outcome = enforcer.assumeIsolated { $0.reload() }
            switch outcome {
            case .applied(_, let notes):
                reply.end(["outcome": Self.outcome("applied", outcome.message, notes)])
            case .unchanged(let notes):
                reply.end(["outcome": Self.outcome("unchanged", outcome.message, notes)])
            case .faulty(let faults):
                reply.fail(.configurationFaulty, ["faults": JSONValue(faults.map(\.json))])
            case .refused(let message):
                reply.fail(.kernelRefused, ["message": JSONValue(message)])
            }
        }
    }

    private static func outcome(_ result: String, _ message: String, _ notes: [String]) -> JSONValue {
        ["result": JSONValue(result), "message": JSONValue(message), "notes": JSONValue(notes.map { JSONValue($0) })]
    }

    private func flush(_ reply: ReplyStream) {
        enforcer.executor.queue.async {
            switch enforcer.assumeIsolated({ $0.flush() }) {
            case .success: reply.end()
            case .failure(let error): reply.fail(.kernelRefused, ["message": JSONValue("\(error)")])
            }
        }
    }

    // MARK: Log

    private func verifyLog(_ reply: ReplyStream) {
        onObserver(reply) { reply, observer in
            observer.prove { proof in
                guard let proof else { return reply.fail(.notFound, ["what": "no rules are in the kernel"]) }
                reply.end(["lines": proof.json])
            }
        }
    }

    private func log(_ call: VarlinkCall, _ reply: ReplyStream) {
        let filter = LogFilter(
            deniedOnly: call.parameters["denied"]?.bool ?? false, networkInterface: call.parameters["nic"]?.string)
        let follows = call.parameters["follow"]?.bool ?? false
        if follows, !call.more { return reply.fail(.expectedMore) }
        let takesMore = call.more
        onObserver(reply) { reply, observer in
            if follows {
                let identity = FollowerIdentity.next()
                observer.addFollower(identity) { line in
                    guard reply.isOpen else { return false }
                    return filter.admits(line) ? reply.sendRecord(line) : true
                }
                let watcher = self.observer
                reply.onClose {
                    watcher.executor.queue.async { watcher.assumeIsolated { $0.removeFollower(identity) } }
                }
                return
            }
            let recent = observer.recentLines().filter(filter.admits)
            guard let last = recent.last else { return reply.end() }
            if takesMore {
                for line in recent.dropLast() { _ = reply.sendRecord(line) }
            }
            reply.endRecord(last)
        }
    }
}

/// Tells those who follow the log apart.
private enum FollowerIdentity {
    private static let last = Atomic<UInt64>(0)
    static func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}

private struct LogFilter: Sendable {
    var deniedOnly: Bool
    /// Name or id.
    var networkInterface: String?

    func admits(_ line: LogLine) -> Bool {
        if deniedOnly && !line.isDenied { return false }
        guard let networkInterface else { return true }
        guard let id = line.networkInterface else { return false }
        return id == ResourceID(networkInterface) || id.name.lowercased() == networkInterface.lowercased()
    }
}

extension ReplyStream {
    fileprivate func sendRecord(_ line: LogLine) -> Bool { send(["record": line.json]) }
    fileprivate func endRecord(_ line: LogLine) { end(["record": line.json]) }
}

extension LogLine {
    fileprivate var json: JSONValue { (try? JSONValue(parsing: text, dialect: .json)) ?? .init(object: []) }
}
