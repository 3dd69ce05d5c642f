package import NetworkTypes

/// One direction of a connection.
package struct ConntrackTuple: Hashable, Sendable, CustomStringConvertible {
    /// What stands in the place of ports.
    package struct ICMP: Hashable, Sendable {
        package var type: UInt8
        package var code: UInt8
        package var identifier: UInt16

        package init(type: UInt8, code: UInt8, identifier: UInt16) {
            self.type = type
            self.code = code
            self.identifier = identifier
        }

        /// As the answer is tracked: request and reply types swapped (`invmap` of nf_conntrack_proto_icmp).
        func reversed(of family: IPFamily) -> Self {
            let pairs: [(UInt8, UInt8)] =
                family == .ipv4 ? [(8, 0), (13, 14), (15, 16), (17, 18)] : [(128, 129), (139, 140)]
            for (request, reply) in pairs {
                if type == request { return Self(type: reply, code: code, identifier: identifier) }
                if type == reply { return Self(type: request, code: code, identifier: identifier) }
            }
            return self
        }
    }

    package var source: IPAddress
    package var destination: IPAddress
    /// Host order; 0 for protocols without ports.
    package var sourcePort: UInt16
    package var destinationPort: UInt16
    package var icmp: ICMP?

    package init(
        source: IPAddress, destination: IPAddress, sourcePort: UInt16 = 0, destinationPort: UInt16 = 0,
        icmp: ICMP? = nil
    ) {
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.icmp = icmp
    }

    package var description: String {
        if let icmp { return "\(source) > \(destination) type \(icmp.type) id \(icmp.identifier)" }
        return "\(source).\(sourcePort) > \(destination).\(destinationPort)"
    }
}

/// A connection as the kernel tracks it; what a message did not carry is nil.
package struct ConntrackEntry: Hashable, Sendable {
    /// `enum ip_conntrack_status`
    package struct Status: OptionSet, Hashable, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        /// `IPS_EXPECTED`: related to another connection.
        package static let expected = Self(rawValue: 1)
        package static let seenReply = Self(rawValue: 2)
        /// Not dropped early when the table is full.
        package static let assured = Self(rawValue: 4)
        package static let confirmed = Self(rawValue: 8)
        package static let sourceNAT = Self(rawValue: 16)
        package static let destinationNAT = Self(rawValue: 32)
        package static let dying = Self(rawValue: 512)
        /// `IPS_OFFLOAD`: a flow table forwards the packets, and counts them only where it is told to.
        package static let offloaded = Self(rawValue: 1 << 14)
    }

    /// `enum tcp_conntrack`
    package enum TCPState: UInt8, Hashable, Sendable {
        case none = 0
        case synSent, synReceived, established, finWait, closeWait, lastAck, timeWait, close, synSent2

        /// The connection has ended: the entry only waits for its time-out.
        package var isClosed: Bool { self == .timeWait || self == .close }
    }

    package struct Counters: Hashable, Sendable {
        package var packets: UInt64
        /// Of network layer packets, headers included.
        package var bytes: UInt64

        package init(packets: UInt64, bytes: UInt64) {
            self.packets = packets
            self.bytes = bytes
        }
    }

    /// `CTA_ID`: lasts as long as the entry, and may come again after it.
    package var id: UInt32
    package var zone: UInt16
    package var `protocol`: IPProtocol
    /// As the first packet had it, before any address translation.
    package var original: ConntrackTuple
    /// What an answer looks like, so its source is the destination after translation.
    package var reply: ConntrackTuple
    package var status: Status
    package var tcpState: TCPState?
    /// Seconds from now; absent in events of destruction on some kernels.
    package var timeout: UInt32?
    /// Not in every event: the kernel sends it when it changed, and never with a destruction.
    package var label: ConnLabel?
    /// Nil where accounting was off when the connection began, and in events other than destruction.
    package var originalCounters: Counters?
    package var replyCounters: Counters?
    /// Nanoseconds since 1970; nil where time stamps were off when the connection began.
    package var start: UInt64?
    package var stop: UInt64?
    package var mark: UInt32

    package init(
        id: UInt32, zone: UInt16 = 0, protocol: IPProtocol, original: ConntrackTuple, reply: ConntrackTuple,
        status: Status = [], tcpState: TCPState? = nil, timeout: UInt32? = nil, label: ConnLabel? = nil,
        originalCounters: Counters? = nil, replyCounters: Counters? = nil, start: UInt64? = nil, stop: UInt64? = nil,
        mark: UInt32 = 0
    ) {
        self.id = id
        self.zone = zone
        self.protocol = `protocol`
        self.original = original
        self.reply = reply
        self.status = status
        self.tcpState = tcpState
        self.timeout = timeout
        self.label = label
        self.originalCounters = originalCounters
        self.replyCounters = replyCounters
        self.start = start
        self.stop = stop
        self.mark = mark
    }
}
