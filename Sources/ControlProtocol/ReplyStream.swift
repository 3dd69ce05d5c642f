package import JSONText

/// Where the replies to one call go, from any thread. What comes after the end, or after the client has gone, is
/// dropped; a call that wants no reply takes everything and sends nothing.
package final class ReplyStream: Sendable {
    private let connection: ControlConnection
    private let number: UInt64
    private let method: String
    private let takesMore: Bool

    init(connection: ControlConnection, number: UInt64, call: VarlinkCall) {
        self.connection = connection
        self.number = number
        method = call.method
        takesMore = call.more
    }

    deinit { fail(.methodNotImplemented(method)) }

    /// Sends one reply of several. False when it went nowhere: the client has gone, the call has ended, or it did
    /// not ask for more, which ends it with `ExpectedMore`.
    @discardableResult
    package func send(_ parameters: JSONValue) -> Bool {
        guard takesMore else {
            fail(.expectedMore)
            return false
        }
        return connection.deliver(VarlinkReply(parameters: parameters, continues: true), to: number)
    }

    /// Sends the only reply, or the last.
    package func end(_ parameters: JSONValue = [:]) {
        connection.deliver(VarlinkReply(parameters: parameters), to: number)
    }

    package func fail(_ failure: ControlInterface.Failure, _ parameters: JSONValue = [:]) {
        connection.deliver(VarlinkReply(parameters: parameters, error: failure.qualifiedName), to: number)
    }

    package func fail(_ error: VarlinkServiceError) {
        connection.deliver(VarlinkReply(parameters: error.parameters, error: error.name), to: number)
    }

    /// False once the call has ended or the client has gone.
    package var isOpen: Bool { connection.isOpen(number) }

    /// Bytes that wait for the client to read them. Who sends much should pause when this grows.
    package var queuedBytes: Int { connection.queuedBytes }

    /// Calls the action once, on the server's queue, if the client goes before the call has ended; at once, on the
    /// caller's thread, when it has gone already.
    package func onClose(_ action: @escaping @Sendable () -> Void) { connection.onClose(of: number, action) }
}
