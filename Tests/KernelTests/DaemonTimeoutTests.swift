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
                }.compactMap { $0["state"]?.string }
            }
            let isOver = try eventually(within: 10) {
                // The kernel sweeps at its leisure; a listing takes out what is over.
                try router.run(["conntrack", "-L"])
                return try states() == ["B", "E"]
            }
            #expect(isOver)
            #expect(try a.isAnswered(b.address, 53, from: 5002, expecting: true))
            let isNew = try eventually(within: 5) { try states() == ["B", "E", "B"] }
            #expect(isNew)
        }
    }
}
