import NetworkTypes
import TestSupport
import Testing

@testable import Netlink
@testable import PacketLog

extension PacketHeader {
    init?(_ packet: ArraySlice<UInt8>) {
        guard let header = packet.withRawSpan({ PacketHeader($0) }) else { return nil }
        self = header
    }
}

extension LoggedPacket {
    init?(nflog bytes: ArraySlice<UInt8>, time: UInt64) {
        guard let packet = bytes.withRawSpan({ LoggedPacket(nflog: $0, time: time) }) else { return nil }
        self = packet
    }
}

/// Packets are hostile: a header gives what its bytes tell, and never traps.
@Suite struct PacketHeaderTests {
    private static let tcp: [UInt8] = [0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0]

    private static func v4(_ number: UInt8, _ payload: [UInt8], options: Int = 0, fragment: UInt16 = 0) -> [UInt8] {
        let length = UInt16(20 + options + payload.count)
        return [0x45 + UInt8(options / 4), 0] + length.bigEndianBytes + [0, 1] + fragment.bigEndianBytes + [
            64, number, 0, 0,
        ]
            + [10, 0, 1, 5, 203, 0, 113, 9] + [UInt8](repeating: 1, count: options) + payload
    }

    private static func v6(_ next: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let network: [UInt8] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        return [0x60, 0, 0, 0] + UInt16(payload.count).bigEndianBytes + [next, 64] + network + [1] + network + [2]
            + payload
    }

    private static let hopByHop: [UInt8] = [43, 1] + [UInt8](repeating: 0, count: 14)
    private static let routing: [UInt8] = [44, 0, 0, 0, 0, 0, 0, 0]
    private static let firstFragment: [UInt8] = [60, 0, 0, 1, 0, 0, 0, 9]
    private static let options: [UInt8] = [6, 0, 1, 4, 0, 0, 0, 0]
    private static let chain = hopByHop + routing + firstFragment + options

    @Test("ports, flags and lengths")
    func ports() throws {
        let packets: [([UInt8], Bool)] = [
            (Self.v4(6, Self.tcp), false), (Self.v4(6, Self.tcp, options: 12), false), (Self.v6(6, Self.tcp), false),
            (Self.v6(0, Self.chain + Self.tcp), true),
        ]
        for (packet, isFragment) in packets {
            let header = try #require(PacketHeader(packet[...]))
            #expect(header.protocol == .tcp && header.sourcePort == 40000 && header.destinationPort == 443)
            #expect(header.tcpFlags == [.syn, .ack] && header.totalLength == packet.count)
            #expect(header.isFragment == isFragment)
        }
        for number: UInt8 in [17, 33, 132, 136] {
            let header = PacketHeader(Self.v4(number, Self.tcp)[...])
            #expect(header?.destinationPort == 443 && header?.tcpFlags == nil)
        }
        let icmp = PacketHeader(Self.v4(1, [3, 4, 0, 0])[...])
        #expect(icmp?.icmpType == 3 && icmp?.icmpCode == 4 && icmp?.sourcePort == nil)
        let icmpv6 = PacketHeader(Self.v6(58, [128, 0])[...])
        #expect(icmpv6?.icmpType == 128 && "\(icmpv6?.source ?? .v4(IPv4Address(0)))" == "fd00::1")
        #expect(PacketHeader(Self.v4(47, [0, 0, 8, 0])[...])?.protocol == .gre)
    }

    @Test("an authentication header of IPv6 is passed over, and told of; of IPv4 it is the protocol")
    func authentication() {
        let header: [UInt8] = [6, 4, 0, 0] + [UInt8](repeating: 0, count: 20)
        let six = PacketHeader(Self.v6(51, header + Self.tcp)[...])
        #expect(six?.isAuthenticated == true && six?.protocol == .tcp && six?.destinationPort == 443)
        let four = PacketHeader(Self.v4(51, header + Self.tcp)[...])
        #expect(four?.isAuthenticated == false && four?.protocol == .ah && four?.destinationPort == nil)
        #expect(PacketHeader(Self.v6(0, Self.chain + Self.tcp)[...])?.isAuthenticated == false)
    }

    @Test("later fragments have no ports")
    func fragments() {
        let later = PacketHeader(Self.v4(17, Self.tcp, fragment: 0x2005)[...])
        #expect(later?.isFragment == true && later?.sourcePort == nil)
        let first = PacketHeader(Self.v4(17, Self.tcp, fragment: 0x2000)[...])
        #expect(first?.isFragment == true && first?.sourcePort == 40000)
        let six = PacketHeader(Self.v6(44, [17, 0, 0, 8, 0, 0, 0, 1] + Self.tcp)[...])
        #expect(six?.isFragment == true && six?.protocol == .udp && six?.sourcePort == nil)
    }

    @Test("a packet cut at any byte tells what it still can")
    func truncated() {
        for (packet, addresses, transport) in [
            (Self.v4(6, Self.tcp, options: 8), 20, 28), (Self.v6(0, Self.chain + Self.tcp), 40, 40 + Self.chain.count),
        ] {
            for length in 0...packet.count {
                let header = PacketHeader(packet[..<length])
                #expect((header != nil) == (length >= addresses))
                #expect((header?.sourcePort != nil) == (length >= transport + 2))
                #expect((header?.destinationPort != nil) == (length >= transport + 4))
                #expect((header?.tcpFlags != nil) == (length >= transport + 14))
            }
        }
    }

    @Test("crafted headers end the walk")
    func crafted() {
        let loop = [UInt8](repeating: 0, count: 8)
        #expect(PacketHeader(Self.v6(0, Array(repeating: loop, count: 40).flatMap { $0 })[...])?.sourcePort == nil)
        let huge: [UInt8] = [6, 255, 0, 0, 0, 0, 0, 0]
        #expect(PacketHeader(Self.v6(60, huge + Self.tcp)[...])?.sourcePort == nil)
        var short = Self.v4(6, Self.tcp)
        short[0] = 0x41
        #expect(PacketHeader(short[...])?.sourcePort == nil)
        #expect(PacketHeader([0x55, 1, 2]) == nil && PacketHeader([]) == nil)
    }

    static func nflog() throws -> [UInt8] {
        var writer = NetlinkWriter()
        writer.putNetfilterHeader(family: 2, resourceID: 5)
        try writer.put(1, bytes: [8, 0, 2, 0])
        try writer.put(8, bytes: [0, 6, 0, 0, 0x02, 0x0d, 0x3a, 0x8a, 0x51, 0x8e, 0, 0])
        writer.put(4, UInt32(7))
        writer.put(5, UInt32(9))
        writer.put(2, UInt32(0x55))
        try writer.put(10, string: "D:in:17")
        writer.put(12, UInt32(41))
        try writer.put(9, bytes: v4(6, tcp))
        return writer.bytes
    }

    @Test("a message of link type 239")
    func message() throws {
        let packet = try #require(try LoggedPacket(nflog: Self.nflog()[...], time: 99))
        #expect(packet.time == 99 && packet.family == .ipv4 && packet.hook == .forward && packet.prefix == "D:in:17")
        #expect(
            packet.inputInterface == 7 && packet.outputInterface == 9 && packet.sequence == 41 && packet.mark == 0x55)
        #expect(packet.senderHardwareAddress?.description == "020D3A8A518E")
        #expect(packet.header?.destinationPort == 443 && packet.header?.totalLength == 40)
    }

    @Test("a message cut at any byte")
    func truncatedMessage() throws {
        let bytes = try Self.nflog()
        for length in 0..<bytes.count {
            let packet = LoggedPacket(nflog: bytes[..<length], time: 0)
            #expect((packet != nil) == (length >= 4))
            #expect(packet?.header == nil)
        }
    }

    @Test("random bytes", arguments: UInt64(0)..<64)
    func garbage(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let message = try Self.nflog()
        for _ in 0..<300 {
            // Both noise, and a good message with a few bytes changed, which gets further.
            let noise = (0..<Int.random(in: 0...100, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            _ = LoggedPacket(nflog: noise[...], time: 0)
            _ = PacketHeader(([UInt8.random(in: 0x40...0x6f, using: &random)] + noise)[...])
            var changed = message
            for _ in 0..<4 {
                changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = LoggedPacket(nflog: changed[...], time: 0)
            var six = Self.v6(0, Self.chain + Self.tcp)
            for _ in 0..<4 {
                six[Int.random(in: 0..<six.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = PacketHeader(six[...])
        }
    }

    @Test("gaps are counted exactly, also where the number wraps")
    func gaps() {
        var gaps = SequenceGaps()
        let missing = [UInt32(2), 3, 4, 10, UInt32.max, 1, 0].map { gaps.missing(before: $0) }
        #expect(missing == [2, 0, 0, 5, 0, 1, 0])
    }
}
