import JSONText
import TestSupport
import Testing

/// The machine that the daemon runs on as the virtual machine, and links that come and go. C3, E6, S4, S7, S12.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonHostTests {
    private typealias Rule = EstateDocuments.Rule
    private static let address = "10.1.0.4"

    /// The router's link `nic0` as the network interface `vm`, and a machine at its other end.
    private static func host(_ rules: [Rule]) -> EstateDocuments {
        var estate = EstateDocuments()
        estate.groups = ["host": rules]
        estate.subnets = ["front": (0, nil)]
        estate.interfaces = [
            .init(
                name: "vm", addresses: [address, "fd00:1::4"], subnet: "front", group: "host", device: "nic0",
                attachment: "host")
        ]
        return estate
    }

    private static func connect(_ network: TestNetwork) throws -> TestMachine {
        let peer = try network.addMachine("peer", ["203.0.113.9", "2001:db8::9"], behind: "nic0")
        try network.router.shell("ip addr add \(address)/32 dev nic0; ip addr add fd00:1::4/128 dev nic0 nodad")
        return peer
    }

    @Test(
        "the host's own traffic meets its rules, that over lo none; what others translate is judged at the guest (S4, S7, E6)"
    )
    func hostAndGuest() throws {
        var estate = Self.host([
            .allow("AllowWeb", 100, "Tcp", "80"), .deny("DenyRest", 4000),
            .deny("DenyOut", 100, "Tcp", "8081", direction: "Outbound"),
        ])
        estate.groups["back"] = [.allow("AllowWeb", 100, "Tcp", "80"), .deny("DenyRest", 4000)]
        estate.subnets["back"] = (1, "back")
        estate.interfaces.append(.init(name: "b", addresses: ["10.1.1.4"], subnet: "back", device: "vb"))
        try TestNetwork.with(estate) { network in
            let (router, b) = (network.router, network["b"])
            let peer = try Self.connect(network)
            let foreign = """
                table inet foreign {
                chain output {
                type nat hook output priority -100
                ip daddr \(Self.address) tcp dport 8080 dnat ip to 10.1.1.4:80
                ip daddr \(Self.address) tcp dport 8082 dnat ip to 10.1.1.4:81
                }
                set mine {
                type ipv4_addr
                elements = { 192.0.2.1 }
                }
                }

                """
            try router.run(["nft", "-f", "-"], input: foreign)
            let list = { try router.run(["nft", "-s", "list", "table", "inet", "foreign"]) }
            let before = try list()
            let daemon = try network.startDaemon()
            for machine in [router, peer, b] { try machine.serve("tcp", 80, 81, 8080, 8081) }

            #expect(try peer.reaches(Self.address, 80, expecting: true))
            #expect(try !peer.reaches(Self.address, 81, expecting: false))
            #expect(try router.reaches(peer.address, 8080, expecting: true))
            #expect(try !router.reaches(peer.address, 8081, expecting: false))

            let judged = try router.counters()
            #expect(try router.reaches("127.0.0.1", 81, expecting: true))
            #expect(try router.reaches(Self.address, 81, expecting: true))
            #expect(router.pings("::1", expecting: true))
            let afterwards = try router.counters()
            #expect(judged.mapValues(\.packets) == afterwards.mapValues(\.packets))

            // KERNEL 1: `output` of the filter saw `lo` as these packets' device.
            #expect(try router.reaches(Self.address, 8080, expecting: true))
            #expect(try !router.reaches(Self.address, 8082, expecting: false))
            #expect((try router.counter("nsg/back/inbound/DenyRest")?.packets ?? 0) >= 1)

            try network.write("{}", to: "policy.d/30-empty.json")
            estate.groups["host"]?.insert(.allow("AllowMore", 110, "Tcp", "81"), at: 1)
            try network.write(estate)
            #expect(try daemon.reload().result == "applied")
            #expect(try peer.reaches(Self.address, 81, expecting: true))
            #expect(try list() == before)
            #expect(try daemon.control("flush").status == 0)
            #expect(try list() == before)
            #expect(try router.run(["nft", "list", "tables"]) == "table inet foreign\n")
        }
    }

    @Test("neighbour discovery, DHCP and path MTU messages pass rules that deny everything (S4, S12)")
    func linkTraffic() throws {
        let closed = Rule.deny("DenyIn", 100)
        try TestNetwork.with(Self.host([closed, .deny("DenyOut", 100, direction: "Outbound")])) { network in
            let router = network.router
            let peer = try Self.connect(network)
            let daemon = try network.startDaemon()

            let neighbour = { try peer.run(["ip", "-6", "neigh", "show", "to", "fe80::1"]) }
            try peer.shell("ip -6 neigh flush dev eth0; ip neigh flush dev eth0")
            #expect(!peer.pings("fd00:1::4", expecting: false))
            let isFound = try eventually { try neighbour().contains("lladdr") }
            let shown = try neighbour()
            #expect(isFound, "\(shown)")
            #expect(!peer.pings(Self.address, expecting: false))

            // This machine is the client: a server's message reaches it, a client's does not.
            try router.serve("udp", 67, 68, 69)
            #expect(try peer.isAnswered("169.254.1.1", 68, from: 67, expecting: true))
            #expect(try !peer.isAnswered("169.254.1.1", 67, from: 68, expecting: false))
            #expect(try !peer.isAnswered("169.254.1.1", 69, from: 67, expecting: false))
            #expect(try !peer.isAnswered("169.254.1.1", 68, from: 70, expecting: false))

            try network.write(Self.host([closed]))
            try daemon.reload()
            let far = try network.addMachine("far", ["198.51.100.9"], behind: "far0")
            try router.shell(
                """
                ip link set far0 netns \(peer.namespace)
                ip route add 198.51.100.9/32 via 203.0.113.9 dev nic0 src \(Self.address) onlink
                """)
            try peer.shell(
                """
                sysctl -qw net.ipv4.ip_forward=1
                ip link set far0 up mtu 1280; ip addr add 169.254.2.1/32 dev far0
                ip route add 198.51.100.9/32 dev far0
                """)
            try far.shell("ip route replace default via 169.254.2.1 dev eth0 onlink")
            let isReached = router.pings(far.address, expecting: true)
            let counters = try router.counters().filter { $0.value.packets > 0 }
            let routes = try router.run(["ip", "route"]) + peer.run(["ip", "route"]) + far.run(["ip", "route"])
            #expect(isReached, "\(routes) \(counters)")
            _ = try? router.run(["ping", "-n", "-c", "1", "-W", "0.4", "-M", "do", "-s", "1400", far.address])
            let isLearnt = try eventually { try router.run(["ip", "route", "get", far.address]).contains("mtu 1280") }
            #expect(isLearnt)
        }
    }

    @Test("a link that appears later is filtered from its first packet, under its name alone (C3, D4)")
    func lateLink() throws {
        let rules = [
            Rule.allow("AllowWeb", 100, "Tcp", "80"), Rule.allow("AllowStream", 110, "Udp", "9000-9009"),
            Rule.deny("DenyRest", 4000),
        ]
        var estate = EstateDocuments.guests("late", rules: rules)
        estate.interfaces[0].device = "vlate"
        let late = estate.interfaces[0]
        estate.interfaces = []
        try TestNetwork.with(estate) { network in
            estate.interfaces = [late]
            try network.write(estate)
            let outside = try network.addMachine("outside", ["203.0.113.9"], behind: "uplink")
            let router = network.router
            let daemon = try network.startDaemon()
            let isPresent = { try daemon.status()["bindings"]?[0]?["present"]?.bool }
            #expect(try isPresent() == false)
            let machine = try network.addMachine("late", late.addresses, behind: nil)
            try machine.serve("tcp", 80, 81)
            try machine.countArrivals(ports: [9000, 7000])
            let rename = { (from: String, to: String) in
                _ = try router.shell(
                    """
                    ip link set \(from) down; ip link set \(from) name \(to); ip link set \(to) up
                    ip route replace \(machine.address)/32 dev \(to)
                    """)
            }
            try outside.flood(machine.address, ports: [9000, 7000], rate: 2000)
            try network.connect(machine, behind: "vlate")
            let isOpen = try eventually { try machine.arrivals(port: 9000) > 200 }
            #expect(isOpen)
            _ = try outside.calm()
            #expect(try machine.arrivals(port: 7000) == 0)
            #expect(try isPresent() == true)
            #expect(try outside.reaches(machine.address, 80, expecting: true))
            #expect(try !outside.reaches(machine.address, 81, expecting: false))

            try rename("vlate", "vother")
            #expect(try outside.reaches(machine.address, 81, expecting: true))
            let isGone = try eventually { try isPresent() == false }
            #expect(isGone)
            try rename("vother", "vlate")
            #expect(try outside.reaches(machine.address, 80, expecting: true))
            #expect(try !outside.reaches(machine.address, 81, expecting: false))
            let isBack = try eventually { try isPresent() == true }
            #expect(isBack)
        }
    }
}
