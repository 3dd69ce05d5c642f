import ConntrackKernel
import ControlProtocol
import FlowLog
import JSONText
import NSGEngine
import NetworkTypes
import SystemServices

/// Sends a client one reply for each live connection it asked for, while the kernel lists them.
struct FlowStream {
    private var listing: FlowListing
    private let limit: Int
    private let reply: ReplyStream
    private var connections = 0
    private var rows = 0
    private var sent = 0
    private var hasGone = false

    /// Bytes that may wait for the client before the reading of the table does.
    private static let mostQueued = 1 << 20
    /// How long a client may read nothing at all.
    private static let patience: UInt64 = 120_000_000_000

    /// - Parameter limit: of replies; what is beyond is counted only.
    init(listing: FlowListing, limit: Int, reply: ReplyStream) {
        self.listing = listing
        self.limit = limit
        self.reply = reply
    }

    mutating func run() {
        do throws(KernelError) {
            var table = try ConntrackTable()
            // One that moves, or is listed again after an interruption, comes twice.
            try table.dump { entry in take(LiveConnection(entry)) }
        } catch {
            return reply.fail(.kernelRefused, ["message": JSONValue("\(error)")])
        }
        reply.end(["connections": JSONValue(connections), "rows": JSONValue(rows)])
    }

    private mutating func take(_ connection: LiveConnection) {
        guard !hasGone, let listed = listing.listed(connection, isJudged: sent < limit) else { return }
        connections += 1
        rows += listed.rows
        guard sent < limit else { return }
        for document in listed.documents(now: Timestamp(nanoseconds: Clock.sinceEpoch)) where sent < limit {
            sent += 1
            guard waitForClient(), reply.send(["flow": document]) else {
                hasGone = true
                return
            }
        }
    }

    /// False once the client has gone, or reads no longer.
    private func waitForClient() -> Bool {
        var waited: UInt64 = 0
        var queued = reply.queuedBytes
        while queued > Self.mostQueued {
            guard reply.isOpen, waited < Self.patience else { return false }
            Clock.sleep(nanoseconds: 5_000_000)
            waited = reply.queuedBytes < queued ? 0 : waited + 5_000_000
            queued = reply.queuedBytes
        }
        return reply.isOpen
    }
}
