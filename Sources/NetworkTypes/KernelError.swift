/// The kernel, or the C library, refused something.
package struct KernelError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A positive `errno`.
    package var errno: Int32
    /// What was asked, as a verb and its object: `commit 12 rules`.
    package var operation: String
    /// The object of a batch that was refused, as nft writes it; nil where the whole was refused.
    package var object: String?
    /// The kernel's own words (`NLMSGERR_ATTR_MSG`).
    package var explanation: String?

    package init(errno: Int32, doing operation: String, object: String? = nil, explanation: String? = nil) {
        self.errno = errno
        self.operation = operation
        self.object = object
        self.explanation = explanation
    }

    package var description: String {
        var text = "cannot \(operation): \(ErrnoName.text(errno))"
        if let explanation { text += " (the kernel says: \(explanation))" }
        if let object { text += ", at: \(object)" }
        return text
    }
}

/// The errors an operator meets here, in words; Linux numbers.
private enum ErrnoName {
    static func text(_ number: Int32) -> String {
        names[number].map { "\($0.1) (\($0.0))" } ?? "error \(number)"
    }

    private static let names: [Int32: (String, String)] = [
        1: ("EPERM", "operation not permitted; CAP_NET_ADMIN is needed"), 2: ("ENOENT", "no such object"),
        4: ("EINTR", "interrupted"), 5: ("EIO", "input or output error"), 7: ("E2BIG", "too big"),
        9: ("EBADF", "bad descriptor"), 11: ("EAGAIN", "not ready"), 12: ("ENOMEM", "out of memory"),
        13: ("EACCES", "permission denied"), 16: ("EBUSY", "in use"), 17: ("EEXIST", "it exists already"),
        19: ("ENODEV", "no such device"), 20: ("ENOTDIR", "not a folder"), 22: ("EINVAL", "invalid argument"),
        24: ("EMFILE", "too many open files"), 27: ("EFBIG", "too large"), 28: ("ENOSPC", "no space left"),
        30: ("EROFS", "read-only file system"), 31: ("EMLINK", "too many links"), 32: ("EPIPE", "broken pipe"),
        34: ("ERANGE", "out of range"), 36: ("ENAMETOOLONG", "name too long"), 71: ("EPROTO", "protocol error"),
        75: ("EOVERFLOW", "overflow"), 85: ("ERESTART", "the ruleset changed meanwhile"),
        90: ("EMSGSIZE", "message too long for the socket's buffer"), 93: ("EPROTONOSUPPORT", "protocol not supported"),
        95: ("EOPNOTSUPP", "not supported by this kernel"), 97: ("EAFNOSUPPORT", "address family not supported"),
        98: ("EADDRINUSE", "address in use"), 99: ("EADDRNOTAVAIL", "address not available"),
        104: ("ECONNRESET", "connection reset"), 105: ("ENOBUFS", "no buffer space"),
        110: ("ETIMEDOUT", "timed out"), 111: ("ECONNREFUSED", "connection refused"),
        113: ("EHOSTUNREACH", "no route to host"),
    ]
}
