internal import CNftnl
internal import Glibc
internal import Netlink
package import NetworkTypes

/// Tells when another process changes a table of family inet, from `start` until the value dies.
package final class TableEvents: Sendable {
    private let listener: NetlinkListener<Bool>

    /// - Parameter port: of the netlink socket whose own changes are passed over; an event carries it (`nlmsg_pid`).
    /// - Parameter handler: called on a queue of its own, once for any number of changes; also if some may be lost.
    package init(
        table: String, notBy port: UInt32, handler: @escaping @Sendable () -> Void
    ) throws(KernelError) {
        // NFNLGRP_NFTABLES
        let socket = try NetlinkSocket(.netfilter, groups: [.group(7)])
        listener = NetlinkListener(
            "table events", socket: socket, state: false,
            message: { isTouched, message in
                if message.concerns(table), message.portID != port { isTouched = true }
            },
            drained: { isTouched, lost in
                if isTouched || lost { handler() }
                isTouched = false
            })
    }

    package func start() { listener.start() }
}

extension NetlinkMessage {
    /// Every message about a table or what is in it begins with the table's name (`NFTA_TABLE_NAME`, `NFTA_RULE_TABLE`,
    /// …: all 1).
    fileprivate func concerns(_ table: String) -> Bool {
        subsystem == UInt8(NFNL_SUBSYS_NFTABLES) && operation != UInt8(NFT_MSG_NEWGEN.rawValue)
            && attributes(after: 4).first(NFTA_TABLE_NAME)?.string == table
    }
}
