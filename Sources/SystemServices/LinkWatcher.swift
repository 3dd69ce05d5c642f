internal import Netlink
package import NetworkTypes

/// Follows the interfaces and addresses of this network namespace from `start` until the value dies, and hands over the
/// whole table after each change, on a queue of its own.
package final class LinkWatcher: Sendable {
    private struct State {
        var table: LinkTable
        /// What was handed over last; nil before the first time.
        var told: LinkTable?
        var isStale = false
    }

    private let listener: NetlinkListener<State>
    /// As of `init`.
    package let initial: LinkTable

    package init(handler: @escaping @Sendable (LinkTable) -> Void) throws(KernelError) {
        // RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR; subscribed before the dump, so that nothing falls
        // between.
        var socket = try NetlinkSocket(.route, groups: [.group(1), .group(5), .group(9)])
        socket.enlargeBuffers(receive: 1 << 20)
        initial = try LinkTable.list()
        listener = NetlinkListener(
            "links", socket: socket, state: State(table: initial),
            message: { state, message in state.table.apply(message) },
            drained: { state, lost in Self.tell(&state, lost, handler) }
        )
        listener.perform { Self.tell(&$0, false, handler) }
    }

    /// The first table comes at once.
    package func start() { listener.start() }

    private static func tell(_ state: inout State, _ lost: Bool, _ handler: (LinkTable) -> Void) {
        if lost || state.isStale {
            // Where even that fails, at the next message again.
            guard let table = try? LinkTable.list() else {
                state.isStale = true
                return
            }
            state.table = table
            state.isStale = false
        }
        guard state.told != state.table else { return }
        state.told = state.table
        handler(state.table)
    }

    /// Asked of the kernel at each call.
    package func neighbourTable() throws(KernelError) -> [IPAddress: MACAddress] { try LinkTable.neighbours() }
}
