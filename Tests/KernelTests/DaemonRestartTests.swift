import Glibc
import JSONText
import TestSupport
import Testing

/// The daemon dies, and another takes over. E1, E4, E5.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonRestartTests {
    private typealias Rule = EstateDocuments.Rule

    @Test(
        "killed, it leaves the rules in force; the next one takes over without a gap and knows the flows it finds (E4, E5)"
    )
    func kill() throws {
        let rules = [
            Rule.allow("AllowWeb", 100, "Tcp", "80"), Rule.allow("AllowStream", 110, "Udp", "9000-9009"),
            Rule.deny("DenyRest", 4000),
        ]
        try TestNetwork.with(.guests("a", "b", rules: rules)) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            try network.router.shell(
                """
                sysctl -qw net.netfilter.nf_conntrack_udp_timeout=5 net.netfilter.nf_conntrack_tcp_timeout_time_wait=3
                """)
            let (a, b) = (network["a"], network["b"])
            let first = try network.startDaemon()
            try b.serve("tcp", 80, 81)
            try b.countArrivals(ports: [9000, 7000])
            let port = try a.ask(
                "connect", [("id", 1), ("to", [JSONValue(b.address), 80]), ("from", 0), ("within", 10)])["port"]?.int
            #expect(try a.exchange(1) == "same")
            #expect(try outside.connect(2, to: b.address, 80) == "open")
            try outside.flood(b.address, ports: [9000, 7000], rate: 2000)

            first.kill()
            #expect(try a.exchange(1) == "same")
            #expect(try a.reaches(b.address, 80, expecting: true))
            #expect(try !a.reaches(b.address, 81, expecting: false))

            // A rule before the old ones, so that numbers given in the order of the rules would be others now.
            var estate = EstateDocuments.guests("a", "b", rules: rules)
            estate.groups["front"]?.insert(.allow("AllowNew", 90, "Tcp", "8080"), at: 0)
            try network.write(estate)
            let second = try network.startDaemon()
            #expect(try a.exchange(1) == "same")
            #expect(try outside.exchange(2) == "same")
            #expect(try !a.reaches(b.address, 81, expecting: false))
            let sent = try outside.calm()
            let allArrived = try eventually { try b.arrivals(port: 9000) == sent[0] }
            let arrived = try b.arrivals(port: 9000)
            #expect(allArrived, "\(sent[0]) sent, \(arrived) arrived")
            #expect(try b.arrivals(port: 7000) == 0 && sent[1] > 500)

            try a.disconnect(1)
            var ends: [JSONValue] = []
            let hasEnded = try eventually {
                ends = try network.records().filter { $0["state"]?.string == "E" && $0["sourcePort"]?.int == port }
                return ends.count >= 2
            }
            #expect(hasEnded, "\(ends)")
            #expect(Set(ends.compactMap { $0["direction"]?.string }) == ["Inbound", "Outbound"])
            for end in ends {
                let expected = end["direction"]?.string == "Inbound" ? "AllowWeb" : "AllowVnetOutBound"
                let name = end["stages"]?.array?.last?["ruleName"]?.string ?? ""
                #expect(name == expected || name.hasSuffix("/\(expected)"), "\(end)")
                // What a C has told of by then the E does not repeat.
                let told = try network.records().filter {
                    $0["sourcePort"]?.int == port && $0["direction"]?.string == end["direction"]?.string
                }.compactMap { $0["packetsSent"]?.int }.reduce(0, +)
                #expect(told >= 5)
            }
            #expect(second.stop())
            #expect(try !a.reaches(b.address, 81, expecting: false), "stopped, the rules stay (E5)")
        }
    }

    /// Three machines, each with a group of two hundred rules (a debug build takes half a second for them); `isNew`
    /// lets other ports through on all of them.
    private static func large(isNew: Bool) -> EstateDocuments {
        var estate = EstateDocuments.guests("a", "b", "c", rules: [])
        estate.subnets = ["front": (0, nil)]
        estate.groups = [:]
        for index in estate.interfaces.indices {
            let group = "group\(index)"
            estate.interfaces[index].group = group
            let others = (0..<196).map { number in
                Rule.allow(
                    "Rule\(number)", 200 + number, "Tcp", "\(10_000 + number + (isNew && number % 3 == 0 ? 2000 : 0))",
                    from: ["198.51.100.\(number % 256)/32", "192.0.2.\(index)/32"])
            }
            estate.groups[group] =
                [
                    Rule.allow("First", 100, "Udp", isNew ? "7000" : "6000")
                ] + others + [
                    Rule.allow("Last", 3000, "Udp", isNew ? "7001" : "6001"),
                    Rule.allow("Always", 3001, "Tcp", "22"), Rule.deny("DenyRest", 4000),
                ]
        }
        return estate
    }

    /// Which of the ports that tell the policies apart are open, on every machine.
    private static func openPorts(_ network: TestNetwork, from outside: TestMachine) throws -> Set<String> {
        let machines = ["a", "b", "c"].map { network[$0] }
        let ports = [6000, 6001, 7000, 7001]
        let targets = machines.flatMap { machine in
            ports.map { JSONValue([JSONValue(machine.address), JSONValue($0)]) }
        }
        // Whichever policy is in force, half of them are open.
        let answers = try outside.ask("probe", [("to", JSONValue(targets)), ("enough", 6), ("within", 15)])["answered"]
        return Set(
            (answers?.array ?? []).compactMap { answer in
                guard let address = answer[0]?.string, let port = answer[1]?.int else { return nil }
                return "\(machines.first { $0.address == address }?.name ?? "") \(port)"
            })
    }

    private static func expected(isNew: Bool) -> Set<String> {
        Set(["a", "b", "c"].flatMap { name in (isNew ? [7000, 7001] : [6000, 6001]).map { "\(name) \($0)" } })
    }

    @Test(
        "killed at any moment of a change, it leaves the old policy or the new one, whole; the next one brings the new (E1)"
    )
    func killInsideChange() throws {
        try TestNetwork.with(Self.large(isNew: false)) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            for name in ["a", "b", "c"] { try network[name].serve("udp", 6000, 6001, 7000, 7001) }
            var daemon = try network.startDaemon()
            #expect(try Self.openPorts(network, from: outside) == Self.expected(isNew: false))

            try network.write(Self.large(isNew: true))
            let began = Self.now
            #expect(try daemon.reload().result == "applied")
            let duration = Self.now - began
            #expect(try Self.openPorts(network, from: outside) == Self.expected(isNew: true))

            let moments = 16
            var isNew = true
            var outcomes: [Bool] = []
            for moment in 0..<moments {
                isNew.toggle()
                try network.write(Self.large(isNew: isNew))
                let generation = try network.generation()
                let reload = try daemon.beginReload()
                // The moments are the test's subject. One half of them is spread over the time a reload takes, most of
                // which goes by before its first commit; the other half comes with the first commit that is seen.
                if moment < moments / 2 {
                    usleep(UInt32(duration * 1e6 * (Double(moment) + 0.5) / Double(moments / 2)))
                } else {
                    let deadline = Self.now + 30
                    while try network.generation() == generation, Self.now < deadline {}
                }
                daemon.kill()
                reload.stop()
                let left = try Self.openPorts(network, from: outside)
                let wholes = [Self.expected(isNew: false), Self.expected(isNew: true)]
                #expect(wholes.contains(left), "moment \(moment): \(left.sorted())")
                outcomes.append(try network.generation() != generation)

                daemon = try network.startDaemon()
                let open = try Self.openPorts(network, from: outside)
                #expect(open == Self.expected(isNew: isNew), "moment \(moment), before: \(left.sorted())")
            }
            // At least one kill met a change that had begun, or the moments missed it.
            #expect(outcomes.contains(true), "no kill fell into a commit of \(duration) s")

            // What all that left behind is swept: the table is the one that a first load makes.
            let left = try Self.sweptTable(of: daemon, in: network)
            daemon.kill()
            try network.router.run(["nft", "delete", "table", "inet", "nsgd"])
            daemon = try network.startDaemon()
            let fresh = try Self.sweptTable(of: daemon, in: network)
            #expect(left == fresh, "\(Set(left).symmetricDifference(fresh).sorted().prefix(4))")
            #expect(left.count > 500)
        }
    }

    /// Once it has the chains of the policy and no others, and both sets of each pair hold the same.
    private static func sweptTable(of daemon: DaemonUnderTest, in network: TestNetwork) throws -> [String] {
        let compiled = try daemon.control("compile")
        #expect(compiled.status == 0)
        let heads = { (objects: [String]) in objects.map { $0.prefix { $0 != "\n" } } }
        let chains = { (texts: [Substring]) in
            Set(texts.filter { $0.hasPrefix("\tchain ") }.map { $0.split(separator: " ")[1] })
        }
        let wanted = chains(compiled.output.split(separator: "\n"))
        var objects: [String] = []
        let isSwept = try eventually {
            objects = try TestNetwork.objectsOfPairs(in: network.router)
            let present = heads(objects)
            return chains(present) == wanted && Set(present).count == present.count
        }
        #expect(isSwept, "\(chains(heads(objects)).symmetricDifference(wanted).sorted().prefix(4))")
        return objects
    }

    private static var now: Double {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    @Test("without nft in its PATH it starts, answers, reloads and takes its rules out (E1)")
    func withoutNft() throws {
        let rules = [Rule.allow("AllowWeb", 100, "Tcp", "80"), Rule.deny("DenyRest", 4000)]
        try TestNetwork.with(.guests("a", "b", rules: rules)) { network in
            try run(["mkdir", "\(network.folder)/empty"])
            let daemon = try network.startDaemon(searchPath: "\(network.folder)/empty")
            let (a, b) = (network["a"], network["b"])
            try b.serve("tcp", 80, 81)
            #expect(try a.reaches(b.address, 80, expecting: true))
            #expect(try !a.reaches(b.address, 81, expecting: false))
            let verify = try daemon.control(
                "verify", "--nic", "b", "--direction", "Inbound", "--protocol", "TCP", "--local", "\(b.address):81",
                "--remote", "\(a.address):4000", "--exit-code", "-o", "json")
            let answer = try JSONValue(parsing: verify.output, dialect: .json)
            #expect(verify.status == 3 && answer["ruleName"]?.string == "securityRules/DenyRest", "\(verify.output)")

            try network.write(
                .guests("a", "b", rules: [.allow("AllowOther", 100, "Tcp", "81"), .deny("DenyRest", 4000)]))
            try daemon.reload()
            #expect(try a.reaches(b.address, 81, expecting: true))
            #expect(try !a.reaches(b.address, 80, expecting: false))
            #expect(try daemon.control("flush").status == 0)
            #expect(try network.router.run(["nft", "list", "ruleset"]).isEmpty)
            #expect(try a.reaches(b.address, 80, expecting: true))
            try daemon.reload()
            #expect(try !a.reaches(b.address, 80, expecting: false))
        }
    }
}
