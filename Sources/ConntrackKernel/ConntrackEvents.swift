internal import Netlink
package import NetworkTypes

/// What happened to a connection. Entries of events are partial: see the properties of `ConntrackEntry`.
package enum ConntrackEvent: Hashable, Sendable {
    /// Its first packet has passed all chains.
    case new(ConntrackEntry)
    /// Its status, TCP state, mark or label has changed.
    case update(ConntrackEntry)
    /// It is gone from the table.
    case destroy(ConntrackEntry)

    package var entry: ConntrackEntry {
        switch self {
        case .new(let entry), .update(let entry), .destroy(let entry): entry
        }
    }

    /// Nil where the message is no event of a connection.
    init?(_ message: NetlinkMessage) {
        guard message.type == MessageType.new || message.type == MessageType.delete,
            let entry = ConntrackEntry(message)
        else { return nil }
        // NLM_F_EXCL | NLM_F_CREATE
        let isNew = message.flags & 0x600 != 0
        self = message.type == MessageType.delete ? .destroy(entry) : isNew ? .new(entry) : .update(entry)
    }
}

/// Follows the kernel's connections from `start` until the value dies. Reads and decodes on a queue of its own and
/// hands over batches there; whoever takes them must be quick, or pass them on.
package final class ConntrackEvents: Sendable {
    private let listener: NetlinkListener<[ConntrackEvent]>
    /// Bytes of the receive buffer in force, as `SO_RCVBUF` gives them.
    package let receiveBuffer: Int

    /// What is listened to. The kernel makes a message of every event that somebody listens to, while the packet waits
    /// that caused it.
    package struct Kinds: OptionSet, Hashable, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let new = Self(rawValue: 1)
        package static let update = Self(rawValue: 2)
        package static let destroy = Self(rawValue: 4)
        package static let all: Self = [.new, .update, .destroy]

        /// `NFNLGRP_CONNTRACK_NEW`, `_UPDATE`, `_DESTROY`
        fileprivate var groups: NetlinkSocket.MulticastGroups {
            var groups: NetlinkSocket.MulticastGroups = []
            if contains(.new) { groups.insert(.group(1)) }
            if contains(.update) { groups.insert(.group(2)) }
            if contains(.destroy) { groups.insert(.group(3)) }
            return groups
        }
    }

    /// - Parameter receiveBuffer: bytes asked for; what is granted may be less (`net.core.rmem_max`). A message takes
    ///   about 1 KiB of it.
    /// - Parameter handler: `lost`: events were dropped before or amid this batch, so compare with a dump.
    package init(
        _ kinds: Kinds = .all, receiveBuffer: Int = 32 << 20,
        handler: @escaping @Sendable (_ events: [ConntrackEvent], _ lost: Bool) -> Void
    ) throws(KernelError) {
        var socket = try NetlinkSocket(.netfilter, groups: kinds.groups)
        self.receiveBuffer = socket.enlargeBuffers(receive: receiveBuffer).receive
        listener = NetlinkListener(
            "conntrack events", socket: socket, state: [],
            message: { events, message in
                if let event = ConntrackEvent(message) { events.append(event) }
            },
            drained: { events, lost in
                guard lost || !events.isEmpty else { return }
                handler(events, lost)
                // Whoever took them may still hold them.
                events = []
            }
        )
    }

    /// Events from the moment of `init` on are delivered, up to what the buffer holds: dump between `init` and `start`.
    package func start() { listener.start() }

    /// What has happened by now has been handed over when this returns. Not to be called from the handler.
    package func drain() { listener.drain() }
}
