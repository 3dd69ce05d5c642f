import JSONText
import TestSupport
import Testing

/// Live flows under a change of policy: `flushConnection` (S6, KERNEL 7), and idle time-outs (S6, KERNEL 16).
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
            let hasEnded = try eventually(within: 10) {
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

    /// The time that entries have left, in seconds.
    private static func timeouts(_ router: TestMachine, _ arguments: String...) throws -> [Int] {
        try router.run(["conntrack", "-L"] + arguments).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.count > 3 ? Int(words[2]) : nil
        }
    }

    @Test("flowTimeoutInMinutes holds for flows of bound interfaces, and for no other (S6, KERNEL 16)")
    func idleTimeout() throws {
        var estate = Self.estate([Self.web, Self.dns], flushing: false)
        estate.flowTimeout = 4
        try TestNetwork.with(estate) { network in
            let others = try ["north", "south"].enumerated().map { index, name in
                try network.addMachine(name, ["203.0.113.\(index + 1)"], behind: "up\(index)")
            }
            let (a, router) = (network["a"], network.router)
            _ = try network.startDaemon()
            try Self.open(network, .straight)
            try others[1].serve("tcp", 80)
            try others[1].serve("udp", 53)
            #expect(try others[0].connect(1, to: others[1].address, 80) == "open")
            #expect(try others[0].exchange(1) == "same")
            #expect(try others[0].isAnswered(others[1].address, 53, from: 5002, expecting: true))

            let own = try Self.timeouts(router, "-s", a.address)
            #expect(own.count == 2 && own.allSatisfy { (200...240).contains($0) }, "\(own)")
            let foreign = try Self.timeouts(router, "-s", others[0].address)
            #expect(foreign.count == 2 && foreign.allSatisfy { $0 > 240 || $0 <= 120 }, "\(foreign)")

            // Idled out, sooner than by itself: it has ended, and its next packet begins another.
            try router.run(["conntrack", "-U", "-p", "udp", "-s", a.address, "--timeout", "1"])
            let states = { () throws -> [String] in
                try network.records().filter {
                    $0["sourcePort"]?.int == 5002 && $0["direction"]?.string == "Inbound"
                        && $0["interface"]?.string == "vb"
                }.compactMap { $0["state"]?.string }
            }
            let isOver = try eventually(within: 10) { try states() == ["B", "E"] }
            #expect(isOver)
            #expect(try Self.asks(a, network["b"], .straight, expecting: true))
            let isNew = try eventually(within: 5) { try states() == ["B", "E", "B"] }
            #expect(isNew)
        }
    }
}
