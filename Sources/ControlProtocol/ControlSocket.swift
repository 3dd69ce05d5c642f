import Glibc
package import NetworkTypes

/// Why the control socket cannot be opened.
package enum ControlSocketError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A Unix socket's path has less than 108 bytes, and at least one.
    case unusablePath(String)
    /// Something that is no socket, or a symbolic link, stands there.
    case occupied(String)
    /// Another process answers on it.
    case alreadyServed(String)
    case refused(KernelError)

    package var description: String {
        switch self {
        case .unusablePath(let path):
            "\(path): a socket needs a path of 1 to 107 bytes without NUL; choose a shorter one"
        case .occupied(let path): "\(path): not a socket; remove it or choose another path"
        case .alreadyServed(let path): "\(path): another process answers on this socket; stop it first"
        case .refused(let error): "\(error)"
        }
    }
}

/// A Unix stream socket, closed when the value dies unless it is handed on.
@safe package struct ControlSocket: ~Copyable {
    private let descriptor: CInt

    /// The descriptor, for as long as the value lives.
    package var raw: CInt { descriptor }

    /// nil with errno when the kernel gives none.
    package init?(blocking: Bool) {
        let flags = SOCK_CLOEXEC.rawValue | (blocking ? 0 : SOCK_NONBLOCK.rawValue)
        descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | flags), 0)
        guard descriptor >= 0 else { return nil }
    }

    deinit { _ = close(descriptor) }

    /// Gives the descriptor to the caller, who closes it.
    package consuming func release() -> CInt {
        let descriptor = descriptor
        discard self
        return descriptor
    }

    /// 0 or an errno. EINTR of a blocking connect is taken up again.
    package borrowing func connect(to path: String) -> CInt {
        guard var address = Self.address(path) else { return ENAMETOOLONG }
        while unsafe Self.withGeneric(&address, { unsafe Glibc.connect(descriptor, $0, $1) }) != 0 {
            if errno != EINTR { return errno }
        }
        return 0
    }

    /// Binds and listens. The file has mode 0660 from its first instant, and the group where one is given.
    package borrowing func listen(at path: String, group: UInt32?) throws(ControlSocketError) {
        guard var address = Self.address(path) else { throw .unusablePath(path) }
        try Self.removeStale(path)
        // The file takes the mode of the socket, less the umask; the umask itself belongs to the whole process.
        guard fchmod(descriptor, 0o660) == 0,
            unsafe Self.withGeneric(&address, { unsafe bind(descriptor, $0, $1) }) == 0
        else { throw .refused(KernelError(errno: errno, doing: "bind \(path)")) }
        guard group.map({ unsafe lchown(path, uid_t.max, $0) }) ?? 0 == 0, unsafe chmod(path, 0o660) == 0,
            Glibc.listen(descriptor, 64) == 0
        else {
            let failure = KernelError(errno: errno, doing: "listen on \(path)")
            _ = unsafe unlink(path)
            throw .refused(failure)
        }
    }

    /// Removes a socket on which nobody answers. Anything else that stands there is left, and refused.
    private static func removeStale(_ path: String) throws(ControlSocketError) {
        guard let identity = FileIdentity(path) else {
            if errno == ENOENT { return }
            throw .refused(KernelError(errno: errno, doing: "look at \(path)"))
        }
        guard identity.isSocket else { throw .occupied(path) }
        guard let probe = ControlSocket(blocking: false) else {
            throw .refused(KernelError(errno: errno, doing: "open a Unix socket"))
        }
        let answer = probe.connect(to: path)
        switch answer {
        case 0, EAGAIN: throw .alreadyServed(path)  // EAGAIN: its queue of connections is full
        case ECONNREFUSED: break
        default: throw .refused(KernelError(errno: answer, doing: "see whether anyone answers on \(path)"))
        }
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw .refused(KernelError(errno: errno, doing: "remove the stale socket \(path)"))
        }
    }

    private static func address(_ path: String) -> sockaddr_un? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !path.isEmpty, path.utf8.count < room, !path.utf8.contains(0) else { return nil }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        return address
    }

    private static func withGeneric(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

/// Which file a path names, links not followed.
struct FileIdentity: Equatable {
    private let device: dev_t
    private let number: ino_t
    private let mode: mode_t

    /// nil with errno when there is no such file.
    init?(_ path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        device = status.st_dev
        number = status.st_ino
        mode = status.st_mode
    }

    var isSocket: Bool { mode & S_IFMT == S_IFSOCK }
}
