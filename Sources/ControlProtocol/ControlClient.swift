import Glibc
package import JSONText

/// Why a call brought no result.
package enum ControlError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Nobody answers at the path, or the connection broke.
    case unreachable(path: String, reason: String)
    /// What came is not Varlink.
    case protocolViolation(String)
    /// The daemon's answer is an error; the name has its interface.
    case method(name: String, parameters: JSONValue)

    package var description: String {
        switch self {
        case .unreachable(let path, let reason): "cannot reach the daemon at \(path): \(reason)"
        case .protocolViolation(let what): "the daemon's answer is not understood: \(what)"
        case .method(VarlinkServiceError.permissionDenied.name, _):
            "the daemon refuses this to your user; it takes root or the group of administrators (nsgd-admin)"
        case .method(let name, let parameters):
            (parameters["message"] ?? parameters["what"])?.string ?? "the daemon answers \(name) \(parameters.text())"
        }
    }
}

/// A connection to the daemon that waits for each answer. Closed when the value dies.
package struct ControlClient: ~Copyable {
    private let path: String
    private let socket: ControlSocket
    private var framer: VarlinkFramer

    /// `seconds` bounds each wait for the daemon; nil waits for ever. A reply may have `replyBytes`.
    package init(path: String, seconds: Int? = nil, replyBytes: Int = 256 << 20) throws(ControlError) {
        self.path = path
        framer = VarlinkFramer(limit: replyBytes)
        guard let socket = ControlSocket(blocking: true) else {
            throw .unreachable(path: path, reason: Self.reason(errno))
        }
        if let seconds { socket.setTimeout(seconds: seconds) }
        let failure = socket.connect(to: path)
        guard failure == 0 else { throw .unreachable(path: path, reason: Self.reason(failure)) }
        self.socket = socket
    }

    /// The parameters of the reply.
    package mutating func call(_ method: String, _ parameters: JSONValue = [:]) throws(ControlError) -> JSONValue {
        try send(VarlinkCall(method: method, parameters: parameters))
        let reply = try receive()
        guard !reply.continues else { throw .protocolViolation("\(method) answers more than once") }
        return reply.parameters
    }

    /// Calls with `more`, and hands on the parameters of each reply until the last, or until the closure gives false;
    /// that ends the connection.
    package consuming func stream(
        _ method: String, _ parameters: JSONValue = [:], onReply: (JSONValue) -> Bool
    ) throws(ControlError) {
        try send(VarlinkCall(method: method, parameters: parameters, more: true))
        while true {
            let reply = try receive()
            guard onReply(reply.parameters), reply.continues else { return }
        }
    }

    private func send(_ call: VarlinkCall) throws(ControlError) {
        let failure = socket.sendAll(call.bytes)
        guard failure == 0 else { throw broken(failure) }
    }

    private mutating func receive() throws(ControlError) -> VarlinkReply {
        while true {
            let message: [UInt8]?
            do { message = try framer.next() } catch { throw .protocolViolation("\(error)") }
            if let message {
                let reply: VarlinkReply
                do { reply = try VarlinkReply(parsing: message) } catch { throw .protocolViolation("\(error)") }
                guard let error = reply.error else { return reply }
                throw .method(name: error, parameters: reply.parameters)
            }
            let (bytes, failure) = socket.receive()
            guard failure == 0 else { throw broken(failure) }
            guard !bytes.isEmpty else { throw .unreachable(path: path, reason: "the daemon closed the connection") }
            framer.append(bytes)
        }
    }

    private func broken(_ failure: CInt) -> ControlError { .unreachable(path: path, reason: Self.reason(failure)) }

    private static func reason(_ failure: CInt) -> String {
        switch failure {
        case ENOENT: "no such socket; is nsgd running?"
        case ECONNREFUSED: "nobody listens; is nsgd running?"
        case EACCES, EPERM: "permission denied; you need to be root or in the daemon's group"
        case EAGAIN: "no answer in time"
        case EPIPE, ECONNRESET: "the daemon closed the connection"
        case ENAMETOOLONG: "the path is too long for a socket"
        case ENOTSOCK: "not a socket"
        default: "error \(failure)"
        }
    }
}

extension ControlSocket {
    package borrowing func setTimeout(seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] { _ = unsafe setsockopt(raw, SOL_SOCKET, option, &time, size) }
    }

    /// 0 or an errno.
    package borrowing func sendAll(_ bytes: [UInt8]) -> CInt {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[sent...])
                return unsafe send(raw, rest.baseAddress, rest.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno != EINTR { return errno }
            } else {
                sent += count
            }
        }
        return 0
    }

    /// What has come, at least one byte; none at the end of the stream.
    package borrowing func receive() -> (bytes: [UInt8], failure: CInt) {
        while true {
            var failure: CInt = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                let received = unsafe recv(raw, buffer.baseAddress, buffer.count, 0)
                if received < 0 { failure = errno }
                count = max(received, 0)
            }
            if failure != EINTR { return (bytes, failure) }
        }
    }
}
