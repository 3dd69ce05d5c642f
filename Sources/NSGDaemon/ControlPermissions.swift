package import ControlProtocol

/// Who may do what over the control socket (K2). A group that this machine does not have has no members.
package struct ControlPermissions: Hashable, Sendable {
    /// Numbers of the groups.
    package var readers: UInt32?
    package var administrators: UInt32?

    package init(readers: UInt32?, administrators: UInt32?) {
        self.readers = readers
        self.administrators = administrators
    }

    /// Root and administrators may do all, readers may read.
    package func allow(_ peer: Peer, _ access: ControlInterface.Access) -> Bool {
        if peer.user == 0 || administrators.map(peer.isMember) ?? false { return true }
        return access == .read && (readers.map(peer.isMember) ?? false)
    }
}
