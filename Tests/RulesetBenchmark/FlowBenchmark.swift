import CShims
import FlowLog
import Glibc
import NSGCompiler
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import SystemServices

/// What a tracker of a million connections costs: memory and time of the dumps that it is held against (F1).
enum FlowBenchmark {
    /// Connections handed over at a time, as the daemon does.
    private static let piece = 1024

    static func run(_ count: Int, isIPv6: Bool) throws {
        UnusedMemory.keepLittle()
        let policy = try policy()
        let label = try label(in: policy)
        var tracker = FlowTracker(attributor: Attributor(policy: policy))
        print("\(count) connections, IPv\(isIPv6 ? 6 : 4)")
        let empty = Memory.now.resident
        var records = 0

        func dump(_ purpose: FlowTracker.DumpPurpose, of present: Range<Int>, round: UInt64) {
            tracker.beginDump()
            for start in stride(from: present.lowerBound, to: present.upperBound, by: piece) {
                let connections = (start..<min(start + piece, present.upperBound)).map {
                    connection($0, round: round, label: label, isIPv6: isIPv6)
                }
                var made: [FlowRecord] = []
                tracker.listed(connections, for: purpose, at: Timestamp(seconds: 1_000 + round), into: &made)
                records += made.count
            }
            tracker.endDump(at: Timestamp(seconds: 1_000 + round))
        }

        func phase(_ what: String, _ body: () -> Void) {
            records = 0
            let (peak, seconds) = measured(body)
            let after = Memory.now.resident
            print(
                "\(what): \(seconds) s, \(records) records, \(tracker.liveFlows) flows; resident "
                    + "\((after - empty) / 1024) MiB more than empty, at most \((peak - empty) / 1024) MiB")
        }

        phase("start dump") { dump(.start(.some([:])), of: 0..<count, round: 0) }
        phase("continuation, all flows there") { dump(.continuation, of: 0..<count, round: 1) }
        phase("comparison, none gone") { dump(.comparison, of: 0..<count, round: 2) }
        phase("comparison, all gone") { dump(.comparison, of: 0..<0, round: 3) }
        phase("their ends, never told") {
            while true {
                let made = tracker.tick(now: Timestamp(seconds: 2_000))
                records += made.count
                if made.isEmpty { break }
            }
        }
        phase("all begin by their packets") {
            for start in stride(from: 0, to: count, by: piece) {
                var made: [FlowRecord] = []
                var tally = DecisionTally()
                for number in start..<min(start + piece, count) {
                    let connection = connection(number, round: 0, label: label, isIPv6: isIPv6)
                    let packet = JudgedPacket(
                        time: Timestamp(seconds: 2_001), mark: .allowed, entryDevice: "v-db", exitDevice: "v-web",
                        flow: connection.flow, connection: connection, bytes: 60)
                    _ = tracker.judged(packet, into: &made, counting: &tally)
                }
                records += made.count
            }
        }
        phase("all end by events") {
            for start in stride(from: 0, to: count, by: piece) {
                var made: [FlowRecord] = []
                for number in start..<min(start + piece, count) {
                    tracker.ended(
                        connection(number, round: 1, label: label, isIPv6: isIPv6), at: Timestamp(seconds: 2_002),
                        into: &made)
                }
                records += made.count
            }
        }
    }

    private static func measured(_ body: () -> Void) -> (peak: Int, seconds: Double) {
        Memory.forgetPeak()
        let start = nsgd_clock_monotonic()
        body()
        let seconds = Double(nsgd_clock_monotonic() - start) / 1e9
        return (Memory.now.peak, (seconds * 1000).rounded() / 1000)
    }

    /// Ids as scattered as the kernel's.
    private static func connection(_ number: Int, round: UInt64, label: UInt128, isIPv6: Bool) -> Connection {
        let id = UInt32(truncatingIfNeeded: number) &* 2_654_435_761
        let (source, destination): (IPAddress, IPAddress) =
            isIPv6
            ? (.v6(IPv6Address(0xfd00_0001 << 96 | 5)), .v6(IPv6Address(0xfd00_0001 << 96 | 4)))
            : (.v4(IPv4Address(0x0a01_0005)), .v4(IPv4Address(0x0a01_0004)))
        let flow = FlowTuple(
            protocol: .tcp, source: source, destination: destination,
            sourcePort: UInt16(truncatingIfNeeded: number), destinationPort: 80 + UInt16(number >> 16))
        let totals = FlowCounters(
            packetsSent: 10 * (round + 1), bytesSent: 5_000 * (round + 1), packetsReceived: 20 * (round + 1),
            bytesReceived: 9_000 * (round + 1))
        return Connection(id: id, flow: flow, label: label, totals: totals, isClosed: false)
    }

    private static func policy() throws -> Policy {
        let group = { (name: String) in
            """
            {name: "\(name)", properties: {securityRules: [
                {name: "AllowAll", properties: {protocol: "*", access: "Allow", direction: "Inbound", priority: 100,
                 sourceAddressPrefix: "*", sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: "*"}}]}}
            """
        }
        let interface = { (name: String, number: Int) in
            """
            {name: "\(name)", properties: {networkSecurityGroup: {id: "\(name)"}, ipConfigurations: [
                {name: "a", properties: {privateIPAddress: "10.1.0.\(number)", subnet: "net/all"}},
                {name: "b", properties: {privateIPAddress: "fd00:1::\(number)", privateIPAddressVersion: "IPv6", subnet: "net/all"}}]}}
            """
        }
        let text = """
            {networkSecurityGroups: [\(group("web")), \(group("db"))],
             virtualNetworks: [{name: "net", properties: {
                addressSpace: {addressPrefixes: ["10.1.0.0/16", "fd00:1::/48"]}, subnets: [
                {name: "all", properties: {addressPrefixes: ["10.1.0.0/24", "fd00:1::/64"]}}]}}],
             networkInterfaces: [\(interface("web", 4)), \(interface("db", 5))]}
            """
        let bindings = """
            {networkInterfaces: {web: {interface: "v-web", attachment: "guest"}, db: {interface: "v-db", attachment: "guest"}}}
            """
        let sources = ConfigurationSources(
            policies: [SourceText(name: "policy.d/a.json", text: text)],
            bindings: SourceText(name: "bindings.json", text: bindings))
        guard let policy = Policy(try configuration(from: sources), numbering: RuleNumbering()) else {
            throw KernelError(errno: EINVAL, doing: "number the rules")
        }
        return policy
    }

    /// Outbound at one machine, inbound at the other.
    private static func label(in policy: Policy) throws -> UInt128 {
        func bits(_ name: String, of group: String, _ side: DeviceSide) throws -> UInt128 {
            let number = policy.numbering.rules.first { $0.value.name == name && $0.value.owner.name == group }?.key
            guard let number else { throw KernelError(errno: ENOENT, doing: "find rule \(name)") }
            return FlowLabel.bits(number, in: LabelSlot(side: side, level: .nic))
        }
        return try bits("AllowVnetOutBound", of: "db", .entry) | bits("AllowAll", of: "web", .exit) | FlowLabel.decided
    }
}

/// Of this process, in KiB.
private struct Memory {
    var resident = 0
    var peak = 0

    static var now: Memory {
        var memory = Memory()
        let text = (try? Files.read("/proc/self/status", limit: 1 << 16)) ?? []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count > 1, let value = Int(words[1]) else { continue }
            if words[0] == "VmRSS:" { memory.resident = value }
            if words[0] == "VmHWM:" { memory.peak = value }
        }
        return memory
    }

    /// From here on the peak is counted anew.
    static func forgetPeak() {
        guard let file = unsafe fopen("/proc/self/clear_refs", "w") else { return }
        unsafe fputs("5\n", file)
        unsafe fclose(file)
    }
}
