import JSONText
import NetworkTypes
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

    @Test("across a restart: what the documents refuse that were changed meanwhile is ended by the next run (S6, E4)")
    func restart() throws {
        try TestNetwork.with(Self.estate([Self.web, Self.dns], flushing: true, logs: false)) { network in
            let first = try network.startDaemon()
            let (a, b) = (network["a"], network["b"])
            try Self.open(network, .straight)
            #expect(try a.connect(2, to: b.address, 81, from: 5003) == "open")
            #expect(first.stop())
            try network.write(Self.estate([], flushing: true, logs: false))
            #expect(try a.exchange(1) == "same")

            let second = try network.startDaemon()
            #expect(second.journal.contains("2 connections were ended"))
            #expect(try a.exchange(2) == "same")
            #expect(try Self.isSilent(network, .straight))
            // And not again.
            #expect(second.stop())
            let third = try network.startDaemon()
            #expect(!third.journal.contains("ended"))
            #expect(try a.reaches(b.address, 81, expecting: true))
        }
    }

    @Test(
        "killed while it evaluates, the next run evaluates all flows, though the documents are the old ones again (S6)")
    func killed() throws {
        try TestNetwork.with(Self.estate([], flushing: true, logs: false)) { network in
            let first = try network.startDaemon()
            let kept = "\(network.folder)/last-good"
            try run(["cp", "-r", "\(network.folder)/state/last-good", kept])
            try network.write(Self.estate([Self.web, Self.dns], flushing: true, logs: false))
            try first.reload()
            try Self.open(network, .straight)
            first.kill()
            // What a kill in the middle of the evaluation leaves, and the documents from before it.
            try run(["rm", "-r", "\(network.folder)/state/last-good"])
            try run(["cp", "-r", kept, "\(network.folder)/state/last-good"])
            try run(["touch", "\(network.folder)/state/evaluation-owed"])
            try network.write(Self.estate([], flushing: true, logs: false))

            let second = try network.startDaemon()
            #expect(second.journal.contains("2 connections were ended"))
            #expect(try Self.isSilent(network, .straight))
            #expect(try network.router.run(["ls", "\(network.folder)/state"]).contains("last-good"))
            #expect(try !network.router.run(["ls", "\(network.folder)/state"]).contains("evaluation-owed"))
            #expect(second.stop())
        }
    }

    @Test("connections older than the first policy are evaluated as well when the rules change (S6)")
    func unlabelled() throws {
        try TestNetwork.with(Self.estate([Self.web, Self.dns], flushing: true, logs: false)) { network in
            // Whose translation has connections tracked before any rule of ours.
            try Self.open(network, .translated)
            let daemon = try network.startDaemon()
            #expect(try network["a"].exchange(1) == "same")
            #expect(!daemon.journal.contains("ended"))

            try network.write(Self.estate([], flushing: true, logs: false))
            let answer = try daemon.reload()
            #expect(answer.notes.contains { $0.hasPrefix("2 connections were ended") }, "\(answer.notes)")
            #expect(try Self.isSilent(network, .translated))
        }
    }

    /// Milliseconds that the only element of a set has left; nil where there is none.
    private static func rest(of set: String, in network: TestNetwork) throws -> Int? {
        let listing = try network.router.run(["nft", "list", "set", "inet", "nsgd", set])
        guard let text = listing.firstMatch(of: #/expires ([0-9a-z]+)/#)?.output.1 else { return nil }
        let units = ["m": 60_000, "s": 1000, "ms": 1]
        return text.matches(of: #/([0-9]+)([a-z]+)/#).reduce(0) { sum, part in
            sum + (Int(part.output.1) ?? 0) * (units[String(part.output.2)] ?? 0)
        }
    }

    @Test("UDP stays ended while the other side goes on sending, and begins from there once it is allowed again (S6)")
    func persistentPeer() throws {
        try TestNetwork.with(Self.estate([Self.dns], flushing: true, logs: false)) { network in
            let daemon = try network.startDaemon()
            let (a, b) = (network["a"], network["b"])
            try b.serve("udp", 53)
            #expect(try Self.asks(a, b, .straight, expecting: true))
            try a.countPackets(ports: [53])
            try network.write(Self.estate([], flushing: true, logs: false))
            #expect(try daemon.reload().notes.contains { $0.hasPrefix("1 connection was ended") })

            #expect(try Self.rest(of: "cut/ports.v4", in: network) ?? 0 > 0)
            try b.push()
            let isDropped = try eventually { try network.router.counter("dropped/cut")?.packets == 1 }
            #expect(isDropped)
            #expect(try a.packetsSeen() == 0)

            try network.write(Self.estate([Self.dns], flushing: true, logs: false))
            try daemon.reload()
            #expect(try Self.rest(of: "cut/ports.v4", in: network) == nil)
            try b.push()
            let hasCome = try eventually { try a.packetsSeen() == 1 }
            #expect(hasCome)
        }
    }

    @Test(
        "a flow without ports does not come back by the other side (KERNEL 7)",
        arguments: [(IPProtocol.esp, false), (.esp, true), (.gre, false), (.sctp, false)])
    func otherProtocols(number: IPProtocol, isIPv6: Bool) throws {
        // From b to a everything is allowed: a side that speaks first would begin a flow of its own.
        let back = Rule.allow("AllowToA", 140, to: [isIPv6 ? "fd00:1::4" : "10.1.0.4"])
        let forth = Rule.allow("AllowToB", 150, to: [isIPv6 ? "fd00:1::5" : "10.1.0.5"])
        try TestNetwork.with(Self.estate([back, forth], flushing: true, logs: false)) { network in
            let daemon = try network.startDaemon()
            let (a, b) = (network["a"].addresses[isIPv6 ? 1 : 0], network["b"].addresses[isIPv6 ? 1 : 0])
            let wires = try Wires(network, "a", "b")
            let ask = ("ask", try RawPackets.first(number, a, 7001, b, 7002))
            let answer = ("answer", try RawPackets.first(number, b, 7002, a, 7001))
            let other = ("other", try RawPackets.first(.udp, b, 7003, a, 7004))
            wires.expect(passing: [ask], from: "a", to: "b")
            if number != .sctp { wires.expect(passing: [answer], from: "b", to: "a") }

            try network.write(Self.estate([back], flushing: true, logs: false))
            let outcome = try daemon.reload()
            #expect(outcome.notes.contains { $0.hasPrefix("1 connection was ended") }, "\(outcome.notes)")
            wires.expect(passing: [other], refused: [answer, answer], from: "b", to: "a")
            #expect(try network.router.counter("dropped/cut")?.packets == 2)

            try network.write(Self.estate([back, forth], flushing: true, logs: false))
            try daemon.reload()
            wires.expect(passing: [answer], from: "b", to: "a")
        }
    }
}
