import NetworkTypes
import PacketLog
import TestSupport

/// The test's own network namespace as a router: devices whose far ends are taps, routes for single addresses, and a
/// log of what reaches the router itself. Gone with the value.
final class RouterLab {
    enum Route: Hashable { case device(String), local }

    static let arrivals: UInt16 = 86
    private static let probe = "oracle_probe"
    let devices: [String]
    private let peer: PeerNamespace
    private(set) var taps: [String: PacketTap] = [:]
    let own = OwnPackets()
    private let delivered = Gathered<LoggedPacket>()
    private let reader: PacketLogReader

    init(devices: [String]) throws {
        self.devices = devices
        peer = try PeerNamespace()
        reader = try Self.read(group: Self.arrivals, into: delivered)
        try run([
            "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0", "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.default.send_redirects=0",
            // Conntrack checks UDP-Lite against the pseudo-header of UDP (`udplite_error`), so that what is right is
            // invalid.
            "net.netfilter.nf_conntrack_checksum=0",
        ])
        if slowness > 1 { try run(["sh", "-c", Self.longLives]) }
        try peer.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"])
        // What the machine says of its own accord (reports, discovery, unreachables) is no part of the test. It is
        // stopped before conntrack sees it, since a reset ends a connection's entry at once, and before there are links
        // to say it on.
        try run(
            ["nft", "-f", "-"],
            input: """
                table inet \(Self.probe) {
                    chain arrived {
                        type filter hook input priority 300
                        log group \(Self.arrivals) snaplen 128
                    }
                    chain own {
                        type filter hook output priority -300
                        meta mark != \(OwnPackets.mark) drop
                    }
                }

                """)
        // Without ARP and neighbour discovery every address is at the other end.
        let links = devices.enumerated().map { index, device in
            """
            link add \(device) address 02:6e:73:67:64:\(hexadecimal(UInt8(index))) type veth \
            peer name \(device) netns \(peer.process)
            link set \(device) arp off addrgenmode none up
            """
        }
        try run(["ip", "-batch", "-"], input: links.joined(separator: "\n") + "\n")
        try peer.run(
            ["ip", "-batch", "-"], input: devices.map { "link set \($0) arp off up" }.joined(separator: "\n") + "\n")
        for device in devices { taps[device] = try PacketTap(device, in: peer) }
    }

    /// A group that was read until just now is free a moment later.
    static func read(group: UInt16, into packets: Gathered<LoggedPacket>) throws -> PacketLogReader {
        var reader: PacketLogReader?
        _ = eventually(within: 2) {
            reader = try? PacketLogReader(group: group) { packets.append(contentsOf: $0.packets) }
            return reader != nil
        }
        let opened = try reader ?? PacketLogReader(group: group) { packets.append(contentsOf: $0.packets) }
        opened.start()
        return opened
    }

    /// Of entries that nobody answers: the hundreds of packets of a round may take minutes. Ten minutes where it is
    /// less.
    private static let longLives = """
        cd /proc/sys/net/netfilter
        for time in nf_conntrack_*_timeout nf_conntrack_*_timeout_*; do
            if [ -w $time ] && [ $(cat $time) -lt 600 ]; then echo 600 > $time; fi
        done
        """

    deinit {
        for device in devices { _ = try? run(["ip", "link", "del", device]) }
        _ = try? run(["nft", "delete", "table", "inet", Self.probe])
        _ = try? run(["ip", "route", "flush", "table", "local", "proto", "99"])
        _ = try? run(["ip", "-6", "route", "flush", "table", "local", "proto", "99"])
        _ = try? run(["conntrack", "-F"])
        _ = try? run(["sysctl", "-qw", "net.netfilter.nf_conntrack_checksum=1"])
    }

    func setRoutes(_ routes: [IPAddress: Route]) throws {
        let lines = routes.map { address, route in
            let prefix = "\(address)/\(address.family == .ipv4 ? 32 : 128)"
            return switch route {
            case .device(let device): "route replace \(prefix) dev \(device)\n"
            case .local: "route replace local \(prefix) dev lo table local proto 99\n"
            }
        }
        try run(["ip", "-batch", "-"], input: lines.joined())
    }

    /// Sends a packet as if it came from the other end of a device, or from the router itself.
    func send(_ packet: [UInt8], through device: String?) {
        guard let device else {
            own.send(packet)
            return
        }
        let index = UInt8(devices.firstIndex(of: device) ?? 0)
        taps[device]?.send(packet, to: [2, 0x6e, 0x73, 0x67, 0x64, index])
    }

    /// Headers of what came to the router itself, all of them so far.
    var deliveredHeaders: [PacketHeader] { delivered.all.compactMap(\.header) }
}
