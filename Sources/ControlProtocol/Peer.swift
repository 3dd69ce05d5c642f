import CShims
import Glibc

/// Who is at the other end of a connection, as the kernel noted when it connected (`SO_PEERCRED`, `SO_PEERGROUPS`).
package struct Peer: Hashable, Sendable, CustomStringConvertible {
    package var process: Int32
    package var user: UInt32
    package var group: UInt32
    /// The supplementary groups.
    package var groups: [UInt32]

    package init(process: Int32, user: UInt32, group: UInt32, groups: [UInt32] = []) {
        self.process = process
        self.user = user
        self.group = group
        self.groups = groups
    }

    /// nil when the kernel does not tell: not a Unix socket.
    init?(of descriptor: CInt) {
        var process: CInt = 0
        var user: UInt32 = 0
        var group: UInt32 = 0
        guard unsafe nsgd_peer_credentials(descriptor, &process, &user, &group) == 0 else { return nil }
        guard let groups = Self.groups(of: descriptor) else { return nil }
        self.init(process: process, user: user, group: group, groups: groups)
    }

    private static func groups(of descriptor: CInt) -> [UInt32]? {
        let width = MemoryLayout<gid_t>.stride
        var room = 64
        while room <= 65_536 {  // NGROUPS_MAX
            var groups = [UInt32](repeating: 0, count: room)
            var length = socklen_t(room * width)
            if unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &groups, &length) == 0 {
                return Array(groups.prefix(Int(length) / width))
            }
            guard errno == ERANGE else { return nil }
            room = max(room * 2, Int(length) / width)
        }
        return nil
    }

    package func isMember(of group: UInt32) -> Bool { self.group == group || groups.contains(group) }

    package var description: String { "process \(process) of user \(user)" }
}
