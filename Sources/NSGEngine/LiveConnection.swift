package import FlowLog
package import NetworkTypes

/// A connection of the kernel's table, with what operators want to know of it beside what records say.
package struct LiveConnection: Hashable, Sendable {
    package struct End: Hashable, Sendable {
        package var address: IPAddress
        /// Nil where the protocol has none.
        package var port: UInt16?

        package init(address: IPAddress, port: UInt16?) {
            self.address = address
            self.port = port
        }
    }

    package var connection: Connection
    /// Whom the opener asked for; differs from the flow's destination behind destination NAT.
    package var askedFor: End
    /// Whom the other side answers; differs from the flow's source behind source NAT.
    package var answered: End
    /// Of TCP the kernel's name of its state, such as `ESTABLISHED`; of other protocols `REPLIED` or `UNREPLIED`.
    package var state: String
    /// Seconds after which it is forgotten if no packet comes.
    package var timeout: UInt32?
    /// Nil where time stamps were off when it began.
    package var start: Timestamp?

    package init(
        connection: Connection, askedFor: End, answered: End, state: String, timeout: UInt32?, start: Timestamp?
    ) {
        self.connection = connection
        self.askedFor = askedFor
        self.answered = answered
        self.state = state
        self.timeout = timeout
        self.start = start
    }
}
