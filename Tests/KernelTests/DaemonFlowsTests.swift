import ControlProtocol
import JSONText
import TestSupport
import Testing

/// `nsgctl flows` and `flows end`: K3, E4, KERNEL 7.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonFlowsTests {
    private typealias Rule = EstateDocuments.Rule
    /// What stays: a port beside, and the way back to the client's own ports, on which a server could go on speaking.
    private static let kept = [
        Rule.allow("AllowOther", 120, "Tcp", "81"), .allow("AllowBack", 130, "*", "5000-5999"),
        .deny("DenyRest", 4000),
    ]
    private static let open = EstateDocuments.guests(
        "a", "b", rules: [.allow("AllowWeb", 100, "Tcp", "80"), .allow("AllowDns", 110, "Udp", "53")] + kept)
    private static let closed = EstateDocuments.guests("a", "b", rules: kept)

    private static func flows(_ daemon: DaemonUnderTest, _ arguments: String...) throws -> [JSONValue] {
        let (output, status) = try DaemonUnderTest.control(
            ["flows", "-o", "json", "--socket", daemon.socket] + arguments)
        #expect(status == 0)
        let rows = try JSONValue(parsing: output, dialect: .json).array ?? []
        for row in rows {
            #expect(ControlInterface.definition.departure(of: row, from: .named("LiveFlow")) == nil, "\(row)")
        }
        return rows
    }

    /// `b Inbound 5001 AllowWeb`, sorted.
    private static func summary(_ rows: [JSONValue]) -> [String] {
        rows.map { row in
            let last = { (text: String?) in text?.split(separator: "/").last.map(String.init) ?? "-" }
            let rules = (row["stages"]?.array ?? []).map { last($0["ruleName"]?.string) }
            return "\(last(row["nic"]?.string)) \(row["direction"]?.string ?? "") \(row["sourcePort"]?.text() ?? "") "
                + rules.joined(separator: "+")
        }.sorted()
    }

    @Test("live flows with their rules; those that would now be denied are ended for good, others live (K3, KERNEL 7)")
    func flows() throws {
        try TestNetwork.with(Self.open) { network in
            let daemon = try network.startDaemon()
            let (a, b) = (network["a"], network["b"])
            try b.serve("tcp", 80, 81)
            try b.serve("udp", 53)
            try network.router.run(
                ["nft", "-f", "-"],
                input: """
                    table ip front {
                    chain prerouting {
                    type nat hook prerouting priority -100
                    ip daddr 203.0.113.80 tcp dport 8080 dnat to \(b.address):80
                    }
                    }

                    """)
            #expect(try a.connect(1, to: "203.0.113.80", 8080, from: 5001) == "open")
            #expect(try a.exchange(1) == "same")
            #expect(try a.isAnswered(b.address, 53, from: 5002, expecting: true))
            #expect(try a.connect(2, to: b.address, 81, from: 5003) == "open")

            #expect(
                try Self.summary(Self.flows(daemon, "--peer", "10.1.0.0/24")) == [
                    "a Outbound 5001 AllowVnetOutBound", "a Outbound 5002 AllowVnetOutBound",
                    "a Outbound 5003 AllowVnetOutBound", "b Inbound 5001 AllowWeb", "b Inbound 5002 AllowDns",
                    "b Inbound 5003 AllowOther",
                ])
            let web = try #require(try Self.flows(daemon, "--nic", "b", "--rule", "front/AllowWeb").first)
            #expect(web["originalDestination"] == "203.0.113.80" && web["originalDestinationPort"] == 8080)
            #expect(web["destination"]?.string == b.address && web["state"] == "ESTABLISHED")
            #expect(web["bytesSent"]?.int ?? 0 > 0 && web["bytesReceived"]?.int ?? 0 > 0)
            #expect(try Self.flows(daemon, "--would-now-deny").isEmpty)

            try network.write(Self.closed)
            try daemon.reload()
            let refused = try Self.flows(daemon, "--would-now-deny", "--nic", "b")
            #expect(Self.summary(refused) == ["b Inbound 5001 AllowWeb", "b Inbound 5002 AllowDns"])
            #expect(refused.allSatisfy { $0["wouldNowDeny"]?["stage"]?["ruleName"] == "securityRules/DenyRest" })
            #expect(refused.allSatisfy { $0["stages"]?[0]?["former"] == true })

            let unasked = try daemon.control("flows", "end", "--would-now-deny")
            #expect(unasked.status == 1 && unasked.output.contains("2 connections"))
            #expect(try a.exchange(1) == "same")
            for machine in [a, b] { try machine.countPackets(ports: [80, 53, 8080]) }
            let answer = try daemon.control("flows", "end", "--would-now-deny", "--yes")
            #expect(answer.status == 0 && answer.output.hasPrefix("2 connections were ended"), "\(answer.output)")
            #expect(try a.exchange(2) == "same")
            try b.push()
            #expect(try a.exchange(1, within: 0.6) == "timeout")
            #expect(try !a.isAnswered(b.address, 53, from: 5002, expecting: false))
            #expect(try a.packetsSeen() == 0 && b.packetsSeen() == 0)
            #expect(try Self.flows(daemon, "--would-now-deny").isEmpty)

            // One that is allowed ends as well, and may be opened anew.
            #expect(try a.connect(3, to: b.address, 81, from: 5004) == "open")
            #expect(try daemon.control("flows", "end", "--rule", "AllowOther", "--yes").output.hasPrefix("2 conn"))
            #expect(try a.exchange(3, within: 0.6) == "timeout")
            #expect(try a.reaches(b.address, 81, expecting: true))
            #expect(try daemon.status()["flowsEnded"]?.int == 4)
        }
    }
}
