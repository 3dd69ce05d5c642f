import ControlProtocol
import Glibc
import JSONText
import NSGDaemon
import SystemServices
import TestSupport
import Testing

/// Service tags in a running daemon. S10, E1, K2, K3.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonServiceTagsTests {
    private static func file(_ number: Int, _ tags: [(String, [String])]) -> String {
        let values = tags.map { name, prefixes -> JSONValue in
            [
                "name": JSONValue(name),
                "properties": [
                    "changeNumber": JSONValue(number), "addressPrefixes": JSONValue(prefixes.map { JSONValue($0) }),
                    "networkFeatures": ["API", "NSG"],
                ],
            ]
        }
        return JSONValue(object: [
            ("changeNumber", JSONValue(number)), ("cloud", "Public"), ("values", JSONValue(values)),
        ]).text()
    }

    /// Partners may come in from the addresses of the tag alone.
    private static let estate = EstateDocuments.guests(
        "a", rules: [.allow("AllowPartner", 100, "Tcp", "80", from: ["Partner.WEST"]), .deny("DenyRest", 4000)])

    private static let first = file(
        5, [("Partner.West", ["198.51.100.0/25", "192.0.2.0/24"]), ("Other", ["192.0.2.0/24"])])
    private static let second = file(6, [("Partner.West", ["203.0.113.0/24", "192.0.2.0/24"])])

    private static func stored(_ network: TestNetwork) throws -> String {
        String(decoding: try Files.read("\(network.folder)/state/service-tags.json", limit: 1 << 24), as: UTF8.self)
    }

    private static func with(_ body: (TestNetwork, DaemonUnderTest) throws -> Void) throws {
        try TestNetwork.with(estate) { network in
            try network.addMachine("old", ["198.51.100.9"], behind: "uplink0")
            try network.addMachine("new", ["203.0.113.9"], behind: "uplink1")
            try run(["mkdir", "-p", "\(network.folder)/state"])
            try write(first, to: "\(network.folder)/state/service-tags.json")
            let daemon = try network.startDaemon()
            try network["a"].serve("tcp", 80)
            try body(network, daemon)
        }
    }

    private static func write(_ text: String, to path: String) throws {
        try run(["sh", "-c", "cat > \"$0\"", path], input: text)
    }

    private static func update(
        _ daemon: DaemonUnderTest, _ network: TestNetwork, _ text: String
    ) throws -> (output: String, status: Int32) {
        try write(text, to: "\(network.folder)/next.json")
        return try daemon.control("service-tags", "update", "\(network.folder)/next.json", "-o", "json")
    }

    @Test("an update changes who may come in, and nothing else; an open connection lives on (S5, S10)")
    func update() throws {
        try Self.with { network, daemon in
            let (a, old, new) = (network["a"].address, network["old"], network["new"])
            #expect(try old.connect(1, to: a, 80) == "open")
            #expect(try !new.reaches(a, 80, expecting: false))
            let before = try network.router.counters()
            // An edit that nobody has asked to load stays out of it.
            var edited = Self.estate
            edited.groups["front"]?[0].port = "81"
            try network.write(edited)

            let (output, status) = try Self.update(daemon, network, Self.second)
            #expect(status == 0, "\(output)")
            let update = try JSONValue(parsing: output, dialect: .json)["update"] ?? [:]
            #expect(update["result"] == "applied" && update["previousChangeNumber"] == 5 && update["changeNumber"] == 6)
            #expect(update["changed"] == ["Partner.West"] && update["removed"] == ["Other"] && update["added"] == [])
            #expect(update["inUse"] == ["Partner.West"])
            #expect((1...40).contains(update["messages"]?.int ?? 0), "\(update)")
            #expect(try Self.stored(network) == Self.second)

            #expect(try new.reaches(a, 80, expecting: true))
            #expect(try !old.reaches(a, 80, expecting: false))
            #expect(try old.exchange(1) == "same")
            let after = try network.router.counters()
            #expect(before["nsg/front/inbound/DenyRest"] != nil && after["nsg/front/inbound/DenyRest"] != nil)

            // Older again: taken, with a warning.
            let again = try Self.update(daemon, network, Self.first)
            let warnings = try JSONValue(parsing: Self.json(again.output), dialect: .json)["update"]?["warnings"]
            #expect(again.status == 0 && warnings?.array?.count == 1, "\(again.output)")
            #expect(try old.reaches(a, 80, expecting: true))
        }
    }

    /// What was written to standard output; warnings go to standard error, which comes with it here.
    private static func json(_ output: String) -> String { String(output.drop { $0 != "{" }) }

    @Test("a file that cannot be used changes neither the file nor the rules (E1)")
    func refused() throws {
        try Self.with { network, daemon in
            let generation = try network.generation()
            let faulty = [
                String(Self.second.dropLast(40)), Self.file(6, []), #"{"prefixes": []}"#, "<html>", "",
                Self.file(6, [("Other", ["192.0.2.0/24"])]),
                Self.file(6, [("Partner.West", ["192.0.2.1/24"])]),
            ]
            for text in faulty {
                let (output, status) = try Self.update(daemon, network, text)
                #expect(status == 1 && !output.isEmpty, "\(text.prefix(60)): \(output)")
                #expect(try Self.stored(network) == Self.first)
            }
            #expect(try network.generation() == generation)
            #expect(try network["old"].reaches(network["a"].address, 80, expecting: true))
            // What names a tag that the file lacks is said with the rule.
            let (output, _) = try Self.update(daemon, network, faulty[5])
            #expect(output.contains("SecurityRuleInvalidAddressPrefix") && output.contains("AllowPartner"), "\(output)")
        }
    }

    @Test("show and lookup, over the socket and offline (K3)")
    func questions() throws {
        try Self.with { network, daemon in
            let offline = ["--config", network.configuration, "--state", "\(network.folder)/state"]
            for place in [["--socket", daemon.socket], offline] {
                let shown = try DaemonUnderTest.control(["service-tags", "show", "partner.west", "-o", "tsv"] + place)
                #expect(shown.status == 0 && shown.output == "198.51.100.0/25\n192.0.2.0/24\n", "\(shown.output)")
                let table = try DaemonUnderTest.control(["service-tags", "show", "partner.west"] + place)
                #expect(table.output.contains("securityRules/AllowPartner"), "\(table.output)")
                let found = try DaemonUnderTest.control(["service-tags", "lookup", "192.0.2.7", "-o", "tsv"] + place)
                #expect(
                    found.output == "192.0.2.0/24\tOther\tfile\t\n192.0.2.0/24\tPartner.West\tfile\t\n",
                    "\(found.output)")
                let network = try DaemonUnderTest.control(["service-tags", "lookup", "10.1.0.4", "-o", "tsv"] + place)
                #expect(network.output == "10.1.0.0/16\tVirtualNetwork\tcomputed\tlab\n", "\(network.output)")
                let unknown = try DaemonUnderTest.control(["service-tags", "show", "Partner.Wets"] + place)
                #expect(unknown.status == 1 && unknown.output.contains("Partner.West"), "\(unknown.output)")
                #expect(try DaemonUnderTest.control(["service-tags", "lookup", "x"] + place).status == 2)
            }
        }
    }

    @Test("offline, a file is checked and put into the state folder; the next start has it")
    func offline() throws {
        try Self.with { network, daemon in
            #expect(daemon.stop())
            try Self.write(Self.second, to: "\(network.folder)/next.json")
            let place = ["--config", network.configuration, "--state", "\(network.folder)/state"]
            let update = ["service-tags", "update", "\(network.folder)/next.json"] + place
            let (output, status) = try DaemonUnderTest.control(update)
            #expect(status == 0 && output.contains("stored"), "\(output)")
            #expect(try Self.stored(network) == Self.second)
            try Self.write(Self.file(7, [("Other", ["192.0.2.0/24"])]), to: "\(network.folder)/next.json")
            #expect(try DaemonUnderTest.control(update).status == 1)
            #expect(try Self.stored(network) == Self.second)
            try network.startDaemon()
            #expect(try network["new"].reaches(network["a"].address, 80, expecting: true))
        }
    }

    @Test("K2: a file of five megabytes is taken; who may only read changes nothing")
    func permissions() throws {
        let many = (0..<2000).map { tag in
            ("Many\(tag)", (0..<120).map { "10.\(tag / 256).\(tag % 256).\($0)/32" })
        }
        let text = Self.file(6, many + [("Partner.West", ["203.0.113.0/24"])])
        #expect(text.utf8.count > 4 << 20)
        try Self.with { network, daemon in
            let (output, status) = try Self.update(daemon, network, text)
            #expect(status == 0, "\(output)")
            #expect(try Self.stored(network) == text)
            #expect(try network["new"].reaches(network["a"].address, 80, expecting: true))
        }
        let permissions = ControlPermissions(readers: 7, administrators: 8)
        let reader = Peer(process: 1, user: 1, group: 7)
        #expect(!permissions.allow(reader, ControlInterface.Method.updateServiceTags.access))
        #expect(permissions.allow(reader, ControlInterface.Method.showServiceTag.access))
    }
}
