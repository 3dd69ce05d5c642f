import Glibc

/// An address and a port, in host order; only `withSocketAddress` swaps.
struct Endpoint: Sendable {
    var address: UInt32
    var port: UInt16

    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = self.address.bigEndian
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Reads dotted decimal.
    static func address(_ text: String) throws -> UInt32 {
        var address = in_addr()
        guard unsafe inet_pton(AF_INET, text, &address) == 1 else {
            throw TrafficError(description: "'\(text)' is not an IPv4 address")
        }
        return UInt32(bigEndian: address.s_addr)
    }
}

/// An owned socket, closed when the value dies.
struct Socket: ~Copyable, Sendable {
    let descriptor: Int32

    /// Takes ownership.
    init(_ descriptor: Int32, doing what: String) throws {
        guard descriptor >= 0 else { throw TrafficError(doing: what) }
        self.descriptor = descriptor
    }

    init(_ kind: __socket_type, protocol number: Int = 0) throws {
        try self.init(
            socket(AF_INET, Int32(kind.rawValue | SOCK_CLOEXEC.rawValue), Int32(number)), doing: "open a socket")
    }

    deinit { close(descriptor) }

    /// Gives the descriptor away, which lives as long as the process.
    consuming func released() -> Int32 {
        let descriptor = descriptor
        discard self
        return descriptor
    }

    func set(_ option: Int32, level: Int32 = SOL_SOCKET, to value: Int32 = 1) throws {
        var value = value
        guard unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw TrafficError(doing: "set socket option \(option)")
        }
    }

    /// Closing sends RST and leaves no port behind in TIME-WAIT. A connection that is accepted inherits it.
    func resetOnClose() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }

    func bind(to endpoint: Endpoint) throws {
        guard unsafe endpoint.withSocketAddress({ unsafe Glibc.bind(descriptor, $0, $1) }) == 0 else {
            throw TrafficError(doing: "bind to port \(endpoint.port)")
        }
    }

    func connect(to endpoint: Endpoint) throws {
        guard unsafe endpoint.withSocketAddress({ unsafe Glibc.connect(descriptor, $0, $1) }) == 0 else {
            throw TrafficError(doing: "connect to port \(endpoint.port)")
        }
    }

    /// How long a call may wait.
    func waitAtMost(milliseconds: Int, to option: Int32) {
        var time = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
}
