import ControlProtocol
import Dispatch
import FlowLog
import JSONText
import NSGEngine
import NetworkTypes
import Synchronization
import SystemServices

// Live connections over the control socket. Each call reads the kernel's table on a queue of its own, with the policy
// that was in force when it began: there may be a million connections, and a client that reads slowly.
extension ControlService {
    func flows(_ call: VarlinkCall, _ reply: ReplyStream) {
        guard call.more else { return reply.fail(.expectedMore) }
        guard let listing = listing(call.parameters, reply) else { return }
        guard let turn = ListingTurn() else { return reply.fail(.busy) }
        let limit = call.parameters["limit"]?.int.map { max($0, 0) } ?? .max
        DispatchQueue(label: "list of flows").async {
            defer { turn.end() }
            var stream = FlowStream(listing: listing, limit: limit, reply: reply)
            stream.run()
        }
    }

    func endFlows(_ call: VarlinkCall, by peer: Peer, _ reply: ReplyStream) {
        guard let listing = listing(call.parameters, mustChoose: true, reply) else { return }
        guard let turn = ListingTurn() else { return reply.fail(.busy) }
        DispatchQueue(label: "ends of flows").async {
            defer { turn.end() }
            var end = FlowEnd(listing: listing, enforcer: enforcer)
            switch end.run() {
            case .success(let outcome):
                enforcer.noteEnded(outcome, byUser: peer.user)
                reply.end([
                    "ended": JSONValue(outcome.ended), "problems": JSONValue(outcome.problems.map { JSONValue($0) }),
                ])
            case .failure(let error): reply.fail(.kernelRefused, ["message": JSONValue("\(error)")])
            }
        }
    }

    /// What the parameters ask for; where they cannot be answered the reply says so.
    private func listing(_ parameters: JSONValue, mustChoose: Bool = false, _ reply: ReplyStream) -> FlowListing? {
        guard let policy = enforcer.policy.withLock({ $0 }) else {
            reply.fail(.notFound, ["what": "nothing is enforced"])
            return nil
        }
        do throws(FlowQuery.Problem) {
            let filter = try FlowFilter(parameters, in: policy)
            if mustChoose, !filter.isSelective {
                reply.fail(.badQuery, ["message": "which connections? name some, or a filter"])
                return nil
            }
            let addresses = status.links.table.withLock { $0.deviceAddresses }
            return FlowListing(policy, localAddresses: Set(addresses.values.flatMap(\.self)), filter: filter)
        } catch {
            reply.fail(.badQuery, ["message": JSONValue(error.description)])
            return nil
        }
    }
}

/// Bounds how many of the kernel's tables are read at a time: each takes a thread and a socket.
private struct ListingTurn: Sendable {
    private static let taken = Atomic<Int>(0)
    private static let most = 8

    /// Nil where all are taken.
    init?() {
        guard Self.taken.add(1, ordering: .relaxed).newValue <= Self.most else {
            Self.taken.subtract(1, ordering: .relaxed)
            return nil
        }
    }

    func end() { Self.taken.subtract(1, ordering: .relaxed) }
}
