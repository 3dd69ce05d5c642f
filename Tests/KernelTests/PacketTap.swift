import Glibc
import TestSupport

/// The far end of a veth pair, as packet socket: puts packets on the wire and takes those that come.
final class PacketTap {
    private let descriptor: Int32

    /// - Parameter device: in `namespace`.
    convenience init(_ device: String, in namespace: PeerNamespace) throws {
        self.init(try namespace.inside { try Self.open(device) })
    }

    /// On the link of a machine.
    convenience init(of machine: TestMachine) throws {
        self.init(try withinNetworkNamespace(at: "/run/netns/\(machine.namespace)") { try Self.open("eth0") })
    }

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    private static func open(_ device: String) throws -> Int32 {
        let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        // struct sockaddr_ll: family, ETH_P_ALL in network order, interface index, then what bind does not read.
        let index = unsafe if_nametoindex(device)
        var address: [UInt8] = [UInt8(AF_PACKET), 0, 0, 3]
        address +=
            (0..<4).map { UInt8(truncatingIfNeeded: index >> UInt32($0 * 8)) } + Array(repeating: 0, count: 12)
        var on: Int32 = 1
        var room: Int32 = 4 << 20
        // PACKET_IGNORE_OUTGOING of SOL_PACKET: what it sends does not come back.
        guard descriptor >= 0, unsafe setsockopt(descriptor, 263, 23, &on, 4) == 0,
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &room, 4) == 0,
            unsafe address.withUnsafeBytes({ bytes in
                unsafe bind(descriptor, bytes.bindMemory(to: sockaddr.self).baseAddress, socklen_t(bytes.count))
            }) == 0
        else { throw CommandFailure(command: ["tap", device], status: errno, output: "no packet socket") }
        return descriptor
    }

    deinit { close(descriptor) }

    /// - Parameter packet: from the network header on.
    func send(_ packet: [UInt8], to hardwareAddress: [UInt8]) {
        let type: [UInt8] = packet.first.map { $0 >> 4 } == 6 ? [0x86, 0xdd] : [8, 0]
        let frame = hardwareAddress + [2, 0, 0, 0, 0, 1] + type + packet
        guard unsafe Glibc.send(descriptor, frame, frame.count, 0) == frame.count else {
            fatalError("a packet did not go out: \(errno)")
        }
    }

    /// What has come since the last call, from the network header on.
    func receive() -> [[UInt8]] {
        var packets: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 2048)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            guard count > 14 else { return packets }
            packets.append(Array(buffer[14..<count]))
        }
    }
}

/// Sends packets of any source from this machine, marked so that rules can tell them from its own (`SO_MARK`).
final class OwnPackets {
    static let mark: UInt32 = 0x6e73_6764
    private let four = OwnPackets.raw(AF_INET)
    private let six = OwnPackets.raw(AF_INET6)

    deinit {
        close(four)
        close(six)
    }

    /// IPPROTO_RAW: packets bring their network header.
    private static func raw(_ family: Int32) -> Int32 {
        let descriptor = socket(family, Int32(SOCK_RAW.rawValue), 255)
        var mark = mark
        guard descriptor >= 0, unsafe setsockopt(descriptor, SOL_SOCKET, SO_MARK, &mark, 4) == 0 else {
            fatalError("no raw socket: \(errno)")
        }
        return descriptor
    }

    /// False where the rules refuse it at once (`EPERM`), or nothing leads there.
    @discardableResult
    func send(_ packet: [UInt8]) -> Bool {
        let isIPv6 = packet.first.map { $0 >> 4 } == 6
        // sockaddr_in or sockaddr_in6 with the destination that the header has.
        var address: [UInt8] = [UInt8(isIPv6 ? AF_INET6 : AF_INET), 0, 0, 0]
        address +=
            isIPv6 ? [0, 0, 0, 0] + packet[24..<40] + [0, 0, 0, 0] : packet[16..<20] + Array(repeating: 0, count: 8)
        return unsafe address.withUnsafeBytes { bytes in
            unsafe sendto(
                isIPv6 ? six : four, packet, packet.count, 0, bytes.bindMemory(to: sockaddr.self).baseAddress,
                socklen_t(bytes.count)) == packet.count
        }
    }
}
