internal import Glibc

/// Groups of users of this machine.
package enum UserGroups {
    /// The number of a group; nil where there is none of that name.
    package static func number(of name: String) -> UInt32? {
        var entry = unsafe group()
        var found: UnsafeMutablePointer<group>?
        var room = [CChar](repeating: 0, count: 1 << 16)
        guard unsafe getgrnam_r(name, &entry, &room, room.count, &found) == 0, unsafe found != nil else { return nil }
        return unsafe entry.gr_gid
    }
}
