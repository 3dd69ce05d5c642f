import Glibc

/// Real packets over lo, from ports of one's choice.
enum LoopbackTraffic {
    /// One datagram from 127.0.0.1 to itself for each source port; nobody listens.
    static func datagrams(to port: UInt16, from sources: some Sequence<UInt16>) {
        for source in sources {
            let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            bind(descriptor, to: source)
            send(descriptor, to: port)
            close(descriptor)
        }
    }

    /// So many datagrams from one socket.
    static func datagrams(to port: UInt16, count: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        for _ in 0..<count { send(descriptor, to: port) }
        close(descriptor)
    }

    /// One datagram to each address, all from one socket.
    static func datagrams(to port: UInt16, addresses: [UInt32]) {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        for address in addresses { send(descriptor, to: port, at: address) }
        close(descriptor)
    }

    /// A TCP connection from `source` that carries a byte and ends with FIN from both sides, or with RST.
    static func connection(to port: UInt16, from source: UInt16, reset: Bool = false) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        reuse(listener)
        bind(listener, to: port)
        listen(listener, 1)
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        reuse(client)
        bind(client, to: source)
        unsafe withAddress(port) { _ = unsafe connect(client, $0, $1) }
        let server = accept(listener, nil, nil)
        var byte: UInt8 = 1
        _ = unsafe write(client, &byte, 1)
        _ = unsafe read(server, &byte, 1)
        if reset {
            var linger = linger(l_onoff: 1, l_linger: 0)
            _ = unsafe setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        }
        close(client)
        _ = unsafe read(server, &byte, 1)
        close(server)
        close(listener)
    }

    private static func reuse(_ descriptor: Int32) {
        var on: Int32 = 1
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func bind(_ descriptor: Int32, to port: UInt16) {
        unsafe withAddress(port) { _ = unsafe Glibc.bind(descriptor, $0, $1) }
    }

    private static func send(_ descriptor: Int32, to port: UInt16, at address: UInt32 = 0x7f00_0001) {
        var byte: UInt8 = 1
        unsafe withAddress(port, at: address) { address, length in
            _ = unsafe sendto(descriptor, &byte, 1, 0, address, length)
        }
    }

    private static func withAddress(
        _ port: UInt16, at host: UInt32 = 0x7f00_0001, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Void
    ) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = host.bigEndian
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
