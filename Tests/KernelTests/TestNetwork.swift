import Glibc
import JSONText
import Synchronization
import TestSupport
import Testing

/// A router in a network namespace of its own, machines behind its links, and a daemon's folders. The daemon sees no
/// other namespace. All of it is gone with `close()`.
///
/// A machine has its addresses with full prefix lengths and a gateway of link scope, as on Azure: two machines of one
/// subnet reach each other through the router.
final class TestNetwork {
    /// Holds config, state, logs and the control socket.
    let folder: String
    let router: TestMachine
    private var machines: [TestMachine] = []
    /// The router's links by the names of the machines behind them.
    private var links: [String: String] = [:]
    private var daemons: [DaemonUnderTest] = []
    private let number: Int

    private static let last = Atomic<Int>(0)

    private init() throws {
        number = Self.last.add(1, ordering: .relaxed).newValue
        var template = Array("/tmp/nsgd-test-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw CommandFailure(command: ["mkdtemp"], status: errno, output: "no temporary folder")
        }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        router = try TestMachine("router", namespace: "nsgt\(number)-router")
        try router.shell(
            """
            sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 \
                net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
            """)
    }

    /// Runs a test with a network that has the machines of the estate's guests, and takes everything away after it.
    static func with(_ estate: EstateDocuments, _ body: (TestNetwork) throws -> Void) throws {
        let network = try TestNetwork()
        defer { network.close() }
        do {
            try network.write(estate)
            for interface in estate.interfaces where interface.attachment == "guest" {
                try network.addMachine(interface.name, interface.addresses, behind: interface.device)
            }
            try body(network)
        } catch {
            Issue.record("\(error)\n\(network.journal)")
        }
    }

    private func close() {
        for daemon in daemons { daemon.kill() }
        for machine in machines { machine.close() }
        router.close()
        _ = try? run(["rm", "-rf", folder])
    }

    /// What every daemon of this test wrote to standard error.
    var journal: String { daemons.map(\.journal).joined(separator: "--\n") }

    // MARK: Machines

    subscript(_ name: String) -> TestMachine { machines.first { $0.name == name } ?? router }

    /// A machine behind the router's link `device`; without one it is connected later.
    @discardableResult
    func addMachine(_ name: String, _ addresses: [String], behind device: String?) throws -> TestMachine {
        let machine = try TestMachine(name, namespace: "nsgt\(number)-\(name)", addresses: addresses)
        machines.append(machine)
        if let device { try connect(machine, behind: device) }
        return machine
    }

    func connect(_ machine: TestMachine, behind device: String) throws {
        var inside = ["ip link set eth0 up", "ip route add 169.254.1.1 dev eth0 scope link"]
        var outside = [
            "ip addr add 169.254.1.1/32 dev \(device)", "ip addr add fe80::1/64 dev \(device) nodad",
            "ip link set \(device) up",
        ]
        for address in machine.addresses {
            let (family, length, gateway) = address.contains(":") ? ("-6", 128, "fe80::1") : ("-4", 32, "169.254.1.1")
            inside.append("ip addr add \(address)/\(length) dev eth0\(length == 128 ? " nodad" : "")")
            if machine.addresses.first(where: { $0.contains(":") == (length == 128) }) == address {
                inside.append(
                    "ip \(family) route add default via \(gateway) dev eth0"
                        + (family == "-4" ? " src \(address)" : ""))
            }
            outside.append("ip \(family) route add \(address)/\(length) dev \(device)")
        }
        links[machine.name] = device
        try run([
            "ip", "link", "add", device, "netns", router.namespace, "type", "veth", "peer", "name", "eth0", "netns",
            machine.namespace,
        ])
        try machine.shell("sysctl -qw net.ipv6.conf.all.accept_dad=0\n" + inside.joined(separator: "\n"))
        try router.shell(outside.joined(separator: "\n"))
    }

    /// Of the router's end of a machine's link.
    func routerAddress(behind machine: String) throws -> [UInt8] {
        let listing = try router.run(["ip", "-o", "link", "show", "dev", links[machine] ?? ""])
        let words = listing.split(separator: " ")
        let text = words.firstIndex(of: "link/ether").map { words[$0 + 1] } ?? ""
        return text.split(separator: ":").compactMap { UInt8($0, radix: 16) }
    }

    // MARK: Documents

    var configuration: String { "\(folder)/config" }
    var logs: String { "\(folder)/logs" }

    func write(_ estate: EstateDocuments) throws {
        try run(["mkdir", "-p", "\(configuration)/policy.d"])
        for (path, text) in estate.files { try write(text, to: path) }
    }

    /// Replaces one file of the documents.
    func write(_ text: String, to path: String) throws {
        try run(["sh", "-c", "cat > \"$0\"", "\(configuration)/\(path)"], input: text)
    }

    // MARK: Daemon

    /// Starts a daemon in the router and waits until it answers.
    @discardableResult
    func startDaemon(searchPath: String? = nil) throws -> DaemonUnderTest {
        let daemon = try launchDaemon(searchPath: searchPath)
        // Asked only once it says that it is ready: callers that poll would take the processor from it.
        let isReady = eventually(within: 60) { daemon.journal.contains(" is ready") || !daemon.isRunning }
        guard isReady, try daemon.control("status").status == 0 else {
            throw CommandFailure(command: ["nsgd"], status: -1, output: "does not answer")
        }
        return daemon
    }

    /// Starts a daemon and waits for nothing.
    func launchDaemon(searchPath: String? = nil) throws -> DaemonUnderTest {
        let daemon = try DaemonUnderTest(
            in: router, folder: folder, journal: "\(folder)/journal-\(daemons.count)", searchPath: searchPath)
        daemons.append(daemon)
        return daemon
    }

    /// The lines of `flows.jsonl` that are complete.
    func records() throws -> [JSONValue] {
        let text = (try? run(["cat", "\(logs)/flows.jsonl"])) ?? ""
        let end = text.utf8.lastIndex(of: UInt8(ascii: "\n")) ?? text.startIndex
        return try text[..<end].split(separator: "\n").map { try JSONValue(parsing: String($0), dialect: .json) }
    }

    // MARK: Kernel

    /// The kernel's table as `nft` lists it in `machine`, one text an object, without the counters' values.
    static func objects(in machine: TestMachine) throws -> [String] {
        let listing = try machine.run(["nft", "list", "table", "inet", "nsgd"])
        var objects: [String] = []
        for line in listing.split(separator: "\n") {
            let text = String(line).replacing(#/packets \d+ bytes \d+/#, with: "packets 0 bytes 0")
            if text.hasPrefix("\t\t") || text == "\t}", let last = objects.popLast() {
                objects.append(last + "\n" + text)
            } else {
                objects.append(text)
            }
        }
        return objects.sorted()
    }

    /// The same with one name for both sets of a pair, of which either may be in force.
    static func objectsOfPairs(in machine: TestMachine) throws -> [String] {
        Set(try objects(in: machine).map { $0.replacing(#/\.b(\s)/#) { String($0.1) } }).sorted()
    }

    /// The generation of the router's ruleset: one more after every transaction. `NFT_MSG_GETGEN`, by the agent.
    func generation() throws -> Int { try router.ask("generation")["generation"]?.int ?? 0 }
}
