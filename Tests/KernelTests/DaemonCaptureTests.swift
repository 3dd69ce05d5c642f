import Glibc
import JSONText
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonCaptureTests {
    private typealias Rule = EstateDocuments.Rule

    /// Of the subnet `front`, and of the interface of `b`.
    private static var estate: EstateDocuments {
        var estate = EstateDocuments.guests(
            "a", "b", rules: [.allow("AllowUdp", 100, "Udp", "53-99"), .deny("DenyRest", 4000)])
        estate.groups["back"] = [.allow("AllowDns", 100, "Udp", "53"), .deny("NoNinetyNine", 200, "Udp", "99")]
        estate.interfaces[1].group = "back"
        return estate
    }

    private static let fields = [
        "ip.src", "udp.srcport", "ip.dst", "udp.dstport", "frame.len", "frame.interface_name",
        "frame.packet_flags_direction", "frame.comment",
    ]

    /// What Wireshark's own reader finds in a file: a line a packet.
    private static func read(_ file: String) throws -> [String] {
        let arguments = fields.map { "-e \($0)" }.joined(separator: " ")
        return try run([
            "sh", "-c", "tshark -r \"$0\" -T fields -E separator='|' \(arguments) 2>/dev/null | sed 's/|0x0*/|0x/'",
            file,
        ])
        .split(separator: "\n").map(String.init)
    }

    /// Sends a datagram to `b`, and waits for no answer.
    private static func send(from machine: TestMachine, _ source: Int, to port: Int) throws {
        try machine.ask(
            "datagram", [("to", ["10.1.0.5", JSONValue(port)]), ("from", JSONValue(source)), ("within", 0.005)])
    }

    /// Begins a capture; it runs when this returns.
    private static func capture(_ daemon: DaemonUnderTest, _ arguments: String...) throws -> Subprocess {
        let process = try Subprocess(
            [DaemonUnderTest.program("nsgctl"), "capture", "--socket", daemon.socket] + arguments)
        #expect(process.readLine(within: 20)?.contains("capturing") == true)
        return process
    }

    @Test(
        "F7: a capture holds the packets that were decided as it asks, and Wireshark shows the rule of each",
        .enabled(if: (try? run(["tshark", "--version"])) != nil, "needs tshark"))
    func files() throws {
        try TestNetwork.with(Self.estate) { network in
            let (a, b) = (network["a"], network["b"])
            let daemon = try network.startDaemon()
            try b.serve("udp", 53)
            let (refused, allowed) = ("\(network.folder)/refused.pcapng", "\(network.folder)/allowed.pcapng")
            let first = try Self.capture(daemon, "--rule", "back/NoNinetyNine", "--count", "3", "-w", refused)
            let second = try Self.capture(daemon, "--nic", "b", "--verdict", "allow", "-w", allowed, "-o", "json")

            for port in 6000..<6005 { try Self.send(from: a, port, to: 99) }
            for port in 5000..<5002 { #expect(try a.isAnswered(b.address, 53, from: port, expecting: true)) }
            try Self.send(from: a, 7000, to: 50)

            // Its three packets have come: it ends by itself.
            #expect(first.finish().output == "nsgctl: 3 packets in \(refused)\n")
            let rule = "back/NoNinetyNine (securityRules/NoNinetyNine, nic, priority 200)"
            let before = "front/AllowUdp (securityRules/AllowUdp, subnet, priority 100, derived)"
            let ofRule = try Self.read(refused)
            #expect(
                ofRule
                    == (6000..<6003).map {
                        "10.1.0.4|\($0)|10.1.0.5|99|36|vb|0x1|Deny \(rule), inbound at b; allowed by \(before)"
                    })

            // Each line is a whole file's, so the first packets can be read while the capture runs.
            let hasBoth = try eventually(within: 10) { try Self.read(allowed).count == 2 }
            #expect(hasBoth)
            #expect(second.end(with: SIGINT))
            let outcome = try JSONValue(parsing: second.finish().output, dialect: .json)
            #expect(outcome["packets"]?.int == 2 && outcome["leftOut"]?.int == 0)
            let deciding = "back/AllowDns (securityRules/AllowDns, nic, priority 100), inbound at b; "
            let sender = "front/AllowVnetOutBound (defaultSecurityRules/AllowVnetOutBound, subnet, priority 65000), "
            let ofInterface = try Self.read(allowed)
            #expect(
                ofInterface
                    == (5000..<5002).map {
                        "10.1.0.4|\($0)|10.1.0.5|53|36|vb|0x1|Allow \(deciding)allowed by front/AllowUdp "
                            + "(securityRules/AllowUdp, subnet, priority 100)\\nAllow \(sender)outbound at a"
                    })
            #expect(try run(["stat", "-c", "%a", allowed]) == "600\n")
            let (summary, _) = try Subprocess(["capinfos", "-M", allowed]).finish()
            #expect(summary.contains("Number of packets = 2"), "\(summary)")
        }
    }

    @Test("F5, F7: a client that does not read loses packets, which are counted; the flow log loses none")
    func slowClient() throws {
        try TestNetwork.with(Self.estate) { network in
            let a = network["a"]
            let daemon = try network.startDaemon()
            let reader = try Subprocess(
                ["/usr/bin/python3", "-ISuc", Self.lazyReader, daemon.socket], readsInput: true)
            #expect(reader.readLine(within: 20) == "capturing")
            // More than fits between the daemon and the test.
            try a.flood("10.1.0.5", ports: [99], rate: 2000)
            let isFull = try eventually(within: 20) {
                try daemon.status()["decisions"]?["logged"]?.int ?? 0 > 2200
            }
            #expect(isFull)
            let sent = try a.calm().reduce(0, +)
            let isLogged = try eventually(within: 20) { try daemon.status()["decisions"]?["logged"]?.int == sent }
            #expect(isLogged, "\(sent) sent")

            reader.write("read\n")
            #expect(reader.readLine(within: 20) == "some")
            // What waited goes: this one gets through, and tells how many did not.
            try Self.send(from: a, 7000, to: 50)
            let counts = reader.readLine(within: 20)?.split(separator: " ").compactMap { Int($0) } ?? []
            #expect(
                counts.count == 2 && (counts.last ?? 0) > 0 && counts.reduce(0, +) == sent + 1, "\(counts) of \(sent)")
        }
    }

    /// A client that reads nothing until it is told to; then it says how many packets it got and how many were left
    /// out.
    private static let lazyReader = """
        import json, socket, sys
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        s.sendall(b'{"method":"io.nsgd.Control.Capture","parameters":{"filter":{"nic":"b"}},"more":true}\\0')
        data, received = b"", 0
        def reply():
            global data
            while b"\\0" not in data: data += s.recv(1 << 16)
            message, _, data = data.partition(b"\\0")
            return json.loads(message)["parameters"]
        assert "packet" not in reply()
        print("capturing")
        sys.stdin.readline()
        while True:
            parameters = reply()
            received += 1
            if received == 800: print("some")
            if parameters["packet"]["decisions"][0]["destinationPort"] == 50: break
        print(received, parameters["leftOut"])
        """

    @Test("F7, K2: what cannot be captured is refused with the reason; the time ends a capture; lines without a file")
    func ends() throws {
        try TestNetwork.with(Self.estate) { network in
            let daemon = try network.startDaemon()
            for (arguments, reason) in [
                (["--nic", "c"], "'c' is bound"), (["--rule", "back/Nothing"], "the rule 'back/nothing'"),
                (["--verdict", "maybe"], "neither Allow nor Deny"),
            ] {
                let (output, status) = try DaemonUnderTest.control(["capture", "--socket", daemon.socket] + arguments)
                #expect(status == 1 && output.contains(reason), "\(output)")
            }
            #expect(try daemon.control("capture", "--count", "0").status == 2)

            let lines = try Subprocess([
                DaemonUnderTest.program("nsgctl"), "capture", "--socket", daemon.socket, "--duration", "1s", "-o",
                "tsv",
            ])
            // From a new port each time, until one falls into the capture's second.
            for port in 8000..<8400 where lines.isRunning {
                try Self.send(from: network["a"], port, to: 99)
            }
            let (output, status) = lines.finish()
            #expect(status == 0 && output.contains("\tUDP 10.1.0.4:80"), "\(output)")
            #expect(output.contains("Deny back/NoNinetyNine"))
        }
    }
}
