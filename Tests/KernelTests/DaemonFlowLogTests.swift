import Glibc
import JSONText
import TestSupport
import Testing

/// What the logs say, held against the kernel. F2 to F5.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonFlowLogTests {
    private typealias Rule = EstateDocuments.Rule
    private static let rules = [
        Rule.allow("AllowTcp", 100, "Tcp", "80"), Rule.allow("AllowUdp", 110, "Udp", "53-54"),
        Rule.allow("AllowPing", 120, "Icmp", "*"), Rule.deny("DenyTcp", 200, "Tcp", "81"),
        Rule.deny("DenyRest", 4000),
    ]

    /// Decisions that the kernel counted: allowed ones, and those of the rules that deny.
    private static func decisions(_ network: TestNetwork) throws -> (allowed: Int, denied: Int) {
        let counters = try network.router.counters()
        let denied = counters.filter { $0.key.hasPrefix("nsg/") && $0.key.contains("/Deny") }
        return (counters["decisions/allowed"]?.packets ?? 0, denied.values.map(\.packets).reduce(0, +))
    }

    @Test("without the log of packets it enforces, says so, and declares every decision it did not see (F2, F5)")
    func captureTaken() throws {
        var estate = EstateDocuments.guests("a", "b", rules: Self.rules)
        estate.flowLogs.append(("nflogGroup", 77))
        try TestNetwork.with(estate) { network in
            let (a, b) = (network["a"], network["b"])
            try network.router.ask("bind_log", [("id", 1), ("group", 77)])
            let daemon = try network.startDaemon()
            let problems = try daemon.status()["problems"]?.array ?? []
            #expect(problems.contains { $0.string?.contains("another program reads it") ?? false }, "\(problems)")

            try b.serve("tcp", 80)
            try b.serve("udp", 53)
            for _ in 0..<5 { #expect(try a.reaches(b.address, 80, expecting: true)) }
            for port in 0..<7 { #expect(try a.isAnswered(b.address, 53, from: 5000 + port, expecting: true)) }
            for _ in 0..<3 { #expect(try !a.reaches(b.address, 81, expecting: false)) }

            let (allowed, denied) = try Self.decisions(network)
            #expect(allowed >= 12 && denied >= 3)
            var missing = 0
            let isDeclared = try eventually(within: 15) {
                missing = try network.records().filter { $0["event"]?.string == "gap" }
                    .compactMap { $0["missing"]?.int }.reduce(0, +)
                return missing == allowed + denied
            }
            #expect(isDeclared, "\(missing) declared of \(allowed) + \(denied)")
            let records = try network.records()
            #expect(!records.contains { $0["event"]?.string == "decision" })
            let gap = records.first { $0["rule"] != nil }
            #expect(gap?["rule"]?.text().contains("DenyTcp") == true, "\(records.prefix(3))")
            let status = try daemon.status()
            #expect(status["decisions"]?["total"]?.int == allowed + denied && status["decisions"]?["logged"]?.int == 0)

            // Free again, the log is taken up without a restart.
            try network.router.ask("close", [("id", 1)])
            let isBack = try eventually(within: 15) { try daemon.status()["problems"]?.array?.isEmpty ?? false }
            #expect(isBack)
            #expect(try !a.reaches(b.address, 81, expecting: false))
            let isLogged = try eventually(within: 5) {
                try network.records().contains { $0["event"]?.string == "decision" && $0["state"]?.string == "D" }
            }
            #expect(isLogged)
        }
    }

    @Test(
        "under a mixed load the log holds every decision, its sums are the kernel's, and its files are always JSON (F3 to F5)"
    )
    func mixedLoad() throws {
        try TestNetwork.with(.guests("a", "b", rules: Self.rules)) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            let router = network.router
            try router.shell(
                """
                sysctl -qw net.netfilter.nf_conntrack_udp_timeout=8 net.netfilter.nf_conntrack_udp_timeout_stream=8 \
                    net.netfilter.nf_conntrack_icmp_timeout=8 net.netfilter.nf_conntrack_tcp_timeout_time_wait=8 \
                    net.netfilter.nf_conntrack_tcp_timeout_close=8 net.netfilter.nf_conntrack_acct=1
                """)
            let (a, b) = (network["a"], network["b"])
            try b.serve("tcp", 80)
            try b.serve("udp", 53)
            let daemon = try network.startDaemon()
            let reader = try Subprocess(["/usr/bin/python3", "-ISuc", Self.reader, network.logs], readsInput: true)
            #expect(reader.readLine(within: 10) == "reading")

            // What the kernel counted, listed once the flows of a step are quiet, and before they are forgotten.
            var listing = ""
            let steps: [() throws -> Void] = [
                { try Self.load(outside, b, "tcp", 80, count: 800) },
                { try Self.load(a, b, "tcp", 80, count: 400) },
                { try Self.load(outside, b, "udp", 53, count: 600) },
                { try Self.load(a, b, "udp", 54, count: 600, isAnswered: false) },
                {
                    try outside.run(["ping", "-n", "-q", "-c", "50", "-i", "0.002", b.address])
                    for _ in 0..<20 { #expect(outside.pings(b.address, expecting: true)) }
                },
                {
                    try Self.load(a, b, "udp", 99, count: 400, isAnswered: false)
                    try Self.load(outside, b, "tcp", 81, count: 20, within: 0.02)
                    try Self.load(outside, b, "udp", 100, count: 300, isAnswered: false)
                },
            ]
            for step in steps {
                try step()
                listing += try router.run(["conntrack", "-L", "-o", "id"])
            }

            let isOver = try eventually(within: 30) { try router.run(["conntrack", "-C"]) == "0\n" }
            #expect(isOver)
            let (allowed, denied) = try Self.decisions(network)
            // A port may be chosen twice while the kernel remembers the flow: fewer flows then.
            #expect((2350...2421).contains(allowed) && denied >= 720, "\(allowed) allowed, \(denied) denied")
            let status = { try daemon.status()["decisions"]?["logged"]?.int }
            let hasAll = try eventually(within: 10) { try status() == allowed + denied }
            let inLog = try status() ?? -1
            #expect(hasAll, "\(inLog) of \(allowed) + \(denied)")

            reader.closeInput()
            let verdict = reader.finish()
            #expect(verdict.status == 0 && verdict.output.contains("times"), "\(verdict.output)")
            #expect(daemon.stop())
            try Self.compare(try network.records(), with: listing, allowed: allowed, denied: denied)
        }
    }

    private static func load(
        _ from: TestMachine, _ to: TestMachine, _ transport: String, _ port: Int, count: Int, isAnswered: Bool = true,
        within seconds: Double = 10
    ) throws {
        let done = try from.ask(
            "flows",
            [
                ("protocol", JSONValue(transport)), ("to", [JSONValue(to.address), JSONValue(port)]),
                ("count", JSONValue(count)), ("packets", 3), ("answered", JSONValue(isAnswered)),
                ("within", JSONValue(seconds)),
            ])["done"]?.int
        #expect(done == (seconds < 1 ? 0 : count), "\(transport) \(port)")
    }

    /// Reads every PT1H.json under a folder over and over until its input ends; says how often, or which was not JSON.
    private static let reader = """
        import glob, json, os, select, sys, time
        print("reading")
        times = files = 0
        while not select.select([sys.stdin], [], [], 0.002)[0]:
            for path in glob.glob(sys.argv[1] + "/**/PT1H.json", recursive=True):
                with open(path) as file:
                    before = os.fstat(file.fileno())
                    text = file.read()
                    after = os.fstat(file.fileno())
                # A write fell into the reading, which is several system calls.
                if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size): continue
                # Some file systems show a reader half of the pwrite that is going on; it is whole when read again.
                for attempt in range(20):
                    try: records = json.loads(text)["records"]
                    except Exception as e: mistake = e
                    else: break
                    time.sleep(0.005)
                    text = open(path).read()
                else: sys.exit("%s: %r: %s" % (path, mistake, text[-300:]))
                files += 1 if records else 0
            times += 1
        print(times, "times", files, "files with records") if files else sys.exit("no file had a record")
        """

    private struct Sums: Hashable, CustomStringConvertible {
        var packetsSent = 0, bytesSent = 0, packetsReceived = 0, bytesReceived = 0
        var description: String { "\(packetsSent) \(bytesSent) \(packetsReceived) \(bytesReceived)" }
    }

    /// Per flow and interface B, C and E add up to what the kernel counted for the connection; a decision is a record.
    private static func compare(_ records: [JSONValue], with listing: String, allowed: Int, denied: Int) throws {
        var counted: [Int: Sums] = [:]
        for line in listing.split(separator: "\n") {
            let values = { (key: String) in
                line.split(separator: " ").filter { $0.hasPrefix("\(key)=") }.compactMap {
                    Int($0.dropFirst(key.count + 1))
                }
            }
            // The last: an ICMP flow has an `id=` of its own.
            guard let id = values("id").last else { continue }
            let (packets, bytes) = (values("packets"), values("bytes"))
            guard packets.count == 2, bytes.count == 2 else { continue }
            counted[id] = Sums(
                packetsSent: packets[0], bytesSent: bytes[0], packetsReceived: packets[1], bytesReceived: bytes[1])
        }
        #expect(counted.count == allowed, "conntrack listed \(counted.count) flows")

        var logged: [Int: [String: Sums]] = [:]
        var began = 0, refused = 0, gaps = 0
        for record in records {
            if record["event"]?.string == "gap" { gaps += 1 }
            guard let state = record["state"]?.string else { continue }
            if state == "D" { refused += record["repeats"]?.int ?? 0 }
            guard let id = record["flow"]?.int else { continue }
            if state == "B", record["direction"]?.string == "Inbound" { began += 1 }
            let number = { (key: String) in record[key]?.int ?? 0 }
            let side = "\(record["direction"]?.string ?? "") \(record["interface"]?.string ?? "")"
            var sums = logged[id]?[side] ?? Sums()
            sums.packetsSent += number("packetsSent")
            sums.bytesSent += number("bytesSent")
            sums.packetsReceived += number("packetsReceived")
            sums.bytesReceived += number("bytesReceived")
            logged[id, default: [:]][side] = sums
        }
        #expect(began == allowed && gaps == 0)
        #expect(refused == denied)
        let wrong = counted.filter { id, sums in
            let sides = logged[id] ?? [:]
            return sides.isEmpty || !sides.values.allSatisfy { $0 == sums }
        }
        let mistakes = wrong.count
        #expect(mistakes == 0, "as \(wrong.prefix(3).map { "\($0): \(logged[$0.key] ?? [:])" })")
    }
}
