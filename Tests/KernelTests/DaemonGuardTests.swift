import JSONText
import TestSupport
import Testing

/// What other hands do to the table, and what the daemon refuses to begin. E5, E6, E7.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonGuardTests {
    private static func estate(open port: String = "6000") -> EstateDocuments {
        var estate = EstateDocuments()
        estate.groups = ["web": [.allow("AllowOne", 100, "Udp", port), .deny("DenyRest", 4000)]]
        estate.subnets = ["front": (0, "web")]
        estate.interfaces = [.init(name: "a", addresses: ["10.1.0.4"], subnet: "front", device: "va")]
        return estate
    }

    @Test(
        "a table that others flush, edit or delete is put right at once (E6)",
        arguments: [
            "nft flush ruleset", "nft delete table inet nsgd", "nft insert rule inet nsgd forward accept",
            "nft flush chain inet nsgd to/forward/v4", "nft 'add chain inet nsgd forward { policy drop; }'",
            "nft 'add table inet nsgd { flags dormant; }'",
        ])
    func heals(command: String) throws {
        try TestNetwork.with(Self.estate()) { network in
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            try network["a"].serve("udp", 6000, 6001)
            let daemon = try network.startDaemon()
            let before = try TestNetwork.objects(in: network.router)
            try network.router.shell(command)
            let isHealed = try eventually {
                try daemon.status()[["drift", "healed"]]?.int ?? 0 > 0
                    && TestNetwork.objects(in: network.router) == before
            }
            #expect(isHealed, "\(command)")
            #expect(try outside.isAnswered("10.1.0.4", 6000, expecting: true))
            #expect(try !outside.isAnswered("10.1.0.4", 6001, expecting: false))
        }
    }

    @Test("a second daemon ends before it touches the rules of the first")
    func secondDaemon() throws {
        try TestNetwork.with(Self.estate()) { network in
            let daemon = try network.startDaemon()
            let generation = try network.generation()
            try network.write(Self.estate(open: "6001"))
            let second = try network.launchDaemon()
            #expect(eventually { !second.isRunning })
            #expect(try network.generation() == generation)
            #expect(daemon.isRunning)
        }
    }

    @Test("a bound port of a bridge is a fault, and a problem where it becomes one (E7)")
    func bridgePort() throws {
        try TestNetwork.with(Self.estate()) { network in
            let daemon = try network.startDaemon()
            try network.router.shell("ip link add br0 type bridge; ip link set va master br0")
            let isTold = try eventually {
                try daemon.status()["problems"]?.array?.contains { $0.string?.contains("port of a bridge") ?? false }
                    ?? false
            }
            #expect(isTold)
            let answer = try daemon.control("reload")
            #expect(answer.status == 1 && answer.output.contains("UnsupportedDevice"))
        }
    }
}
