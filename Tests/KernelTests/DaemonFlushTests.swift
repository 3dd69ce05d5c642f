import JSONText
import TestSupport
import Testing

/// Live flows under a change of policy: `flushConnection`. S5, S6, KERNEL 7.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonFlushTests {
    private typealias Rule = EstateDocuments.Rule
    private static let web = Rule.allow("AllowWeb", 100, "Tcp", "80")
    private static let dns = Rule.allow("AllowDns", 110, "Udp", "53")
    /// What stays: a port beside, and the way back to the client's own ports, on which a server could go on speaking.
    private static let kept = [
        Rule.allow("AllowOther", 120, "Tcp", "81"), .allow("AllowBack", 130, "*", "5000-5999"),
        .deny("DenyRest", 4000),
    ]

    private static func estate(_ rules: [Rule], flushing: Bool, logs: Bool = true) -> EstateDocuments {
        var estate = EstateDocuments.guests("a", "b", rules: rules + kept)
        if flushing { estate.flushing = ["front"] }
        if !logs { estate.flowLogs.append(("enabled", false)) }
        return estate
    }

    enum Way: Sendable, CaseIterable { case straight, translated }

    /// One TCP and one UDP flow from a's ports 5001 and 5002 to b.
    private static func open(_ network: TestNetwork, _ way: Way) throws {
        let (a, b) = (network["a"], network["b"])
        try b.serve("tcp", 80, 81)
        try b.serve("udp", 53)
        if way == .translated {
            try network.router.run(
                ["nft", "-f", "-"],
                input: """
                    table ip front {
                    chain prerouting {
                    type nat hook prerouting priority -100
                    ip daddr 203.0.113.80 tcp dport 8080 dnat to \(b.address):80
                    ip daddr 203.0.113.80 udp dport 5300 dnat to \(b.address):53
                    }
                    }

                    """)
        }
        let (address, tcp, _) = target(b, way)
        #expect(try a.connect(1, to: address, tcp, from: 5001) == "open")
        #expect(try a.exchange(1) == "same")
        #expect(try asks(a, b, way, expecting: true))
        for machine in [a, b] { try machine.countPackets(ports: [80, 53, 8080, 5300]) }
    }

    private static func target(_ b: TestMachine, _ way: Way) -> (address: String, tcp: Int, udp: Int) {
        way == .straight ? (b.address, 80, 53) : ("203.0.113.80", 8080, 5300)
    }

    private static func asks(_ a: TestMachine, _ b: TestMachine, _ way: Way, expecting answer: Bool) throws -> Bool {
        let (address, _, udp) = target(b, way)
        return try a.isAnswered(address, udp, from: 5002, expecting: answer)
    }

    /// Whether not one packet of the two flows passes, whoever speaks.
    private static func isSilent(_ network: TestNetwork, _ way: Way) throws -> Bool {
        let (a, b) = (network["a"], network["b"])
        let before = (try a.packetsSeen(), try b.packetsSeen())
        try b.push()
        let result = try a.exchange(1, within: 0.6)
        let answered = try asks(a, b, way, expecting: false)
        try b.push()
        let again = try a.exchange(1, within: 0.6)
        return try result == "timeout" && again == "timeout" && !answered && a.packetsSeen() == before.0
            && b.packetsSeen() == before.1
    }

    @Test(
        "flows whose rule is gone end where flushConnection is on: not a packet passes after, and what is allowed goes on",
        arguments: Way.allCases)
    func removedRule(way: Way) throws {
        try TestNetwork.with(Self.estate([Self.web, Self.dns], flushing: true)) { network in
            let daemon = try network.startDaemon()
            let (a, b) = (network["a"], network["b"])
            try Self.open(network, way)
            #expect(try a.connect(2, to: b.address, 81, from: 5003) == "open")

            try network.write(Self.estate([], flushing: true))
            let answer = try daemon.reload()
            #expect(answer.notes.contains { $0.hasPrefix("2 connections were ended") }, "\(answer.notes)")
            #expect(try a.exchange(2) == "same")
            #expect(try Self.isSilent(network, way))
            #expect(try a.reaches(b.address, 81, expecting: true))
            #expect(try !a.reaches(b.address, 80, expecting: false))
            #expect(try daemon.status()["flowsEnded"]?.int == 2)

            // E of both flows at both interfaces, with what they carried.
            let hasEnded = try eventually {
                let ends = try network.records().filter { record in
                    record["state"]?.string == "E" && [5001, 5002].contains(record["sourcePort"]?.int)
                }
                return ends.count == 4 && ends.allSatisfy { ($0["bytesSent"]?.int ?? 0) > 0 }
            }
            #expect(hasEnded)

            // Once it is allowed again a flow of the same ports may begin.
            try network.write(Self.estate([Self.web, Self.dns], flushing: true))
            #expect(try daemon.reload().notes.isEmpty)
            #expect(try Self.asks(a, b, way, expecting: true))
            #expect(try a.reaches(b.address, 80, expecting: true))
            #expect(try daemon.status()["flowsEnded"]?.int == 2)
        }
    }

    @Test("with the flag off they live on; switched on, the flag evaluates them once, without flow logs too (S5, S6)")
    func switchedOn() throws {
        try TestNetwork.with(Self.estate([Self.web, Self.dns], flushing: false, logs: false)) { network in
            let daemon = try network.startDaemon()
            let (a, b) = (network["a"], network["b"])
            try Self.open(network, .straight)

            try network.write(Self.estate([], flushing: false, logs: false))
            #expect(try daemon.reload().notes.isEmpty)
            #expect(try a.exchange(1) == "same")
            #expect(try Self.asks(a, b, .straight, expecting: true))

            try network.write(Self.estate([], flushing: true, logs: false))
            let answer = try daemon.reload()
            #expect(answer.result == "unchanged" && answer.notes.count == 1, "\(answer)")
            #expect(try Self.isSilent(network, .straight))
            #expect(try daemon.reload().notes.isEmpty)
            #expect(daemon.journal.contains("2 connections were ended"))
        }
    }
}
