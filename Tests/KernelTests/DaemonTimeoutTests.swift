import JSONText
import TestSupport
import Testing

/// How long idle flows are remembered. S6, KERNEL 16.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonTimeoutTests {
    /// The time that entries have left, in seconds.
    private static func timeouts(_ router: TestMachine, _ arguments: String...) throws -> [Int] {
        try router.run(["conntrack", "-L"] + arguments).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.count > 3 ? Int(words[2]) : nil
        }
    }

    @Test("flowTimeoutInMinutes holds for flows of bound interfaces, and for no other (S6, KERNEL 16)")
    func idleTimeout() throws {
        var estate = EstateDocuments.guests(
            "a", "b", rules: [.allow("AllowWeb", 100, "Tcp", "80"), .allow("AllowDns", 110, "Udp", "53")])
        estate.flowTimeout = 4
        try TestNetwork.with(estate) { network in
            let others = try ["north", "south"].enumerated().map { index, name in
                try network.addMachine(name, ["203.0.113.\(index + 1)"], behind: "up\(index)")
            }
            let (a, b, router) = (network["a"], network["b"], network.router)
            _ = try network.startDaemon()
            for (client, server) in [(a, b), (others[0], others[1])] {
                try server.serve("tcp", 80)
                try server.serve("udp", 53)
                #expect(try client.connect(1, to: server.address, 80) == "open")
                #expect(try client.exchange(1) == "same")
                #expect(try client.isAnswered(server.address, 53, from: 5002, expecting: true))
            }

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
                }.compactMap { $0["state"]?.string }.filter { $0 != "C" }  // what goes on is told every five seconds
            }
            let isOver = try eventually {
                // The kernel sweeps at its leisure; a listing takes out what is over.
                try router.run(["conntrack", "-L"])
                return try states() == ["B", "E"]
            }
            #expect(isOver)
            #expect(try a.isAnswered(b.address, 53, from: 5002, expecting: true))
            let isNew = try eventually { try states() == ["B", "E", "B"] }
            #expect(isNew)
        }
    }

    @Test("without flowTimeoutInMinutes live flows keep what they were given, new ones get the kernel's (S5, S6)")
    func removed() throws {
        var estate = EstateDocuments.guests(
            "a", "b", rules: [.allow("AllowWeb", 100, "Tcp", "80"), .allow("AllowDns", 110, "Udp", "53")])
        estate.flowTimeout = 4
        try TestNetwork.with(estate) { network in
            let (a, b, router) = (network["a"], network["b"], network.router)
            let daemon = try network.startDaemon()
            try b.serve("tcp", 80)
            try b.serve("udp", 53)
            /// Sends over a connection and from a port, so that what is left begins anew; gives it, in seconds.
            let left = { (connection: Int, port: Int) throws -> (tcp: Int?, udp: Int?) in
                #expect(try a.exchange(connection) == "same")
                #expect(try a.isAnswered(b.address, 53, from: port, expecting: true))
                let entries = { (transport: String, port: Int) in
                    try Self.timeouts(router, "-p", transport, "-s", a.address, "--sport", "\(port)")
                }
                return (try entries("tcp", 4000 + connection).first, try entries("udp", port).first)
            }
            let given = 200...240
            #expect(try a.connect(1, to: b.address, 80, from: 4001) == "open")
            var (tcp, udp) = try left(1, 5001)
            #expect(tcp.map(given.contains) == true && udp.map(given.contains) == true, "\(tcp ?? -1) \(udp ?? -1)")

            estate.flowTimeout = nil
            try network.write(estate)
            #expect(try daemon.reload().result == "applied")
            // Shorter than what remained before the reload, so that only a new beginning gives it back.
            try router.run(["conntrack", "-U", "-s", a.address, "--timeout", "60"])
            (tcp, udp) = try left(1, 5001)
            #expect(tcp.map(given.contains) == true && udp.map(given.contains) == true, "\(tcp ?? -1) \(udp ?? -1)")
            #expect(try a.connect(2, to: b.address, 80, from: 4002) == "open")
            (tcp, udp) = try left(2, 5002)
            #expect((tcp ?? 0) > 3600 && (1...120).contains(udp ?? 0), "\(tcp ?? -1) \(udp ?? -1)")
        }
    }
}
