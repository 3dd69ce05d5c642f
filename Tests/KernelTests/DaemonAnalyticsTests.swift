import Glibc
import JSONText
import TestSupport
import Testing

/// Traffic analytics, held against the packets that were sent and against the kernel's counters. K3.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonAnalyticsTests {
    private typealias Rule = EstateDocuments.Rule
    private static let rules = [
        Rule.allow("AllowTcp", 100, "Tcp", "80"), Rule.allow("AllowPing", 120, "Icmp", "*"),
        Rule.allow("AllowNobody", 130, "Tcp", "2222"), Rule.deny("DenyRest", 4000),
    ]

    private static func top(_ daemon: DaemonUnderTest, _ arguments: String...) throws -> JSONValue {
        let (output, status) = try DaemonUnderTest.control(
            ["top", "-o", "json", "--socket", daemon.socket, "--limit", "50"] + arguments)
        #expect(status == 0, "\(output)")
        return try JSONValue(parsing: output, dialect: .json)["traffic"] ?? [:]
    }

    private static func denied(_ daemon: DaemonUnderTest) throws -> Int {
        try top(daemon, "denied")["totals"]?["denied"]?.int ?? -1
    }

    private static func sends(_ machine: TestMachine, _ to: TestMachine, _ port: Int, count: Int) throws {
        try machine.ask(
            "flows",
            [
                ("protocol", "udp"), ("to", [JSONValue(to.address), JSONValue(port)]), ("count", JSONValue(count)),
                ("packets", 3), ("answered", false), ("within", 5),
            ])
    }

    @Test("top counts the flows and packets that were sent, each once, also after a restart")
    func counts() throws {
        try TestNetwork.with(.guests("a", "b", rules: Self.rules)) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            let (a, b) = (network["a"], network["b"])
            try network.router.shell("sysctl -qw net.netfilter.nf_conntrack_acct=1")
            try b.serve("tcp", 80)
            let daemon = try network.startDaemon()
            for _ in 0..<7 { #expect(try a.reaches(b.address, 80, expecting: true)) }
            for _ in 0..<4 { #expect(try outside.reaches(b.address, 80, expecting: true)) }
            #expect(a.pings(b.address, expecting: true))
            // Of one source port each three packets: every one is a decision.
            try Self.sends(a, b, 99, count: 5)
            try Self.sends(outside, b, 98, count: 11)

            var traffic: JSONValue = [:]
            let isComplete = try eventually(within: 10) {
                traffic = try Self.top(daemon)
                return traffic["totals"]?["allowed"]?.int == 12 && traffic["totals"]?["denied"]?.int == 48
            }
            #expect(isComplete, "\(traffic["totals"]?.text() ?? "")")
            Self.expectLists(traffic, a.address, b.address)
            let counters = try network.router.counters()
            #expect(counters["nsg/front/inbound/DenyRest"]?.packets == 48)

            // What b was sent, and what a sent, whose group let everything out.
            let atB = try Self.top(daemon, "denied", "--nic", "b")
            #expect(atB["totals"]?["denied"]?.int == 48 && atB["talkers"]?.array?.isEmpty == true)
            #expect(try Self.top(daemon, "talkers", "--nic", "a")["totals"]?["denied"]?.int == 0)

            // The bytes of flows that live are known at the end, and the file outlives the daemon.
            #expect(daemon.stop())
            let again = try network.startDaemon()
            let after = try Self.top(again)
            #expect(after["totals"]?["allowed"]?.int == 12 && after["totals"]?["denied"]?.int == 48)
            let listing = try network.router.run(["conntrack", "-L", "-p", "icmp"])
            let bytes = listing.split(separator: " ").filter { $0.hasPrefix("bytes=") }.compactMap {
                Int($0.dropFirst(6))
            }
            let ping = after["ports"]?.array?.first { $0["protocol"]?.int == 1 }
            #expect(bytes.isEmpty || ping?["bytes"]?.int == bytes.reduce(0, +), "\(bytes) \(ping?.text() ?? "")")
            #expect((after["totals"]?["bytes"]?.int ?? 0) > 11 * 4 * 52)
            try Self.expectView(network.folder)
            try Self.expectReport(again, network.folder)
        }
    }

    @Test("on a full disk rows wait, status says so, and nothing else is disturbed (F5)")
    func fullDisk() throws {
        try TestNetwork.with(.guests("a", "b", rules: Self.rules)) { network in
            let (a, b) = (network["a"], network["b"])
            let state = "\(network.folder)/state"
            try run(["mkdir", state])
            try run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", state])
            defer { _ = try? run(["umount", "-l", state]) }
            let daemon = try network.startDaemon()
            try Self.sends(a, b, 99, count: 5)
            #expect(try eventually(within: 10) { try Self.denied(daemon) == 15 })

            try run(["sh", "-c", "dd if=/dev/zero of=\(state)/fill bs=4k 2>/dev/null || true"])
            for port in 1000..<1040 { try Self.sends(a, b, port, count: 1) }
            let isTold = try eventually(within: 10) {
                _ = try daemon.control("top")
                let problems = try daemon.status()["problems"]?.array ?? []
                return problems.contains { $0.string?.contains("traffic analytics are not stored") ?? false }
            }
            #expect(isTold, "\(daemon.journal)")
            #expect(a.pings(b.address, expecting: true))
            #expect(try eventually { try network.records().contains { $0["destinationPort"]?.int == 1039 } })

            try run(["rm", "\(state)/fill"])
            let isStored = try eventually(within: 10) { try Self.denied(daemon) == 135 }
            let (whole, count) = (try Self.top(daemon)["totals"]?.text() ?? "", try Self.denied(daemon))
            #expect(isStored, "\(count): \(whole) \(daemon.journal)")
            let problems = (try daemon.status()["problems"]?.array ?? []).compactMap(\.string)
            #expect(!problems.contains { $0.contains("traffic analytics") }, "\(problems)")
        }
    }

    private static func expectLists(_ traffic: JSONValue, _ a: String, _ b: String) {
        let talkers = (traffic["talkers"]?.array ?? []).map { talker in
            "\(talker["source"]?.string ?? "") \(talker["destinationName"]?.string ?? "") "
                + "\(talker["flows"]?.int ?? -1) \(talker["denied"]?.int ?? -1) \(talker["flowType"]?.string ?? "")"
        }
        #expect(Set(talkers) == ["\(a) b 8 15 IntraVNet", "203.0.113.9 b 4 33 ExternalPublic"])
        let denied = (traffic["denied"]?.array ?? []).map { denial in
            "\(denial["source"]?.string ?? "") \(denial["port"]?.int ?? 0) \(denial["flows"]?.int ?? 0) "
                + "\(denial["ruleName"]?.string ?? "")"
        }
        #expect(denied == ["203.0.113.9 98 33 DenyRest", "\(a) 99 15 DenyRest"])
        let ports = (traffic["ports"]?.array ?? []).map { "\($0["name"]?.string ?? "") \($0["flows"]?.int ?? 0)" }
        #expect(Set(ports) == ["80/TCP http 11", "98/UDP 0", "99/UDP 0", "ICMP 1"])
        let rules = (traffic["rules"]?.array ?? []).map { "\($0["ruleName"]?.string ?? "") \($0["hits"]?.int ?? -1)" }
        #expect(
            Set(rules).isSuperset(of: ["AllowTcp 11", "AllowPing 1", "DenyRest 48", "AllowVnetOutBound 23"]), "\(rules)"
        )
        let silent = (traffic["neverFired"]?.array ?? []).compactMap { $0["ruleName"]?.string }
        #expect(silent.contains("AllowNobody") && !silent.contains("AllowTcp"), "\(silent)")
    }

    /// Whoever opens the file finds the columns that Azure has.
    private static func expectView(_ folder: String) throws {
        let sums = try run([
            "/usr/bin/python3", "-Ic",
            """
            import sqlite3, sys
            db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True)
            print(db.execute('''SELECT sum(AllowedInFlows), sum(AllowedOutFlows), sum(DeniedInFlows), sum(DeniedOutFlows),
                min(FlowIntervalStartTime <= FlowStartTime AND FlowStartTime <= FlowEndTime), group_concat(DISTINCT FlowType),
                group_concat(DISTINCT L4Protocol) FROM NTANetAnalytics''').fetchone())
            print(db.execute('''SELECT DISTINCT NSGList, NSGRule, NSGRuleType, SrcSubnet, DestSubnet, DestNIC FROM NTANetAnalytics
                WHERE FlowDirection = 'I' AND FlowStatus = 'D' AND DestPort = 99''').fetchone())
            """, "\(folder)/state/analytics.db",
        ])
        let lines = sums.split(separator: "\n")
        // Out of a: seven connections, a ping, and the five flows that b refused.
        #expect(lines.first?.hasPrefix("(12, 13, 48, 0, 1, ") == true, "\(sums)")
        #expect(
            lines.last
                == "('00000000-0000-0000-0000-000000000000/lab/front', 'DenyRest', 'User Defined', 'lab/lab/front', 'lab/lab/front', 'lab/b')",
            "\(sums)")
    }

    private static func expectReport(_ daemon: DaemonUnderTest, _ folder: String) throws {
        let (output, status) = try daemon.control("report", "--html", "\(folder)/report.html", "--since", "2h")
        #expect(status == 0 && output.contains("report.html"), "\(output)")
        let page = try run(["cat", "\(folder)/report.html"])
        #expect(page.contains("AllowNobody") && page.contains("never fired") && page.contains("front on 2 interfaces"))
        let tables = try daemon.control("top", "--since", "30m")
        #expect(tables.status == 0 && tables.output.contains("12 flows allowed, 48 packets denied"), "\(tables.output)")
        #expect(try daemon.control("top", "talker").status == 2)
        #expect(try daemon.control("top", "--since", "soon").status == 2)
    }
}
