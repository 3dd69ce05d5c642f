import NetworkTypes
import PacketLog
import TestSupport
import Testing

/// Packets logged by rules, read through libpcap. F2, F5.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct PacketLogTests {
    private static func withRule(_ rule: String, hook: String = "output", _ body: () throws -> Void) throws {
        try run(
            ["nft", "-f", "-"],
            input: """
                table inet packet_log_tests {
                    chain logs {
                        type filter hook \(hook) priority 0
                        \(rule)
                    }
                }

                """)
        defer { _ = try? run(["nft", "delete", "table", "inet", "packet_log_tests"]) }
        try body()
    }

    @Test("each packet of a burst, with its prefix, interfaces, number and headers")
    func burst() throws {
        try Self.withRule("udp dport 9001 log prefix \"A:out:12 \" group 71 snaplen 128") {
            let packets = Gathered<LoggedPacket>()
            let losses = Gathered<Int>()
            let reader = try PacketLogReader(group: 71) { batch in
                packets.append(contentsOf: batch.packets)
                losses.append(batch.lost)
                if let failure = batch.failure { Issue.record("\(failure)") }
            }
            reader.start()
            LoopbackTraffic.datagrams(to: 9001, count: 5000)
            let isComplete = eventually { packets.all.count == 5000 }
            #expect(isComplete)
            #expect(packets.all.map(\.sequence) == (0..<5000).map { UInt32($0) })
            #expect(losses.all.reduce(0, +) == 0)
            let packet = try #require(packets.all.first)
            #expect(packet.prefix == "A:out:12 " && packet.hook == .output && packet.family == .ipv4)
            #expect(packet.outputInterface == 1 && packet.inputInterface == nil && packet.senderHardwareAddress == nil)
            #expect(packet.header?.destinationPort == 9001 && packet.header?.protocol == .udp)
            #expect(packet.header?.totalLength == 29 && packet.time > 1_700_000_000_000_000_000)
            withExtendedLifetime(reader) {}
        }
    }

    @Test("loss is counted to the packet")
    func loss() throws {
        try Self.withRule("udp dport 9002 log group 72 snaplen 128") {
            let packets = Gathered<LoggedPacket>()
            let losses = Gathered<Int>()
            let drops = Gathered<UInt32>()
            let reader = try PacketLogReader(group: 72, receiveBuffer: 65536) { batch in
                packets.append(contentsOf: batch.packets)
                losses.append(batch.lost)
                drops.append(batch.drops)
            }
            LoopbackTraffic.datagrams(to: 9002, count: 20000)
            reader.start()
            let isDrained = eventually { !packets.all.isEmpty }
            #expect(isDrained)
            // What is missing shows at the next message.
            let isKnown = eventually {
                LoopbackTraffic.datagrams(to: 9002, count: 1)
                return losses.all.reduce(0, +) > 0
            }
            #expect(isKnown)
            let isExact = eventually {
                let last = packets.all.last?.sequence ?? 0
                return packets.all.count + losses.all.reduce(0, +) == Int(last) + 1 && last >= 20000
            }
            #expect(isExact, "\(packets.all.count) read, \(losses.all.reduce(0, +)) lost")
            #expect((drops.all.last ?? 0) > 0)
            withExtendedLifetime(reader) {}
        }
    }

    @Test("a group that is taken says so")
    func busy() throws {
        let first = try PacketLogReader(group: 73) { _ in }
        let error = #expect(throws: KernelError.self) { try PacketLogReader(group: 73) { _ in } }
        #expect(error?.errno == 16)
        #expect(error?.description.contains("another program reads it") == true, "\(error?.description ?? "")")
        withExtendedLifetime(first) {}
    }

    @Test("a group is free again when its reader is gone")
    func reopen() throws {
        for _ in 0..<2 {
            let isOpen = eventually { (try? PacketLogReader(group: 74) { _ in }) != nil }
            #expect(isOpen)
        }
    }

    @Test("a forwarded packet carries the sender's link address. KERNEL 18")
    func senderAddress() throws {
        let peer = try PeerNamespace()
        try peer.connect("nsgt-c", address: "10.78.1.1/24", peer: "10.78.1.2/24")
        try Self.withRule("udp dport 9003 log prefix \"in\" group 75 snaplen 128", hook: "input") {
            let packets = Gathered<LoggedPacket>()
            let reader = try PacketLogReader(group: 75) { packets.append(contentsOf: $0.packets) }
            reader.start()
            try peer.run(["bash", "-c", "echo x > /dev/udp/10.78.1.1/9003"])
            let came = eventually { !packets.all.isEmpty }
            #expect(came)
            let packet = try #require(packets.all.first)
            let shown = try peer.run(["ip", "-o", "link", "show", "eth0"])
            let address = try #require(packet.senderHardwareAddress)
            let text = address.bytes.map { hexadecimal($0) }.joined(separator: ":")
            #expect(shown.contains(text), "\(text) in \(shown)")
            #expect(packet.inputInterface != nil && packet.hook == .input)
            withExtendedLifetime(reader) {}
        }
        try run(["ip", "link", "del", "nsgt-c"])
    }
}
