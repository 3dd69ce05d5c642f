internal import Glibc
package import NetworkTypes

extension NetlinkSocket {
    /// Sends one dump request (`NLM_F_DUMP`) and hands over each message of the answer. Where the kernel says that the
    /// dump is not consistent (`NLM_F_DUMP_INTR`, `EINTR`), or messages were lost, `restart` is called, all that was
    /// handed over is void, and the dump is repeated, at most 8 times in all.
    /// - Parameter request: one message; its sequence number is set here.
    /// - Parameter operation: for errors, a verb and its object: `list the links`.
    package mutating func dump(
        _ request: [UInt8], doing operation: String, restart: () -> Void = {},
        each body: (NetlinkMessage) throws(KernelError) -> Void
    ) throws(KernelError) {
        for attempt in 0..<8 {
            if attempt > 0 { restart() }
            switch try ask(request, doing: operation, untilAcknowledged: false, each: body) {
            case .complete: return
            case .interrupted: continue
            }
        }
        throw KernelError(errno: EINTR, doing: "\(operation): it changed during each of 8 attempts")
    }

    /// Sends one request with `NLM_F_ACK` and waits for the answer; messages that come before the acknowledgement go to
    /// `body`. Throws the kernel's refusal. `EINTR` says that the answer was lost and the outcome is not known.
    package mutating func request(
        _ request: [UInt8], doing operation: String,
        each body: (NetlinkMessage) throws(KernelError) -> Void = { (_: NetlinkMessage) in }
    ) throws(KernelError) {
        if case .interrupted = try ask(request, doing: operation, untilAcknowledged: true, each: body) {
            throw KernelError(errno: EINTR, doing: "\(operation): the answer was lost")
        }
    }

    /// Sends requests in one datagram, of which the kernel carries out each by itself, in order, and answers those that
    /// it refuses. Gives their answers by the requests' indexes. `EINTR` says that answers were lost and that all but
    /// what was refused has been done.
    /// - Parameter requests: at least one; their sequence numbers, and whether they are acknowledged, are set here.
    package mutating func requests(
        _ requests: [[UInt8]], doing operation: String
    ) throws(KernelError) -> [Int: NetlinkAnswer] {
        var datagram: [UInt8] = []
        var indexes: [UInt32: Int] = [:]
        for (index, request) in requests.enumerated() {
            let sequence = nextSequence()
            indexes[sequence] = index
            datagram += Self.numbered(request, sequence, isAcknowledged: index == requests.count - 1)
            while datagram.count % 4 != 0 { datagram.append(0) }
        }
        try send(datagram)
        var refusals: [Int: NetlinkAnswer] = [:]
        var buffer = [UInt8](repeating: 0, count: 32768)
        while true {
            switch try receive(into: &buffer, waiting: .milliseconds(10_000)) {
            case .nothing: throw KernelError(errno: ETIMEDOUT, doing: operation)
            case .overrun, .truncated:
                throw KernelError(errno: EINTR, doing: "\(operation): answers were lost")
            case .datagram(let count):
                for message in NetlinkMessages(buffer[..<count]) {
                    guard let index = indexes[message.sequence], let answer = message.answer else { continue }
                    if answer.errno != 0 { refusals[index] = answer }
                    if index == requests.count - 1 { return refusals }
                }
            }
        }
    }

    private enum Outcome { case complete, interrupted }

    /// One attempt. The answer is read to its end even when `body` throws: the kernel runs one dump a socket.
    private mutating func ask(
        _ request: [UInt8], doing operation: String, untilAcknowledged: Bool,
        each body: (NetlinkMessage) throws(KernelError) -> Void
    ) throws(KernelError) -> Outcome {
        let sequence = nextSequence()
        try send(Self.numbered(request, sequence))
        var buffer = takeBuffer()
        defer { dumpBuffer = buffer }
        var isInterrupted = false
        var failure: KernelError?
        while true {
            // The kernel answers before `send` returns, and goes on with a dump as it is read.
            var reception = try receive(into: &buffer, waiting: .none)
            if case .nothing = reception { reception = try receive(into: &buffer, waiting: .milliseconds(10_000)) }
            switch reception {
            case .nothing: throw KernelError(errno: ETIMEDOUT, doing: operation)
            case .overrun, .truncated:
                // The end of the answer may be among what was lost, so there is nothing to wait for.
                if untilAcknowledged { return .interrupted }
                isInterrupted = true
            case .datagram(let count):
                for message in NetlinkMessages(buffer[..<count]) where message.sequence == sequence {
                    if message.isDumpInterrupted { isInterrupted = true }
                    if let answer = message.answer {
                        if let failure { throw failure }
                        if answer.errno == EINTR { return .interrupted }
                        if let refusal = answer.error(doing: operation) { throw refusal }
                        return isInterrupted ? .interrupted : .complete
                    }
                    if message.isControl || isInterrupted || failure != nil { continue }
                    do throws(KernelError) { try body(message) } catch { failure = error }
                }
            }
        }
    }

    private static func numbered(
        _ request: [UInt8], _ sequence: UInt32, isAcknowledged: Bool? = nil
    ) -> [UInt8] {
        precondition(request.count >= NetlinkMessage.headerLength, "not a netlink message")
        var request = request
        if let isAcknowledged, let flags = request[...].hostUInt16(at: 6) {
            let acknowledge: UInt16 = 4  // NLM_F_ACK
            request.replaceSubrange(
                6..<8, with: (isAcknowledged ? flags | acknowledge : flags & ~acknowledge).hostBytes)
        }
        request.replaceSubrange(8..<12, with: sequence.hostBytes)
        return request
    }
}
