import Glibc
import JSONText
import SystemServices
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonMetricsTests {
    private typealias Rule = EstateDocuments.Rule

    /// Where `scripts/promtool` puts it, or an installed one.
    private static let promtool: String? = {
        let fetched = "\(VarlinkClient.root)/.build/promtool/promtool"
        return [fetched, "promtool"].first { (try? run([$0, "--version"])) != nil }
    }()

    private static func estate(file: String) -> EstateDocuments {
        var estate = EstateDocuments.guests(
            "a", "b", rules: [.allow("AllowUdp", 100, "Udp", "53"), .deny("DenyRest", 4000)])
        estate.settings.append(("metrics", ["file": JSONValue(file), "interval": 1]))
        return estate
    }

    /// Samples by their name and labels.
    private static func samples(_ text: String) -> [String: String] {
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        let pairs = lines.compactMap { line in
            line.lastIndex(of: " ").map { (String(line[..<$0]), String(line[$0...].dropFirst())) }
        }
        #expect(Set(pairs.map(\.0)).count == pairs.count, "a sample comes twice")
        return Dictionary(pairs) { first, _ in first }
    }

    @Test(
        "D6: the file has the kernel's counts, promtool finds nothing wrong with it, and status tells what was dropped",
        .enabled(if: promtool != nil, "needs promtool; scripts/promtool fetches it"))
    func file() throws {
        try TestNetwork.with(Self.estate(file: "/nowhere/at/all.prom")) { network in
            let (a, b) = (network["a"], network["b"])
            let daemon = try network.startDaemon()
            // A file that cannot be written is a problem, and nothing else.
            let isTold = try eventually {
                try daemon.status()["problems"]?.array?.contains {
                    $0.string?.contains("metrics are not written") ?? false
                }
                    ?? false
            }
            #expect(isTold)
            let file = "\(network.folder)/nsgd.prom"
            try network.write(Self.estate(file: file))
            try daemon.reload()

            try b.serve("udp", 53)
            for port in 5000..<5003 { #expect(try a.isAnswered(b.address, 53, from: port, expecting: true)) }
            for port in 6000..<6005 {
                try a.ask("datagram", [("to", ["10.1.0.5", 99]), ("from", JSONValue(port)), ("within", 0.005)])
            }
            // With an address that is none of its own (S13).
            try a.shell(
                "ip addr add 10.1.0.77/32 dev eth0; ping -n -q -c 2 -i 0.2 -W 0.1 -I 10.1.0.77 10.1.0.5 || true")

            let rule = #"nsgd_rule_decisions_total{network_security_group="front",rule="#
            let expected = [
                #"\#(rule)"AllowUdp",kind="custom",direction="Inbound",access="Allow"}"#: "3",
                #"\#(rule)"DenyRest",kind="custom",direction="Inbound",access="Deny"}"#: "5",
                #"\#(rule)"AllowVnetOutBound",kind="default",direction="Outbound",access="Allow"}"#: "8",
                #"nsgd_dropped_packets_total{reason="foreign address",nic="a",direction="Outbound"}"#: "2",
                "nsgd_allowed_packets_total": "3", "nsgd_decisions_logged_total": "8", "nsgd_packet_log_up": "1",
                "nsgd_last_reload_successful": "1", "nsgd_problems": "0", "nsgd_flows": "3",
            ]
            var text = ""
            let isThere = eventually {
                text = (try? Files.read(file, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
                let samples = Self.samples(text)
                return expected.allSatisfy { samples[$0.key] == $0.value }
            }
            #expect(isThere, "\(text)")
            #expect(try run(["stat", "-c", "%a", file]) == "644\n")
            #expect(try run(["sh", "-c", "ls \"$0\" | grep -c nsgd.prom", network.folder]) == "1\n")
            for metrics in [text, try daemon.control("metrics").output] {
                let (output, status) = try Self.check(metrics)
                #expect(status == 0 && output.isEmpty, "\(output)")
                #expect(Self.samples(metrics)["nsgd_allowed_packets_total"] == "3" && metrics.hasSuffix("# EOF\n"))
            }
            #expect(try Self.check("nsgd_x_total 1\nnsgd_x_total 1\n").status != 0, "promtool notices mistakes")

            let status = try daemon.status()
            #expect(status["dropped"]?.array?.contains { $0["reason"]?.string == "foreign address" } == true)
            #expect(try daemon.control("status").output.contains("Dropped    2 foreign address"))
            #expect((status["conntrack"]?["limit"]?.int ?? 0) > (status["conntrack"]?["connections"]?.int ?? .max))

            // Not wanted any more, it does not stay behind to be taken for true.
            try network.write(.guests("a", "b", rules: [.allow("AllowUdp", 100, "Udp", "53")]))
            try daemon.reload()
            let isGone = eventually { unsafe access(file, F_OK) != 0 }
            #expect(isGone)
        }
    }

    private static func check(_ metrics: String) throws -> (output: String, status: Int32) {
        let process = try Subprocess([promtool ?? "promtool", "check", "metrics"], readsInput: true)
        process.write(metrics)
        return process.finish()
    }
}
