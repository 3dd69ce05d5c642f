import CBatches
import Glibc

/// UDP over IPv4 with the headers written by hand, so that each datagram can come from another address and port. Holds one batch.
/// The kernel adds the length and the checksum of the IP header; that of UDP is absent, which is valid.
struct DatagramBatch: ~Copyable {
    static let payload = 16
    static let length = 20 + 8 + payload
    static let capacity = Int(BENCH_BATCH)

    private let socket: Socket
    private var bytes = [UInt8](repeating: 0, count: capacity * length)
    private(set) var count = 0

    init(to server: UInt32) throws {
        let socket = try Socket(SOCK_RAW, protocol: IPPROTO_RAW)
        try socket.connect(to: Endpoint(address: server, port: 0))
        self.socket = socket
        for slot in 0..<Self.capacity {
            let start = slot * Self.length
            bytes[start] = 0x45
            // An identifier of its own, or the kernel would look for one; not to be fragmented.
            bytes[start + 5] = 1
            bytes[start + 6] = 0x40
            bytes[start + 8] = 64
            bytes[start + 9] = UInt8(IPPROTO_UDP)
            write(server, at: start + 16)
            write(UInt16(8 + Self.payload), at: start + 24)
        }
    }

    var isFull: Bool { count == Self.capacity }

    mutating func append(from source: Endpoint, to port: UInt16, stamp: UInt64 = 0) {
        let start = count * Self.length
        write(source.address, at: start + 12)
        write(source.port, at: start + 20)
        write(port, at: start + 22)
        write(stamp, at: start + 28)
        count += 1
    }

    /// Sends what was appended; how many the kernel took.
    mutating func send() throws -> Int {
        var sent = 0
        while sent < count {
            let taken = unsafe bytes.withUnsafeBytes { bytes in
                unsafe bench_send_batch(
                    socket.descriptor, bytes.baseAddress?.advanced(by: sent * Self.length), Self.length,
                    UInt32(count - sent))
            }
            if taken < 0 {
                // The kernel refuses what a filter of the sender's own drops, and says when a queue is full.
                guard errno == EPERM || errno == ENOBUFS || errno == EINTR else { throw TrafficError(doing: "send") }
                break
            }
            sent += Int(taken)
        }
        count = 0
        return sent
    }

    private mutating func write(_ value: some FixedWidthInteger, at start: Int) {
        for index in 0..<(value.bitWidth / 8) {
            bytes[start + index] = UInt8(truncatingIfNeeded: value >> (value.bitWidth - 8 - 8 * index))
        }
    }
}

/// Sources that have not been used yet: all addresses of the network with one port, then with the next.
struct FreshSources {
    private let network: UInt32
    private var next: UInt32 = 0

    /// A network of 65,536 addresses.
    init(network: UInt32) { self.network = network & 0xffff_0000 }

    mutating func take() -> Endpoint {
        // An odd factor visits each address once, and not in their order.
        let address = network | (next &* 40_503) & 0xffff
        // The network's ends are not for machines.
        let port = UInt16(1_024 + (next >> 16) % 64_000)
        next &+= 1
        return Endpoint(address: address, port: port)
    }
}
