import Glibc
import JSONText
import TestSupport

/// A machine of a test: a network namespace, and an agent in it that opens connections, answers them and sends packets.
final class TestMachine {
    let name: String
    let namespace: String
    /// Without prefix lengths; IPv4 first.
    let addresses: [String]
    private var agent: Subprocess?

    init(_ name: String, namespace: String, addresses: [String] = []) throws {
        self.name = name
        self.namespace = namespace
        self.addresses = addresses
        try TestSupport.run(["ip", "netns", "add", namespace])
        try run(["ip", "link", "set", "lo", "up"])
    }

    var address: String { addresses.first ?? "" }

    /// What a program runs in this namespace by.
    var prefix: [String] { ["nsenter", "--net=/run/netns/\(namespace)"] }

    @discardableResult
    func run(_ arguments: [String], input: String? = nil) throws -> String {
        try TestSupport.run(prefix + arguments, input: input)
    }

    /// A few lines of shell.
    @discardableResult
    func shell(_ script: String) throws -> String { try run(["sh", "-ec", script]) }

    func close() {
        agent?.stop()
        agent = nil
        _ = try? TestSupport.run(["ip", "netns", "del", namespace])
    }

    // MARK: Traffic

    /// Asks the agent; see `TrafficAgent`.
    @discardableResult
    func ask(_ action: String, _ members: [(String, JSONValue)] = [], within seconds: Double = 60) throws -> JSONValue {
        let agent = try runningAgent()
        agent.write(JSONValue(object: [("do", JSONValue(action))] + members).text() + "\n")
        guard let line = agent.readLine(within: seconds) else {
            throw CommandFailure(command: [name, action], status: -1, output: "no answer; \(agent.finish().output)")
        }
        let answer = try JSONValue(parsing: line, dialect: .json)
        if let problem = answer["problem"]?.string {
            throw CommandFailure(command: [name, action], status: -1, output: problem)
        }
        return answer
    }

    private func runningAgent() throws -> Subprocess {
        if let agent { return agent }
        let python = unsafe access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3"
        let started = try Subprocess(prefix + [python, "-ISuc", TrafficAgent.program], readsInput: true)
        agent = started
        return started
    }

    /// Listens on ports and sends back what comes.
    func serve(_ transport: String, _ ports: Int...) throws {
        try ask("serve", [("protocol", JSONValue(transport)), ("ports", JSONValue(ports.map { JSONValue($0) }))])
    }

    /// How long an attempt may take that is to fail, and one that is to succeed.
    static let (short, long) = (0.4, 10 * slowness)

    /// Opens a TCP connection and keeps it under `id`.
    /// - Returns: "open", "refused", "timeout" or the error's name.
    func connect(
        _ id: Int = 0, to address: String, _ port: Int, from source: Int = 0, within seconds: Double = TestMachine.long
    ) throws -> String {
        try ask(
            "connect",
            [
                ("id", JSONValue(id)), ("to", [JSONValue(address), JSONValue(port)]), ("from", JSONValue(source)),
                ("within", JSONValue(seconds)),
            ])["result"]?.string ?? ""
    }

    /// Sends a text over a connection and waits until it comes back: "same", or what else happened.
    func exchange(_ id: Int = 0, within seconds: Double = TestMachine.long) throws -> String {
        try ask("exchange", [("id", JSONValue(id)), ("within", JSONValue(seconds))])["result"]?.string ?? ""
    }

    /// Says something to everyone who has a connection to its servers, or ever sent a datagram.
    func push() throws { try ask("push") }

    func disconnect(_ id: Int = 0) throws { try ask("close", [("id", JSONValue(id))]) }

    /// Whether a TCP connection opens. What is to be refused is given little time.
    func reaches(_ address: String, _ port: Int, expecting isOpen: Bool) throws -> Bool {
        let result = try connect(99, to: address, port, within: isOpen ? Self.long : Self.short)
        try disconnect(99)
        return result == "open"
    }

    /// Whether a datagram is answered.
    func isAnswered(_ address: String, _ port: Int, from source: Int = 0, expecting answer: Bool) throws -> Bool {
        try ask(
            "datagram",
            [
                ("to", [JSONValue(address), JSONValue(port)]), ("from", JSONValue(source)),
                ("within", JSONValue(answer ? Self.long : Self.short)),
            ])["result"]?.string == "answered"
    }

    func pings(_ address: String, expecting answer: Bool) -> Bool {
        let wait = answer ? ["-W", "5"] : ["-W", "0.4"]
        return (try? run(["ping", "-n", "-q", "-c", "1"] + wait + [address])) != nil
    }

    /// Begins a stream of first packets: UDP, each with addresses and ports of its own, to ten ports from each of
    /// `ports` on. The rate is in packets a second, on a slow machine fewer.
    func flood(_ destination: String, ports: [Int], rate: Int) throws {
        try ask(
            "flood",
            [
                ("source", JSONValue(address)), ("destination", JSONValue(destination)),
                ("ports", JSONValue(ports.map { JSONValue($0) })), ("rate", JSONValue(Int(Double(rate) / slowness))),
            ])
    }

    /// Ends the stream; gives how many packets were sent to each of the `ports`.
    func calm() throws -> [Int] { try ask("calm")["sent"]?.array?.map { $0.int ?? 0 } ?? [] }

    // MARK: Counting

    /// Counts what arrives for ten UDP ports from each of `ports` on, and keeps it from the sockets.
    func countArrivals(ports: [Int]) throws {
        let rules = ports.map { "udp dport \($0)-\($0 + 9) counter name p\($0) drop" }
        let counters = ports.map { "counter p\($0) { }" }
        try run(
            ["nft", "-f", "-"],
            input: """
                table inet arrivals {
                \(counters.joined(separator: "\n"))
                chain arrivals {
                type filter hook input priority 0
                \(rules.joined(separator: "\n"))
                }
                }

                """)
    }

    /// Counts what comes from or for some ports, in table `seen`.
    func countPackets(ports: [Int]) throws {
        let list = ports.map(String.init).joined(separator: ", ")
        try run(
            ["nft", "-f", "-"],
            input: """
                table inet seen {
                counter met { }
                chain input {
                type filter hook input priority -400
                meta l4proto { tcp, udp } th sport { \(list) } counter name met
                meta l4proto { tcp, udp } th dport { \(list) } counter name met
                }
                }

                """)
    }

    func packetsSeen() throws -> Int { try counter("met", table: "seen")?.packets ?? 0 }

    func arrivals(port: Int) throws -> Int { try counter("p\(port)", table: "arrivals")?.packets ?? 0 }

    /// A named counter, by `nft`; nil where there is none.
    func counter(_ name: String, table: String = "nsgd") throws -> (packets: Int, bytes: Int)? {
        try counters(table: table)[name]
    }

    func counters(table: String = "nsgd") throws -> [String: (packets: Int, bytes: Int)] {
        let document = try JSONValue(
            parsing: try run(["nft", "-j", "list", "counters", "table", "inet", table]), dialect: .json)
        var found: [String: (packets: Int, bytes: Int)] = [:]
        for case let counter? in (document["nftables"]?.array ?? []).map({ $0["counter"] }) {
            guard let name = counter["name"]?.string else { continue }
            found[name] = (counter["packets"]?.int ?? 0, counter["bytes"]?.int ?? 0)
        }
        return found
    }
}
