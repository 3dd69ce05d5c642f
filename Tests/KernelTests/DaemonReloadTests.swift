import JSONText
import TestSupport
import Testing

/// Changes of policy while traffic runs. S5, E1, E3.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonReloadTests {
    private typealias Rule = EstateDocuments.Rule
    private static let denyRest = Rule.deny("DenyRest", 4000)

    @Test("an open connection outlives its rule, a new one does not begin; other rules go on counting (S5, E3)")
    func removedRule() throws {
        let dns = Rule.allow("AllowDns", 110, "Udp", "53")
        let web = Rule.allow("AllowWeb", 100, "Tcp", "80")
        try TestNetwork.with(.guests("a", "b", rules: [web, dns, Self.denyRest])) { network in
            let daemon = try network.startDaemon()
            let (a, b) = (network["a"], network["b"])
            try b.serve("tcp", 80, 81)
            try b.serve("udp", 53)
            #expect(try a.connect(1, to: b.address, 80) == "open")
            #expect(try a.exchange(1) == "same")
            #expect(try a.isAnswered(b.address, 53, expecting: true))
            #expect(try !a.reaches(b.address, 81, expecting: false))
            let before = try network.router.counters()
            #expect(before["nsg/front/inbound/AllowDns"]?.packets == 1)
            #expect(before["nsg/front/inbound/AllowWeb"]?.packets == 1)
            #expect((before["nsg/front/inbound/DenyRest"]?.packets ?? 0) >= 1)

            try network.write(.guests("a", "b", rules: [dns, Self.denyRest]))
            #expect(try daemon.reload().result == "applied")
            let after = try network.router.counters()
            for name in [
                "inbound/AllowDns", "inbound/DenyRest", "outbound/AllowVnetOutBound", "inbound/DenyAllInBound",
            ] {
                let (old, new) = (before["nsg/front/\(name)"], after["nsg/front/\(name)"])
                #expect(old?.packets == new?.packets && old?.bytes == new?.bytes && new != nil, "\(name)")
            }
            #expect(try a.exchange(1) == "same")
            #expect(try !a.reaches(b.address, 80, expecting: false))
            #expect(try a.isAnswered(b.address, 53, expecting: true))
            #expect(try network.router.counter("nsg/front/inbound/AllowDns")?.packets == 2)

            try network.write(.guests("a", "b", rules: [web, dns, Self.denyRest]))
            try daemon.reload()
            #expect(try a.reaches(b.address, 80, expecting: true))
            #expect(try a.exchange(1) == "same")
        }
    }

    /// A group of a thousand rules, of which `flipped` are changed, and the first `lists` name addresses.
    private static func thousand(flipped: Set<Int> = [], lists: Int = 0) -> [Rule] {
        let others = (0..<997).map { index -> Rule in
            let port = "\(10_000 + index)"
            let source = index < lists ? ["198.18.\(index / 256).\(index % 256)/32", "203.0.113.0/25"] : ["*"]
            return flipped.contains(index)
                ? .deny("Rule\(index)", 200 + index, "Tcp", port, from: source)
                : .allow("Rule\(index)", 200 + index, "Tcp", port, from: source)
        }
        // The stream's rules stand at both ends, so that its packets walk the whole list.
        return [.deny("AlwaysDenied", 101, "Udp", "7000-7009")] + others + [
            Rule.allow("AlwaysAllowed", 3000, "Udp", "9000-9009"), denyRest,
        ]
    }

    private static func thousandRules(flipped: Set<Int> = [], lists: Int = 0) -> EstateDocuments {
        var estate = EstateDocuments.guests("a", "b", rules: [])
        estate.groups = ["front": thousand(flipped: flipped, lists: lists)]
        estate.subnets = ["front": (0, nil)]
        for index in estate.interfaces.indices { estate.interfaces[index].group = "front" }
        return estate
    }

    @Test(
        "one rule of a thousand changes few objects, and no packet meets anything but the old or the new policy (E1, E3)"
    )
    func thousandRulesUnderTraffic() throws {
        try TestNetwork.with(Self.thousandRules()) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            try network.router.shell("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=5")
            let daemon = try network.startDaemon()
            let b = network["b"]
            try b.countArrivals(ports: [9000, 7000])
            try outside.flood(b.address, ports: [9000, 7000], rate: 4000)
            for turn in rounds(20, whereSlow: 4) {
                let isList = turn % 3 == 2
                // With many it is a table of cells, else a tree.
                let lists = isList ? (turn % 2 == 0 ? turn : 900) : 0
                let estate = Self.thousandRules(flipped: [turn * 37 % 997], lists: lists)
                try network.write(estate)
                let answer = try daemon.reload()
                #expect(answer.result == "applied")
                let built = try #require(answer.count("built")), swapped = try #require(answer.count("swapped"))
                // One rule changed; in the other turns one changes back, too, and lists come and go.
                if turn == 0 { #expect((1...60).contains(built + swapped), "\(answer.message)") }
            }
            let sent = try outside.calm()
            let allArrived = try eventually { try b.arrivals(port: 9000) == sent[0] }
            let arrived = try b.arrivals(port: 9000)
            #expect(allArrived, "\(sent[0]) sent, \(arrived) arrived")
            #expect(try b.arrivals(port: 7000) == 0)
            #expect(sent.allSatisfy { Double($0) > 2000 / slowness })
            #expect(try network.router.counter("nsg/front/inbound/AlwaysDenied")?.packets == sent[1])
        }
    }

    @Test(
        "a first load of a thousand rules is in force before it is read back; a reload meanwhile, and what somebody changes, come right (E1, E6)"
    )
    func thousandRulesProvenLater() throws {
        try TestNetwork.with(Self.thousandRules()) { network in
            let daemon = try network.startDaemon()
            try network["b"].serve("udp", 7000)
            try network.write(Self.thousandRules(flipped: [500]))
            #expect(try daemon.reload().result == "applied")
            let isProven = try eventually { try daemon.status()[["drift", "lastAudit"]]?.string != nil }
            #expect(try isProven && daemon.status()[["drift", "found"]]?.int == 0)

            // Out, and in again: a first load, of which a rule goes before it is read.
            _ = try daemon.control("flush")
            #expect(try daemon.reload().result == "applied")
            try network.router.shell("nft flush chain inet nsgd to/forward/v4")
            let isHealed = try eventually {
                try daemon.status()[["drift", "healed"]]?.int ?? 0 > 0
            }
            #expect(isHealed)
            #expect(try !network["a"].isAnswered(network["b"].address, 7000, expecting: false))
        }
    }
}
