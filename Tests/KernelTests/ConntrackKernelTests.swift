import ConntrackKernel
import NetworkTypes
import TestSupport
import Testing

/// Connections over lo, and through the namespace as a router. KERNEL 6, 7, 17; F1.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct ConntrackKernelTests {
    private static let loopback = IPAddress.v4(IPv4Address(0x7f00_0001))

    /// A table that turns accounting on by a chain nobody calls (KERNEL 17), and labels connections in `hook`.
    private static func withRules(hook: String, _ body: () throws -> Void) throws {
        try run(["sysctl", "-qw", "net.netfilter.nf_conntrack_timestamp=1"])
        try run(
            ["nft", "-f", "-"],
            input: """
                table inet conntrack_tests {
                    chain accounting {
                        ct original packets > 0
                    }
                    chain labels {
                        type filter hook \(hook) priority 0
                        ct label set 3
                        ct label set 120
                    }
                }

                """)
        defer { _ = try? run(["nft", "delete", "table", "inet", "conntrack_tests"]) }
        try body()
    }

    private static func follow() throws -> (ConntrackEvents, Gathered<ConntrackEvent>) {
        let gathered = Gathered<ConntrackEvent>()
        let events = try ConntrackEvents { batch, lost in
            if lost { Issue.record("events were lost") }
            gathered.append(contentsOf: batch)
        }
        events.start()
        return (events, gathered)
    }

    @Test(
        "a TCP connection's end is an update, its counters come with the dump and the destruction",
        arguments: [false, true])
    func tcpLife(isReset: Bool) throws {
        try Self.withRules(hook: "postrouting") {
            let port: UInt16 = isReset ? 41001 : 41000
            let (events, gathered) = try Self.follow()
            LoopbackTraffic.connection(to: 8080, from: port, reset: isReset)
            let mine = { gathered.all.filter { $0.entry.original.sourcePort == port } }
            let last: ConntrackEntry.TCPState = isReset ? .close : .timeWait
            let hasEnded = eventually { mine().contains { $0.entry.tcpState == last } }
            #expect(hasEnded)
            guard case .new(let new) = try #require(mine().first) else {
                Issue.record("the first event is not new")
                return
            }
            #expect(new.label?.bits == 1 << 3 | 1 << 120)
            #expect(new.originalCounters == nil && new.tcpState == .synSent && !new.status.contains(.seenReply))
            #expect(mine().dropFirst().allSatisfy { if case .update = $0 { true } else { false } })

            var table = try ConntrackTable()
            let entries = try table.dump(.ipv4)
            let entry = try #require(entries.first { $0.id == new.id })
            #expect(entry.label == new.label && entry.status.contains([.seenReply, .assured, .confirmed]))
            #expect((entry.originalCounters?.packets ?? 0) >= 3 && (entry.replyCounters?.bytes ?? 0) > 100)
            #expect((entry.start ?? 0) > 1_700_000_000_000_000_000)
            let found = try table.get(entry.original, protocol: .tcp)
            #expect(found?.id == entry.id)

            var other = entry
            other.id &+= 1
            let wrong = try table.delete(other)
            let right = try table.delete(entry)
            let again = try table.delete(entry)
            #expect(!wrong && right && !again)
            let absent = try table.get(entry.original, protocol: .tcp)
            #expect(absent == nil)
            let isDestroyed = eventually { if case .destroy? = mine().last { true } else { false } }
            #expect(isDestroyed)
            let destroyed = try #require(mine().last).entry
            #expect(destroyed.id == new.id && destroyed.label == nil)
            #expect(destroyed.originalCounters == entry.originalCounters && destroyed.stop != nil)
            withExtendedLifetime(events) {}
        }
    }

    @Test("an entry that times out says its counters too")
    func expiry() throws {
        try Self.withRules(hook: "output") {
            try run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=1"])
            defer { _ = try? run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=30"]) }
            let (events, gathered) = try Self.follow()
            LoopbackTraffic.datagrams(to: 5353, from: [41010])
            // The kernel's sweep is lazy: an entry goes when something looks at it, at the latest by the garbage
            // collector.
            var table = try ConntrackTable()
            let end = try eventually(within: 20) {
                _ = try table.dump()
                return gathered.all.contains {
                    if case .destroy(let entry) = $0 { entry.original.sourcePort == 41010 } else { false }
                }
            }
            #expect(end)
            let entry = gathered.all.last { $0.entry.original.sourcePort == 41010 }?.entry
            #expect(entry?.originalCounters == .init(packets: 1, bytes: 29))
            #expect(entry?.replyCounters == .init(packets: 0, bytes: 0))
            withExtendedLifetime(events) {}
        }
    }

    @Test(
        "new events carry the label, in whichever hook it was written",
        arguments: ["prerouting", "input", "forward", "postrouting"])
    func labelHooks(hook: String) throws {
        let client = try PeerNamespace()
        let server = try PeerNamespace()
        try client.connect("nsgt-a", address: "10.77.1.1/24", peer: "10.77.1.2/24")
        try server.connect("nsgt-b", address: "10.77.2.1/24", peer: "10.77.2.2/24")
        defer {
            _ = try? run(["ip", "link", "del", "nsgt-a"])
            _ = try? run(["ip", "link", "del", "nsgt-b"])
        }
        try run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        try Self.withRules(hook: hook) {
            let (events, gathered) = try Self.follow()
            let destination = hook == "input" ? "10.77.1.1" : "10.77.2.2"
            try client.run(["bash", "-c", "echo x > /dev/udp/\(destination)/5353"])
            let mine = { gathered.all.filter { "\($0.entry.original.destination)" == destination } }
            let hasCome = eventually { !mine().isEmpty }
            #expect(hasCome)
            guard case .new(let entry)? = mine().first else {
                Issue.record("the first event is not new")
                return
            }
            #expect(entry.label?.bits == 1 << 3 | 1 << 120)
            withExtendedLifetime(events) {}
        }
    }

    @Test("a label written after the entry was confirmed, as in input of lo, comes with an update")
    func lateLabel() throws {
        try Self.withRules(hook: "input") {
            let (events, gathered) = try Self.follow()
            LoopbackTraffic.datagrams(to: 5353, from: [41020])
            let mine = { gathered.all.filter { $0.entry.original.sourcePort == 41020 } }
            let hasCome = eventually { mine().count >= 2 }
            #expect(hasCome)
            #expect(mine().first?.entry.label == nil)
            guard case .update(let entry)? = mine().dropFirst().first else {
                Issue.record("the second event is not an update")
                return
            }
            #expect(entry.label?.bits == 1 << 3 | 1 << 120)
            withExtendedLifetime(events) {}
        }
    }

    @Test("ICMP of both families", arguments: [("127.0.0.1", IPProtocol.icmp, UInt8(8)), ("::1", .icmpv6, 128)])
    func icmp(address: String, protocol: IPProtocol, type: UInt8) throws {
        try Self.withRules(hook: "output") {
            try run(["ping", "-c", "1", address])
            var table = try ConntrackTable()
            let entry = try #require(try table.dump().first { $0.protocol == `protocol` })
            #expect(entry.original.icmp?.type == type && "\(entry.original.source)" == address)
            let reply = try #require(entry.reply.icmp?.type)
            #expect(reply == (type == 8 ? 0 : 129))
            let found = try table.get(entry.original, protocol: `protocol`)
            #expect(found?.id == entry.id)
            let isDeleted = try table.delete(entry)
            #expect(isDeleted)
        }
    }

    @Test(
        "many entries are deleted at once, of every protocol; those that are gone, or are others by now, are passed over"
    )
    func deletions() throws {
        try Self.withRules(hook: "output") {
            LoopbackTraffic.datagrams(to: 5353, from: (42_000..<42_300).map { UInt16($0) })
            for number in [47, 50, 132] {
                try run([
                    "python3", "-c",
                    "import socket; socket.socket(2, 3, \(number)).sendto(bytes(12), ('127.0.0.1', 0))",
                ])
            }
            var table = try ConntrackTable()
            var entries = try table.dump()
            #expect(entries.count >= 302 && entries.contains { $0.protocol == .gre || $0.protocol == .esp })
            let gone = entries.removeFirst()
            let isDeleted = try table.delete(gone)
            #expect(isDeleted)
            var other = entries[150]
            other.id &+= 1
            let wanted = entries.count
            let deletion = try table.delete([gone] + entries.prefix(150) + [other] + entries.dropFirst(150) + [gone])
            #expect(deletion.count == wanted && deletion.failures.isEmpty, "\(deletion)")
            let left = try table.dump()
            #expect(left.isEmpty, "\(left)")
        }
    }

    @Test("a buffer that was too small is reported as loss, and events go on")
    func loss() throws {
        try Self.withRules(hook: "output") {
            let gathered = Gathered<Bool>()
            let sources = Gathered<UInt16>()
            let events = try ConntrackEvents(receiveBuffer: 4096) { batch, lost in
                gathered.append(lost)
                sources.append(contentsOf: batch.map(\.entry.original.sourcePort))
            }
            LoopbackTraffic.datagrams(to: 5353, from: 42000..<43000)
            events.start()
            let isLost = eventually { gathered.all.contains(true) }
            #expect(isLost)
            LoopbackTraffic.datagrams(to: 5353, from: [43001])
            let goesOn = eventually { sources.all.contains(43001) }
            #expect(goesOn)
            var table = try ConntrackTable()
            let ids = try table.dump().filter {
                $0.original.source == Self.loopback && (42000..<43000).contains($0.original.sourcePort)
            }.map(\.id)
            #expect(Set(ids).count == 1000)
            #expect((ConntrackSettings.read().count ?? 0) >= 1000)
            #expect(ConntrackSettings.read().countsTraffic == true)
            try run(["conntrack", "-F"])
            withExtendedLifetime(events) {}
        }
    }
}
