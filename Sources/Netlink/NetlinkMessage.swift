package import NetworkTypes

/// One message of a datagram. Its bytes are shared with the buffer they were received into; keeping the message keeps
/// the buffer. Layout: `struct nlmsghdr`, <linux/netlink.h>.
package struct NetlinkMessage: Sendable {
    /// Bytes of `struct nlmsghdr`.
    package static let headerLength = 16

    package let type: UInt16
    /// `NLM_F_…`
    package let flags: UInt16
    package let sequence: UInt32
    /// The socket the message answers; 0 for notifications.
    package let portID: UInt32
    /// Header and payload, without the padding behind.
    package let bytes: ArraySlice<UInt8>

    /// What follows the header. `payload.span.bytes` is the `RawSpan`.
    package var payload: ArraySlice<UInt8> { bytes.dropFirst(Self.headerLength) }

    /// Reads the message at the front of `bytes`; nil unless header and stated length lie within.
    package init?(_ bytes: ArraySlice<UInt8>) {
        guard let length = bytes.hostUInt32(at: 0), length >= Self.headerLength, length <= bytes.count,
            let type = bytes.hostUInt16(at: 4), let flags = bytes.hostUInt16(at: 6),
            let sequence = bytes.hostUInt32(at: 8), let portID = bytes.hostUInt32(at: 12)
        else { return nil }
        self.type = type
        self.flags = flags
        self.sequence = sequence
        self.portID = portID
        self.bytes = bytes.prefix(Int(length))
    }

    /// `NLMSG_ERROR`, which with errno 0 is an acknowledgement.
    package var isError: Bool { type == 2 }
    /// `NLMSG_DONE`
    package var isDone: Bool { type == 3 }
    /// `NLMSG_OVERRUN`
    package var isOverrun: Bool { type == 4 }
    /// Not a message of a family: `NLMSG_NOOP`, error, done, overrun (below `NLMSG_MIN_TYPE`).
    package var isControl: Bool { type < 16 }
    /// `NLM_F_DUMP_INTR`: the dump is not consistent and must be repeated.
    package var isDumpInterrupted: Bool { flags & 0x10 != 0 }

    /// The high byte of the type in messages of netfilter (`NFNL_SUBSYS_ID`).
    package var subsystem: UInt8 { UInt8(type >> 8) }
    /// The low byte of the type in messages of netfilter (`NFNL_MSG_TYPE`).
    package var operation: UInt8 { UInt8(type & 0xff) }

    /// Attributes behind a family header of `headerLength` bytes (`struct nfgenmsg` has 4, `struct ifinfomsg` 16).
    package func attributes(after headerLength: Int) -> NetlinkAttributes {
        NetlinkAttributes(payload.dropFirst(headerLength))
    }

    /// The message as a C library wants it, a `const struct nlmsghdr *`; valid within `body`. C libraries trust
    /// `nlmsg_len`, which has been checked against the bytes here.
    package func withUnsafeMessage<Result>(_ body: (UnsafeRawPointer) -> Result) -> Result {
        unsafe bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a message has at least its header") }
            return unsafe body(base)
        }
    }
}

/// The messages of one datagram, in order. Ends at the first that is cut or states a wrong length; never reads beyond
/// the bytes.
package struct NetlinkMessages: Sequence, IteratorProtocol, Sendable {
    private var rest: ArraySlice<UInt8>

    package init(_ datagram: ArraySlice<UInt8>) { rest = datagram }

    /// After the last message: bytes are left that are no message.
    package var isDamaged: Bool { !rest.isEmpty }

    package mutating func next() -> NetlinkMessage? {
        guard let message = NetlinkMessage(rest) else { return nil }
        rest = rest.dropFirst(netlinkAligned(message.bytes.count))
        return message
    }
}

/// What `NLMSG_ERROR` or `NLMSG_DONE` says about a request.
package struct NetlinkAnswer: Hashable, Sendable {
    /// Positive; 0 is success.
    package var errno: Int32
    /// The request's.
    package var sequence: UInt32
    /// The kernel's words (`NLMSGERR_ATTR_MSG`).
    package var explanation: String?
    /// Offset, within the request, of the attribute at fault (`NLMSGERR_ATTR_OFFS`).
    package var offset: UInt32?

    package init(errno: Int32, sequence: UInt32, explanation: String? = nil, offset: UInt32? = nil) {
        self.errno = errno
        self.sequence = sequence
        self.explanation = explanation
        self.offset = offset
    }

    /// Nil for success.
    package func error(doing operation: String, object: String? = nil) -> KernelError? {
        errno == 0 ? nil : KernelError(errno: errno, doing: operation, object: object, explanation: explanation)
    }
}

extension NetlinkMessage {
    /// Nil for messages that are neither error nor done. One that is too short to hold an errno is an error of its own
    /// (`EBADMSG`).
    package var answer: NetlinkAnswer? {
        guard isError || isDone else { return nil }
        let payload = payload
        guard let value = payload.hostUInt32(at: 0).map({ Int32(bitPattern: $0) }) else {
            return NetlinkAnswer(errno: isDone ? 0 : 74, sequence: sequence)
        }
        var answer = NetlinkAnswer(errno: value == .min ? 74 : abs(value), sequence: sequence)
        // Behind the errno an error holds the request's header, and its payload too unless capped (NLM_F_CAPPED).
        var details = 4
        if isError {
            guard let length = payload.hostUInt32(at: 4) else { return answer }
            details += flags & 0x100 != 0 ? Self.headerLength : netlinkAligned(Int(length))
        }
        // NLM_F_ACK_TLVS
        guard flags & 0x200 != 0 else { return answer }
        for attribute in NetlinkAttributes(payload.dropFirst(details)) {
            switch attribute.type {
            case 1: answer.explanation = attribute.string
            case 2: answer.offset = attribute.hostUInt32
            default: break
            }
        }
        return answer
    }
}

/// Rounded up to 4, as messages and attributes are (`NLMSG_ALIGN`, `NLA_ALIGN`).
func netlinkAligned(_ length: Int) -> Int { (length + 3) & ~3 }
